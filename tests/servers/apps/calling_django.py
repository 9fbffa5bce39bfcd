"""The views of ``calling``, with Django; as a program, in Django's development server."""

from __future__ import annotations

import sys

import django
from calling import answer
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path


def view(request):
    """Answer any path."""
    return HttpResponse(answer(request.path, request.META["QUERY_STRING"]))


urlpatterns = [re_path("", view)]
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", LOGGING_CONFIG=None
)
django.setup()
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "runserver", *sys.argv[1:]])
