"""The handler that all applications here serve: it echoes, and does what it is told."""

from __future__ import annotations

import logging

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
log = logging.getLogger("conversation")


def converse(ws):
    """Echo; "close CODE REASON" closes, "raise" raises. Tells the log how it ended."""
    try:
        for message in ws:
            command, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
            if command == "close":
                code, _, reason = rest.partition(" ")
                ws.close(int(code), reason)
            elif command == "raise":
                raise ValueError("on purpose")
            else:
                ws.send(message)
    finally:
        log.info("%s ended: %s %s", ws.path, ws.close_code, ws.close_reason)
