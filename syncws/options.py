"""Every knob of a connection, once: its meaning, unit, default and valid range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TypedDict, cast

MIN_WINDOW_BITS, MAX_WINDOW_BITS = 8, 15  # RFC 7692 section 7.1.2


@dataclasses.dataclass(frozen=True)
class Deflate:
    """
    Settings of permessage-deflate (RFC 7692), for ``compression=``; the defaults spare memory.

    A connection needs nothing for it until the first message is compressed. From then on, with
    ``b`` for the window bits and ``m`` for the memory level, it keeps about ``2**(b+2) + 2**(m+9)``
    bytes to send and ``2**b`` to receive, each with 10 KiB more: 60 KiB in all by default, 310 KiB
    with 15 bits and level 8. Without context takeover it is nothing between messages.

    Attributes:
        server_no_context_takeover, client_no_context_takeover: whether the server, or the client,
            compresses each message for itself: less memory, worse compression.
        server_max_window_bits, client_max_window_bits: how far, as a power of 2, the server, or the
            client, may refer back: 8 to 15. The server's are 12 if ``None``; but then a client asks
            for nothing, since some servers do not know how to answer.
        level: of zlib, 0 (none) to 9 (best).
        memory_level: of zlib, 1 (least) to 9 (fastest).
        threshold: bytes; shorter messages go as they are, unless ``send(compress=True)`` says so.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int = 12
    level: int = 6
    memory_level: int = 5
    threshold: int = 256

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by name."""
        for name, low, high in (
            ("server_max_window_bits", MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            ("client_max_window_bits", MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            ("level", 0, 9),
            ("memory_level", 1, 9),
            ("threshold", 0, None),
        ):
            value = getattr(self, name)
            if value is None and name == "server_max_window_bits":
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}={value!r}; expected an int")
            if value < low or (high is not None and value > high):
                expected = f"{low} or more" if high is None else f"{low} to {high}"
                raise ValueError(f"{name}={value!r}; expected {expected}")


@dataclasses.dataclass(frozen=True)
class Options:
    """
    What ``connect()`` and ``ThreadingServer`` pass on to each Connection.

    Times are seconds, sizes bytes; ``None`` means no limit, or "never" for the keepalive.

    A connection's memory is bounded by about ``max_size`` (the message that is arriving) plus 1 MiB
    with the defaults: ``max_queue_bytes`` and one read of messages that wait to be received, and
    the outbox of control frames. A text costs more where Python stores it wider than UTF-8 does.

    Attributes:
        open_timeout: for the whole opening handshake: DNS, TCP, TLS and HTTP together.
        ping_interval: between the Pings of the keepalive; ``None`` turns it off.
        ping_timeout: silence after a Ping that means the peer is dead. Any received byte counts as
            life, and so does any byte that the peer takes from us.
        close_timeout: for the closing handshake, then TCP is cut.
        send_timeout: for ``send()`` calls that give none.
        max_size: of one received message; a longer one closes with 1009.
        max_fragments: of one received message.
        max_queue: messages that wait to be received; then TCP's flow control holds the peer back.
        max_queue_bytes: the same in bytes. Both are checked after each read of up to 64 KiB,
            or each 256 to 512 KiB that were inflated.
        fragment_size: longer messages are sent in fragments, so that Pings and Pongs pass between.
        compression: ``"deflate"`` does as ``Deflate()`` says; ``Deflate(...)`` has settings of your
            own; ``None`` neither offers nor accepts it.
    """

    open_timeout: float | None = 10.0
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    close_timeout: float | None = 10.0
    send_timeout: float | None = None
    max_size: int | None = 2**20
    max_fragments: int | None = 2**17
    max_queue: int | None = 4096
    max_queue_bytes: int | None = 2**19
    fragment_size: int | None = 2**20
    compression: Deflate | str | None = "deflate"

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by name."""
        if self.compression != "deflate" and not isinstance(
            self.compression, (Deflate, type(None))
        ):
            raise TypeError(
                f'compression={self.compression!r}; expected "deflate", Deflate(...) or None'
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None or field.name == "compression":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
                raise TypeError(f"{field.name}={value!r}; expected a number or None")
            if field.name.endswith(("timeout", "interval")):
                if value <= 0:
                    raise ValueError(
                        f"{field.name}={value!r} seconds; expected more than 0, or None"
                    )
            elif not isinstance(value, int):
                raise TypeError(f"{field.name}={value!r}; expected an int or None")
            elif value < (0 if field.name == "max_size" else 1):
                raise ValueError(f"{field.name}={value!r}; expected 1 or more, or None")

    @property
    def deflate(self) -> Deflate | None:
        """What ``compression`` says, in full."""
        return self.compression if not isinstance(self.compression, str) else _DEFLATE


_DEFLATE = Deflate()
_NAMES = [field.name for field in dataclasses.fields(Options)]


class OptionsDict(TypedDict, total=False):
    """The fields of Options as keyword arguments."""

    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float | None
    send_timeout: float | None
    max_size: int | None
    max_fragments: int | None
    max_queue: int | None
    max_queue_bytes: int | None
    fragment_size: int | None
    compression: Deflate | str | None


def options_of(arguments: Mapping[str, object]) -> Options:
    """
    Return the Options of keyword arguments.

    Raises:
        TypeError, ValueError: one of them is unknown, or cannot be used.
    """
    for name in arguments:
        if name not in _NAMES:
            raise TypeError(
                f"unexpected keyword argument {name!r}; the options of a connection are "
                f"{', '.join(_NAMES)}"
            )
    return Options(**cast(OptionsDict, arguments))
