"""Every knob of a connection, once: its meaning, unit, default and valid range."""

from __future__ import annotations

import dataclasses
import math
from typing import TypedDict


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
        max_queue_bytes: the same in bytes. Both are checked after each read of up to 64 KiB.
        fragment_size: longer messages are sent in fragments, so that Pings and Pongs pass between.
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

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by name."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None:
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
