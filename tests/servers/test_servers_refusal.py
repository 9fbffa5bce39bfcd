"""Servers where no socket can be taken over say so; all else goes on there."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import signal
import tempfile

import pytest

import syncws
from servers.catalogue import (
    APPS,
    GEVENT,
    PYTHON,
    STRICT_PYTHON,
    Server,
    flask,
    gunicorn,
    library,
    uwsgi,
)
from servers.conftest import check_installed, missing
from servers.running import running
from support.tls import CERTS

pytestmark = pytest.mark.peers

CERTIFICATE = str(CERTS / "localhost.pem")
FILES = ("--certfile", CERTIFICATE, "--keyfile", CERTIFICATE)
TERM = signal.SIGTERM
SECURE = [
    Server("wsgiref", library("wsgiref", CERTIFICATE), secure=True),
    Server("werkzeug", library("werkzeug", CERTIFICATE), ("werkzeug",), secure=True),
    Server("flask", flask("--cert", CERTIFICATE, "--key", CERTIFICATE), ("flask",), secure=True),
    Server("cheroot", library("cheroot", CERTIFICATE), ("cheroot",), secure=True),
    Server("gevent", library("gevent", CERTIFICATE, python=PYTHON), GEVENT, secure=True),
    Server("eventlet", library("eventlet", CERTIFICATE, python=PYTHON), ("eventlet",), secure=True),
    *(
        Server(f"gunicorn-{worker}", gunicorn(worker, *FILES), needs, stop=TERM, secure=True)
        for worker, needs in (
            ("sync", ("gunicorn",)),
            ("gthread", ("gunicorn",)),
            ("gevent", ("gunicorn", "gevent")),
        )
    ),
]
DOES_TLS = r"UnsupportedServer: .* does TLS itself"
SHOWS_NONE = r"UnsupportedServer: .* does not show the socket of a request; run syncws.Threading"

APACHE = """
ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache2.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/mod_wsgi.log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User {user}
WSGIDaemonProcess tests processes=1 threads=4 python-path={folder}
WSGIProcessGroup tests
WSGIApplicationGroup %{{GLOBAL}}
WSGISocketPrefix {folder}/wsgi
WSGIScriptAlias / {folder}/bare.py
<Directory {folder}>
    Require all granted
</Directory>
"""
MODULES = pathlib.Path("/usr/lib/apache2/modules")


def check_refused(server, why):
    """Each way to a WebSocket is answered with 500, the log says why, and pages still come."""
    for number, path in enumerate(("/request", "/detached", "/view"), 1):
        with pytest.raises(syncws.InvalidStatus) as caught:
            server.connect(path)
        assert caught.value.status == 500
        server.logs(why, number)
        assert server.get("/")[0] == 200


@pytest.mark.parametrize("server", SECURE, ids=lambda server: server.name)
def test_a_server_that_does_tls_itself(server, tmp_path):
    """Two threads must not share an SSLSocket."""
    check_installed(server)
    with running(server, tmp_path) as started:
        check_refused(started, DOES_TLS)


def test_waitress(tmp_path):
    """It keeps its sockets to itself."""
    server = Server("waitress", library("waitress", python=STRICT_PYTHON), ("waitress",))
    check_installed(server)
    with running(server, tmp_path) as started:
        check_refused(started, SHOWS_NONE)


def test_the_http_router_of_uwsgi(tmp_path):
    """Without --http-websockets it would swallow what the client sends."""
    server = Server("uwsgi", uwsgi(http="--http"), ("pyuwsgi",), stop=TERM)
    check_installed(server)
    with running(server, tmp_path) as started:
        check_refused(started, r"UnsupportedServer: .* started with --http-websockets")


@pytest.fixture
def public_folder():
    """Make a folder that the user of Apache may read, with all that the application imports."""
    import h11

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for package in (syncws, h11):
            source = pathlib.Path(package.__file__).parent
            shutil.copytree(source, folder / package.__name__)
        for app in ("bare.py", "conversation.py"):
            shutil.copy(APPS / app, folder)
        yield folder


def test_apache_with_mod_wsgi(public_folder):
    """Its sockets are beyond Python."""
    apache = shutil.which("apache2")
    if apache is None or not (MODULES / "mod_wsgi.so").exists():
        missing("mod_wsgi is missing: apt-get install apache2 libapache2-mod-wsgi-py3")
    config = public_folder / "apache2.conf"
    config.write_text(APACHE.format(folder=public_folder, modules=MODULES, user="www-data"))
    start = (apache, "-f", str(config), "-D", "FOREGROUND")
    server = Server("mod_wsgi", lambda port: (*start, "-C", f"Listen 127.0.0.1:{port}"), stop=TERM)
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(running(server, public_folder))
        check_refused(started, SHOWS_NONE)
        started.stop()
