"""nginx and HAProxy as they stand in README, as processes in front of a server of ours."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
from typing import NamedTuple

from peers.remotes import missing
from support.threads import WATCHDOG
from support.tls import CERTS
from syncws.addresses import address_text

# Debian keeps them where only root looks.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
README = pathlib.Path(__file__).parents[2] / "README.md"
PEM = CERTS / "localhost.pem"

NGINX = """
daemon off;
{user}
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $remote_addr $node {{
        ~:      "[$remote_addr]:$remote_port";
        default "$remote_addr:$remote_port";
    }}
    {site}
}}
"""

# Either header as these programs add it to what the client sent.
X_FORWARDED_FOR: dict[str, dict[str, str]] = {"nginx": {}, "haproxy": {}}
FORWARDED = {
    "nginx": {
        "X-Forwarded-For $proxy_add_x_forwarded_for": 'X-Forwarded-For ""',
        'Forwarded "";': """Forwarded '$http_forwarded, for="$node";proto=$scheme';""",
    },
    "haproxy": {
        "del-header Forwarded": "del-header X-Forwarded-For",
        "option forwardfor": r"""
            http-request add-header Forwarded for=\"%[src]:%[src_port]\" if !{ src -m sub : }
            http-request add-header Forwarded for=\"[%[src]]:%[src_port]\" if { src -m sub : }
        """,
    },
}
# Does not try for seconds to reach a server that is gone.
HASTY = {"nginx": {}, "haproxy": {"mode http": "mode http\n    retries 0"}}
# The other header stays as the client sent it.
CARELESS = {
    "nginx": {'proxy_set_header Forwarded "";': ""},
    "haproxy": {"http-request del-header Forwarded": ""},
}
IMPATIENT = {
    "nginx": {"proxy_http_version": "proxy_read_timeout 1s; proxy_http_version"},
    "haproxy": {"timeout client 60s": "timeout client 1s", "server 60s": "server 1s"},
}


class Route(NamedTuple):
    """
    A way through a proxy.

    Attributes:
        program: "nginx" or "haproxy".
        secure: whether clients come by TLS, which ends there.
        unix: whether it reaches the server by a Unix socket.
        host: where it listens.
    """

    program: str
    secure: bool = False
    unix: bool = False
    host: str = "127.0.0.1"


class Proxy:
    """
    A running proxy.

    Attributes:
        url, netloc, address: for clients: all of it, host and port, and the same as a pair.
    """

    def __init__(
        self,
        route: Route,
        upstream: str,
        folder: pathlib.Path,
        changes: dict[str, str] | None = None,
    ) -> None:
        if shutil.which(route.program, path=PATH) is None:
            missing(route.program, f"apt-get install {route.program}")
        family = socket.AF_INET6 if ":" in route.host else socket.AF_INET
        self._log = folder / "log"
        # Both take a socket that listens already: no port can be lost, and clients need not wait.
        with socket.create_server((route.host, 0), family=family) as listener:
            self.address = listener.getsockname()[:2]
            self.netloc = address_text(self.address)
            self.url = f"{'wss' if route.secure else 'ws'}://{self.netloc}/"
            configure = _nginx if route.program == "nginx" else _haproxy
            config = folder / "config"
            site = _snippet(route.program, changes or {})
            config.write_text(configure(route, site, self.netloc, listener.fileno(), upstream))
            self._process = _start(route.program, config, listener.fileno(), self._log)

    def close(self) -> None:
        """Kill it with its workers; what it said is shown if the test failed."""
        end(self._process, self._log)


def run(command: list[str], log: pathlib.Path, listener: int = -1) -> subprocess.Popen[bytes]:
    """Start a program, which may inherit a socket."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={**os.environ, "PATH": PATH, "NGINX": f"{listener};"},  # nginx: what it inherits
            pass_fds=[listener] if listener >= 0 else [],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    """Kill a program with its workers; what it said is shown if the test failed."""
    if process.returncode is None:  # later its number may be somebody else's
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(WATCHDOG)
        print(log.read_text(errors="replace"))


def _start(
    program: str, config: pathlib.Path, listener: int, log: pathlib.Path
) -> subprocess.Popen[bytes]:
    folder = config.parent
    command = {
        "nginx": ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)],
        "haproxy": ["haproxy", "-db", "-f", str(config)],
    }[program]
    return run(command, log, listener)


def _snippet(program: str, changes: dict[str, str]) -> str:
    """Return the configuration that README shows, changed."""
    found = re.search(rf"^```{program}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert found is not None
    return _changed(found[1], changes)


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert text.count(old) == 1, f"README has not one {old!r}"
        text = text.replace(old, new)
    return text


def _nginx(route: Route, site: str, netloc: str, listener: int, upstream: str) -> str:
    tls = f" ssl; ssl_certificate {PEM}; ssl_certificate_key {PEM}" if route.secure else ""
    server = f"unix:{upstream}:" if route.unix else upstream
    changes = {"listen 80": f"listen {netloc}{tls}", "127.0.0.1:8765": server}
    return NGINX.format(
        user="user root;" if os.geteuid() == 0 else "",  # else the user is who runs it
        folder=".",
        site=_changed(site, changes),
    )


def _haproxy(route: Route, site: str, netloc: str, listener: int, upstream: str) -> str:
    tls = f" ssl crt {PEM}" if route.secure else ""
    server = f"unix@{upstream}" if route.unix else upstream
    return _changed(site, {"bind :80": f"bind fd@{listener}{tls}", "127.0.0.1:8765": server})
