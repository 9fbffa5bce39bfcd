"""
The closing handshake: one table (RFC 6455 section 7) and the few lines that walk it.

Everything that decides what happens when a connection ends stands in ``TABLE``. This file does not
know how an action is done: it neither sends nor waits.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from ..codes import Role, State


class Phase(enum.Enum):
    """How far the end of the connection has come; each name says who did what."""

    OPEN = "OPEN"
    CLOSE_SENT = "CLOSE_SENT"
    CLOSE_ECHOED = "CLOSE_ECHOED"
    FAILED = "FAILED"
    CLOSED = "CLOSED"


class Input(enum.Enum):
    """What can happen to a connection, as far as its end is concerned."""

    CLOSE_CALLED = "close() called"
    CLOSE_RECEIVED = "Close received"
    RULE_BROKEN = "rule broken by the peer"
    PEER_SILENT = "keepalive: peer silent"
    DATA_RECEIVED = "data received"
    END_OF_STREAM = "end of stream"
    TIMER_LAPSED = "close timer lapsed"
    ABORT_CALLED = "abort() called"


class Action(enum.Enum):
    """What is to be done about it, in the order of the table."""

    SEND_CLOSE = "send Close"
    ARM_TIMER = "arm the close timer"
    DRAIN = "let the reader no longer park"
    DELIVER = "deliver"
    DELIVER_IF_ROOM = "deliver while there is room"
    DISCARD = "discard"
    HALF_CLOSE = "half-close TCP"
    HALF_CLOSE_IF_SERVER = "server: half-close TCP"
    ABORT = "abort TCP"
    REPORT = "report the peer's code, or 1006"


class Step(NamedTuple):
    """One row's outcome."""

    phase: Phase
    actions: tuple[Action, ...]
    rfc: str = ""


_P, _I, _A = Phase, Input, Action
_END = Step(_P.CLOSED, (_A.REPORT,), "7.1.4, 7.1.5")
_ABORT = Step(_P.CLOSED, (_A.ABORT, _A.REPORT), "7.1.7")
_GIVE_UP = Step(_P.CLOSED, (_A.SEND_CLOSE, _A.ABORT, _A.REPORT), "7.1.7")
_NOTHING: tuple[Action, ...] = ()

TABLE: dict[tuple[Phase, Input], Step] = {
    (_P.OPEN, _I.CLOSE_CALLED): Step(
        _P.CLOSE_SENT, (_A.SEND_CLOSE, _A.ARM_TIMER, _A.DRAIN), "7.1.2"
    ),
    (_P.OPEN, _I.CLOSE_RECEIVED): Step(
        _P.CLOSE_ECHOED,
        (_A.SEND_CLOSE, _A.ARM_TIMER, _A.DRAIN, _A.HALF_CLOSE_IF_SERVER),
        "5.5.1, 7.1.1",
    ),
    (_P.OPEN, _I.RULE_BROKEN): Step(
        _P.FAILED, (_A.SEND_CLOSE, _A.ARM_TIMER, _A.DRAIN, _A.HALF_CLOSE), "7.1.7"
    ),
    (_P.OPEN, _I.PEER_SILENT): _GIVE_UP,
    (_P.OPEN, _I.DATA_RECEIVED): Step(_P.OPEN, (_A.DELIVER,), "6.2"),
    (_P.OPEN, _I.END_OF_STREAM): _END,
    (_P.OPEN, _I.ABORT_CALLED): _ABORT,
    # Our Close is out; the peer may have sent more before it saw it.
    (_P.CLOSE_SENT, _I.CLOSE_CALLED): Step(_P.CLOSE_SENT, _NOTHING, "7.1.2"),
    (_P.CLOSE_SENT, _I.CLOSE_RECEIVED): Step(_P.CLOSE_ECHOED, (_A.HALF_CLOSE_IF_SERVER,), "7.1.1"),
    (_P.CLOSE_SENT, _I.RULE_BROKEN): Step(_P.FAILED, (_A.HALF_CLOSE,), "7.1.7"),
    (_P.CLOSE_SENT, _I.DATA_RECEIVED): Step(_P.CLOSE_SENT, (_A.DELIVER_IF_ROOM,), "1.4"),
    (_P.CLOSE_SENT, _I.END_OF_STREAM): _END,
    (_P.CLOSE_SENT, _I.TIMER_LAPSED): _ABORT,
    (_P.CLOSE_SENT, _I.ABORT_CALLED): _ABORT,
    # Both Close frames are out: only the end of the stream is left to wait for. A peer that does
    # not close TCP in time costs nothing but the wait: the handshake was clean all the same.
    (_P.CLOSE_ECHOED, _I.CLOSE_CALLED): Step(_P.CLOSE_ECHOED, _NOTHING, "7.1.2"),
    (_P.CLOSE_ECHOED, _I.DATA_RECEIVED): Step(_P.CLOSE_ECHOED, (_A.DISCARD,), "1.4, 5.5.1"),
    (_P.CLOSE_ECHOED, _I.END_OF_STREAM): _END,
    (_P.CLOSE_ECHOED, _I.TIMER_LAPSED): _ABORT,
    (_P.CLOSE_ECHOED, _I.ABORT_CALLED): _ABORT,
    (_P.FAILED, _I.CLOSE_CALLED): Step(_P.FAILED, _NOTHING, "7.1.7"),
    (_P.FAILED, _I.DATA_RECEIVED): Step(_P.FAILED, (_A.DISCARD,), "7.1.7"),
    (_P.FAILED, _I.END_OF_STREAM): _END,
    (_P.FAILED, _I.TIMER_LAPSED): _ABORT,
    (_P.FAILED, _I.ABORT_CALLED): _ABORT,
}


class Closing:
    """Where one connection stands in the table. Not thread-safe: callers hold their lock."""

    __slots__ = ("_role", "phase")

    def __init__(self, role: Role) -> None:
        self.phase = Phase.OPEN
        self._role = role

    def step(self, happened: Input) -> tuple[Action, ...]:
        """Move on by one input; return what is to be done. What has no row changes nothing."""
        step = TABLE.get((self.phase, happened))
        if step is None:
            return _NOTHING
        self.phase = step.phase
        return tuple(filter(None, map(self._for_role, step.actions)))

    def _for_role(self, action: Action) -> Action | None:
        # RFC 6455 section 7.1.1: "the server MUST close the connection immediately, whereas the
        # client SHOULD wait for the server to close".
        if action is Action.HALF_CLOSE_IF_SERVER:
            return Action.HALF_CLOSE if self._role is Role.SERVER else None
        return action

    @property
    def state(self) -> State:
        """The state in the RFC's words."""
        if self.phase is Phase.OPEN:
            return State.OPEN
        return State.CLOSED if self.phase is Phase.CLOSED else State.CLOSING


def render_table() -> str:
    """Return the table in Markdown, as docs/design.md shows it."""
    lines = ["| phase | input | next | actions | RFC 6455 |", "|---|---|---|---|---|"]
    for (phase, happened), step in TABLE.items():
        actions = "; ".join(action.value for action in step.actions) or "nothing"
        lines.append(
            f"| {phase.value} | {happened.value} | {step.phase.value} | {actions} | {step.rfc} |"
        )
    return "\n".join(lines)
