"""What the tests ask of another implementation, and what several of them need for it."""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Union

from support.threads import WATCHDOG

Message = Union[str, bytes]

# How long an implementation that has time limits of its own may take.
PATIENCE = WATCHDOG


class Gone(Exception):
    """The connection is closed. ``code`` is 1006 if no Close frame came."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Remote:
    """
    The other end of a connection: another implementation, driven by the test.

    All calls block until it is done, with a watchdog. Some implementations answer Pings and Closes
    only while they are asked for a message, so a test has to ask.

    Attributes:
        subprotocol: what was agreed on, or ``None``.
        close_answer: the code with which it answers a Close frame: ``None`` for the code received,
            which RFC 6455 section 5.5.1 calls typical, or 1006 for no answer at all.
    """

    subprotocol: str | None = None
    close_answer: int | None = None

    def send(self, message: Message) -> None:
        """Send a Text or Binary message."""
        raise NotImplementedError

    def send_fragments(self, parts: Sequence[Message]) -> None:
        """Send a message in fragments."""
        raise NotImplementedError

    def recv(self) -> Message:
        """Return the next message, or raise ``Gone``."""
        raise NotImplementedError

    def ping(self, payload: bytes) -> None:
        """Send a Ping and wait for its Pong."""
        raise NotImplementedError

    def close(self, code: int, reason: str) -> None:
        """Do the closing handshake."""
        raise NotImplementedError

    def vanish(self) -> None:
        """Cut TCP without a Close frame."""
        raise NotImplementedError

    def release(self) -> None:
        """Give back what this end holds; our end is gone already."""

    def closed(self) -> tuple[int, str]:
        """Wait for the end without a further message; return its code and reason."""
        try:
            message = self.recv()
        except Gone as gone:
            return gone.code, gone.reason
        raise AssertionError(f"received {message!r}; expected the end")


class Listener:
    """
    A server of another implementation, on a free port of 127.0.0.1.

    Args:
        subprotocols: what it supports.
        context: for TLS.
    """

    port: int

    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        raise NotImplementedError

    def accept(self) -> Remote:
        """Wait for a client and its opening handshake."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop; its connections are released already."""
        raise NotImplementedError


class Arrivals:
    """Hands remotes from the handlers of a server to the test."""

    def __init__(self) -> None:
        self._remotes: queue.Queue[Remote] = queue.Queue()

    def put(self, remote: Remote) -> None:
        """Announce a connection."""
        self._remotes.put(remote)

    def get(self) -> Remote:
        """Wait for a connection."""
        return self._remotes.get(timeout=WATCHDOG)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="peer-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine there; return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WATCHDOG)

    def call(self, function: Any, *args: Any) -> None:
        """Call a function there, without waiting."""
        self.loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """Stop the loop once its tasks are done, cancelled if need be."""
        self.run(self._finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WATCHDOG)
        self.loop.close()

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


def as_text(part: Message) -> bytes:
    """Encode a part of a message, whichever kind it is."""
    return part.encode() if isinstance(part, str) else part


def joined(parts: Iterable[Message]) -> Message:
    """Join the parts of a message."""
    parts = list(parts)
    return type(parts[0])().join(parts)  # type: ignore[arg-type]
