"""What happened on a connection, as lines of text or as JSON lines. Waits for nothing."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json

from ..events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from .shown import escaped

RECEIVED, SENT = "received", "sent"


@dataclasses.dataclass(frozen=True)
class Record:
    """
    One thing that happened.

    Attributes:
        kind: ``text``, ``binary``, ``ping``, ``pong``, ``open`` or ``close``.
        data: of the message; the URL of an opening, the reason of a close.
        time: seconds since 1970.
        elapsed: seconds since the connection was opened.
        direction: ``received`` or ``sent``.
        code: of a close.
    """

    kind: str
    data: str | bytes
    time: float
    elapsed: float
    direction: str = RECEIVED
    code: int | None = None

    @property
    def is_message(self) -> bool:
        """Whether it is a message, not what goes on beside the messages."""
        return self.kind in ("text", "binary")


def record_of(event: Event, time: float, elapsed: float) -> Record:
    """
    Turn an event into a record.

    Raises:
        TypeError: it is none that a connection has.
    """
    if isinstance(event, (TextMessage, BytesMessage)):
        return message_record(event.data, time, elapsed)
    if isinstance(event, CloseConnection):
        return Record("close", event.reason or "", time, elapsed, code=event.code)
    if isinstance(event, (Ping, Pong)):
        return Record(type(event).__name__.lower(), event.payload, time, elapsed)
    raise TypeError(f"not an event of a connection: {event!r}")


def message_record(
    data: str | bytes, time: float, elapsed: float, direction: str = RECEIVED
) -> Record:
    """Return the record of a message."""
    return Record("text" if isinstance(data, str) else "binary", data, time, elapsed, direction)


def json_line(record: Record, timings: bool) -> str:
    """Return a record as one line of JSON, all ASCII: no terminal is harmed."""
    data = record.data
    when = datetime.datetime.fromtimestamp(record.time, datetime.timezone.utc)
    fields: dict[str, object] = {"time": when.isoformat(timespec="microseconds")}
    if timings:
        fields["elapsed"] = round(record.elapsed, 6)
    fields.update(direction=record.direction, kind=record.kind)
    if record.code is not None:
        fields["code"] = record.code
    if isinstance(data, str):
        fields.update(size=len(data.encode(errors="surrogatepass")), data=data)
    else:
        fields.update(size=len(data), data=base64.b64encode(data).decode("ascii"))
    return json.dumps(fields)


def text_line(record: Record, timings: bool) -> str:
    """Return a message as one line; bytes are hex digits behind ``0x``."""
    data = record.data
    line = escaped(data) if isinstance(data, str) else f"0x{data.hex()}"
    return f"{record.elapsed:.6f} {line}" if timings else line
