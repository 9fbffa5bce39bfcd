"""Other WebSocket implementations, each behind the few calls of ``remotes.base.Remote``."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import pytest

REQUIREMENTS = "pip install -r tests/peers/requirements.txt"


class Peer(NamedTuple):
    """
    What the tests know of an implementation before they load it.

    Attributes:
        name: for the names of the tests.
        module: the module in this package, with ``connect`` and, for a server, ``Listener``.
        install: how to install it.
        server: whether it has one.
        sends_fragments, sends_pings: whether its API can send a message in fragments, and Pings.
    """

    name: str
    module: str
    install: str = REQUIREMENTS
    server: bool = True
    sends_fragments: bool = True
    sends_pings: bool = True


PEERS = [
    Peer("websockets.sync", "websockets_sync"),
    Peer("websockets.asyncio", "websockets_asyncio"),
    Peer("websocket-client", "websocket_client", server=False),
    Peer("aiohttp", "with_aiohttp", sends_fragments=False),
    Peer("simple-websocket", "with_simple_websocket", sends_fragments=False),
    Peer("wsproto", "with_wsproto"),
    Peer(
        "node-ws",
        "node_ws",
        install="npm install --prefix DIR ws@8 && export NODE_PATH=DIR/node_modules, with Node.js",
    ),
    Peer(
        "chromium",
        "chromium",
        install="apt-get install chromium, on PATH as 'chromium'",
        server=False,
        sends_fragments=False,
        sends_pings=False,
    ),
]


def load(peer: Peer) -> ModuleType:
    """Import the module of a peer, or skip the test."""
    if peer.name in PROGRAMS and not PROGRAMS[peer.name]():
        missing(peer.name, peer.install)
    try:
        return importlib.import_module(f"peers.remotes.{peer.module}")
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("peers"):
            raise
        return missing(peer.name, peer.install)


def missing(name: str, install: str) -> ModuleType:
    """Skip the test, or fail it where all peers must be there."""
    text = f"{name} is not installed: {install}"
    if os.environ.get("SYNCWS_REQUIRE_PEERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


@functools.cache
def _node_has_ws() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    found = subprocess.run([node, "-e", "require('ws')"], stderr=subprocess.DEVNULL, check=False)
    return found.returncode == 0


def _has_chromium() -> bool:
    return shutil.which("chromium") is not None


# The peers that are programs, and how to find out whether they are here.
PROGRAMS = {"node-ws": _node_has_ws, "chromium": _has_chromium}


def those(fact: Callable[[Peer], bool] = lambda peer: True) -> pytest.MarkDecorator:
    """Parametrize the fixture ``meet`` over the peers of which a fact holds, in both roles."""
    params = []
    for peer in filter(fact, PEERS):
        if peer.server:
            params.append(pytest.param((peer, "server"), id=f"to-{peer.name}"))
        params.append(pytest.param((peer, "client"), id=f"from-{peer.name}"))
    return pytest.mark.parametrize("meet", params, indirect=True)
