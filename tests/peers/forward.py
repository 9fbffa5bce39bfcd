"""Forward proxies that others have made, as processes of their own: HTTP, HTTPS, SOCKS."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket

from peers.proxies import PATH, PEM, end, run
from peers.remotes import missing
from support.threads import eventually

LOGIN = "me:hunter2@"

# Each word in capital letters is filled in.
COMMANDS = {
    "tinyproxy": "tinyproxy -d -c CONFIG",
    "haproxy": "haproxy -db -f CONFIG",
    "danted": "danted -f CONFIG",
    "microsocks": "microsocks -i 127.0.0.1 -p PORT -u me -P hunter2",
    "v2ray": "v2ray -config CONFIG",
}
CONFIGS = {
    "tinyproxy": """
        Port PORT
        Listen 127.0.0.1
        Timeout 600
        LogLevel Connect
        BasicAuth me hunter2
    """,
    # Speaks TLS for tinyproxy.
    "haproxy": f"""
        defaults
            mode tcp
            timeout connect 5s
            timeout client 60s
            timeout server 60s
        listen proxy
            bind 127.0.0.1:PORT ssl crt {PEM}
            server tinyproxy 127.0.0.1:INNER
    """,
    "danted": """
        logoutput: stderr
        internal: 127.0.0.1 port = PORT
        external: 127.0.0.1
        clientmethod: none
        socksmethod: none
        client pass {
            from: 127.0.0.0/8 to: 0.0.0.0/0
        }
        socks pass {
            from: 127.0.0.0/8 to: 0.0.0.0/0
            proxyprotocol: socks_v4 socks_v5
        }
    """,
    "microsocks": "",
    # The one in Debian that knows SOCKS4a.
    "v2ray": """{
        "inbounds": [{
            "listen": "127.0.0.1", "port": PORT, "protocol": "socks", "settings": {"auth": "noauth"}
        }],
        "outbounds": [{"protocol": "freedom", "settings": {}}]
    }""",
}
PACKAGES = {"danted": "dante-server"}


class Forward:
    """
    A running forward proxy, which speaks TLS if another one is ``behind`` it.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, program: str, folder: pathlib.Path, behind: Forward | None = None) -> None:
        if shutil.which(program, path=PATH) is None:
            missing(program, f"apt-get install {PACKAGES.get(program, program)}")
        config = folder / f"{program}.conf"
        self._log = folder / f"{program}.log"
        # None of them takes a socket that listens already. So one may lose its port to somebody
        # else, and end; then it gets another.
        for _ in range(3):
            self.port = _free_port()
            words = {"PORT": self.port, "CONFIG": config, "INNER": behind.port if behind else 0}
            config.write_text(_filled(CONFIGS[program], words).rstrip(" "))
            self._process = run(_filled(COMMANDS[program], words).split(), self._log)
            eventually(lambda: self._process.poll() is not None or self._listens(), program)
            if self._process.poll() is None:
                return
        raise AssertionError(f"{program} does not start:\n{self._log.read_text()}")

    def _listens(self) -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def close(self) -> None:
        """Kill it; what it said is shown if the test failed."""
        end(self._process, self._log)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def _filled(text: str, words: dict[str, object]) -> str:
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text
