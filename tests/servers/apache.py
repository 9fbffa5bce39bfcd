"""Apache with mod_wsgi, as Debian has them, configured in a folder of its own."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import signal
import tempfile
from collections.abc import Iterator

import h11

import syncws
from servers.catalogue import APPS, HOST, Server

PROGRAM = pathlib.Path("/usr/sbin/apache2")
MODULES = pathlib.Path("/usr/lib/apache2/modules")
INSTALL = "apt-get install apache2 libapache2-mod-wsgi-py3"
INSTALLED = PROGRAM.exists() and (MODULES / "mod_wsgi.so").exists()

MODES = {
    "apache-embedded": "WSGIPythonPath {folder}",
    "apache-daemon": "WSGIDaemonProcess calling threads=16 python-path={folder} {options}\n"
    "WSGIProcessGroup calling",
}
_CONFIGURATION = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder}
ErrorLog {log}
LogLevel warn mpm_event:notice
User www-data
Group www-data
Listen {host}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
StartServers 1
ServerLimit 4
ThreadsPerChild 25
MaxRequestWorkers 100
MinSpareThreads 1
MaxSpareThreads 100
WSGISocketPrefix {folder}/wsgi
WSGIScriptAlias / {folder}/calling.py
WSGIApplicationGroup %{{GLOBAL}}
{mode}
<Directory {folder}>
Require all granted
</Directory>
"""


@contextlib.contextmanager
def configured(name: str, log: pathlib.Path, options: str = "") -> Iterator[Server]:
    """Write the configuration of one of its modes, beside what it serves."""
    # Its processes become another user's, who may look neither here nor into pytest's folders; and
    # they run the system's Python, for which our codec in C is not built.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="syncws-apache-"))
    folder.chmod(0o755)
    try:
        for package in (syncws, h11):
            source = pathlib.Path(package.__file__).parent
            ignored = shutil.ignore_patterns("*.so", "__pycache__", "tests")
            shutil.copytree(source, folder / source.name, ignore=ignored)
        shutil.copy(APPS / "calling.py", folder)

        def command(port: int) -> tuple[str, ...]:
            values = {"folder": folder, "log": log, "host": HOST, "port": port, "modules": MODULES}
            mode = MODES[name].format(options=options, **values)
            file = folder / "apache.conf"
            file.write_text(_CONFIGURATION.format(mode=mode, **values))
            return (str(PROGRAM), "-DFOREGROUND", "-f", str(file))

        yield Server(name, command, logs_access=False, stop=signal.SIGTERM)
    finally:
        shutil.rmtree(folder)
