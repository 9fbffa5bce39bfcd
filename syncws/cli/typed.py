"""What was typed at the prompt: a message, or a command. Waits for nothing."""

from __future__ import annotations

import dataclasses
from typing import Union

HELP = """\
  TEXT                    send TEXT as a message; what begins with / is a command, //x sends /x
  /ping                   send a Ping, and tell how long its Pong takes
  /binary 00 ff c0ffee    send these bytes as a Binary message
  /close [CODE [REASON]]  close the connection; without a code with 1000
  /help                   show this
  Ctrl-D                  close with 1000
  Ctrl-C                  the same, and end with exit code 130; again: do not wait for the server"""


@dataclasses.dataclass(frozen=True)
class Send:
    """Send a message."""

    message: str | bytes


@dataclasses.dataclass(frozen=True)
class SendPing:
    """Send a Ping."""


@dataclasses.dataclass(frozen=True)
class Close:
    """Close the connection."""

    code: int = 1000
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Say:
    """Do nothing, but say something to who typed it."""

    text: str


Action = Union[Send, SendPing, Close, Say]


def action_of(line: str) -> Action:
    """Return what a line asks for. What cannot be understood is answered by a Say."""
    if line.startswith("//"):
        return Send(line[1:])
    if not line.startswith("/"):
        return Send(line)
    command, _, rest = line.partition(" ")
    if command == "/ping":
        return SendPing()
    if command == "/help":
        return Say(HELP)
    if command == "/binary":
        return _binary(rest)
    if command == "/close":
        return _close(rest.split(maxsplit=1))
    return Say(f"there is no {command}; /help tells what there is, and //... sends a text with /")


def _binary(digits: str) -> Action:
    try:
        return Send(bytes.fromhex(digits))
    except ValueError:
        return Say("/binary takes bytes as pairs of hexadecimal digits: /binary 00 ff c0ffee")


def _close(words: list[str]) -> Action:
    if not words:
        return Close()
    # Any "digit" of Unicode is one for str.isdigit(), but not for int().
    if not (words[0].isascii() and words[0].isdigit()):
        return Say("/close takes a number and maybe a reason: /close 4000 out of coffee")
    return Close(int(words[0]), *words[1:])
