"""The same as ``bare``, with Django."""

from __future__ import annotations

import contextlib
import os

import django
from conversation import converse
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from syncws import ConnectionClosed, wsgi

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", LOGGING_CONFIG=None
)
django.setup()


def view(request):
    """Take a WebSocket over in the middle of a view."""
    with contextlib.suppress(ConnectionClosed), wsgi.accept(request.environ) as ws:
        converse(ws)
    return HttpResponse(status=101)


def pid(request):
    """Answer with the process's number."""
    body = str(os.getpid())
    return HttpResponse(body, headers={"Content-Length": len(body)})


urlpatterns = [path("view", view), path("", pid)]
application = wsgi.middleware(get_wsgi_application(), {"/request": converse})
application = wsgi.middleware(application, {"/detached": converse}, detach=True)
