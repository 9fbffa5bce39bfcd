"""
A Django view that accepts a WebSocket, as a project in one file.

Usage: django_view.py runserver [HOST:PORT], or: gunicorn django_view
"""

import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import syncws
from syncws import wsgi

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="only for the example", DEBUG=True)


def page(request):
    return HttpResponse("The WebSocket is at /count/10/.\n", content_type="text/plain")


def count(request, limit):
    """Count up to a limit, which comes from the URL as in any view."""
    try:
        with wsgi.accept(request.environ) as ws:
            for number in range(1, limit + 1):
                ws.send(str(number))
    except syncws.ConnectionClosed:
        pass  # who leaves early is no error
    except syncws.InvalidHandshake as exc:
        return HttpResponse(str(exc), status=exc.status, content_type="text/plain")
    return HttpResponse(status=101)  # for the access log


urlpatterns = [path("", page), path("count/<int:limit>/", count)]
django.setup()
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
