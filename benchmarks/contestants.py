"""Who is measured."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

OURS = ("syncws-c", "syncws-pure", "syncws-aio")


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A library in one of its flavours."""

    name: str
    title: str
    adapter: str  # module in adapters/
    distributions: tuple[str, ...]  # what must be installed
    roles: tuple[str, ...] = ("client", "server")
    pure: bool = False  # syncws without its C codec
    facade: bool = False  # syncws in an event loop: only in scenarios that name it

    @property
    def versions(self) -> dict[str, str]:
        """The versions of what is installed."""
        return {name: importlib.metadata.version(name) for name in self.distributions}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the subprocesses."""
        environment = {key: value for key, value in os.environ.items() if key != "SYNCWS_PURE"}
        return {**environment, "SYNCWS_PURE": "1"} if self.pure else environment

    def missing(self) -> str:
        """Say why it cannot be measured here, or nothing."""
        for name in self.distributions:
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return f"{name} is not installed"
        if self.name in OURS and _accelerated(self.environment) == self.pure:
            return "SYNCWS_PURE=1 does nothing" if self.pure else "the C codec is not built"
        return ""


ALL = (
    Contestant("syncws-c", "syncws (C)", "syncws_threads", ("syncws",)),
    Contestant("syncws-pure", "syncws (pure Python)", "syncws_threads", ("syncws",), pure=True),
    Contestant("syncws-aio", "syncws.aio", "syncws_aio", ("syncws",), facade=True),
    Contestant(
        "syncws-aio-uvloop",
        "syncws.aio (uvloop)",
        "syncws_aio_uvloop",
        ("syncws", "uvloop"),
        facade=True,
    ),
    Contestant("websockets-sync", "websockets.sync", "websockets_sync", ("websockets",)),
    Contestant("websockets-asyncio", "websockets.asyncio", "websockets_asyncio", ("websockets",)),
    Contestant(
        "websocket-client",
        "websocket-client",
        "websocket_client",
        ("websocket-client",),
        roles=("client",),
    ),
    Contestant(
        "simple-websocket",
        "simple-websocket",
        "simple_websocket_threads",
        ("simple-websocket",),
    ),
    Contestant("aiohttp", "aiohttp (uvloop)", "aiohttp_uvloop", ("aiohttp", "uvloop")),
    Contestant("picows", "picows (uvloop)", "picows_uvloop", ("picows", "uvloop")),
)
BY_NAME = {contestant.name: contestant for contestant in ALL}


def _accelerated(environment: dict[str, str]) -> bool:
    """Ask a syncws in such an environment whether it uses its C codec."""
    code = (
        "import json, syncws.sansio.codec as codec;"
        "print(json.dumps(bool(getattr(codec, 'ACCELERATED', False))))"
    )
    command = [sys.executable, "-c", code]
    # From this folder, so that it finds the same syncws as worker.py: the installed one.
    here = pathlib.Path(__file__).parent
    done = subprocess.run(command, env=environment, cwd=here, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
