"""What the tests of callback servers share, blocking and asyncio."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from support.peer import Peer


class Reached:
    """Base of a server that its test connects to."""

    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @contextlib.contextmanager
    def peer(self) -> Iterator[Peer]:
        """Yield a scripted client."""
        with Peer.connecting(("127.0.0.1", self.port)) as peer:
            yield peer
