"""The closing handshake: what must hold for the table as a whole, and the story of each row."""

from __future__ import annotations

import pytest

from syncws.codes import Role, State
from syncws.sansio.closing import TABLE, Action, Closing, Input, Phase, render_table

ROLES = [Role.CLIENT, Role.SERVER]
ENDS = [Input.END_OF_STREAM, Input.ABORT_CALLED]


def explore():
    """
    Walk all paths from OPEN; return every transition that can happen.

    Each is (closes sent before, timer armed before, phase, input, step).
    """
    transitions = []
    seen = set()
    todo = [(0, False, Phase.OPEN)]
    while todo:
        closes, armed, phase = here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        for (start, happened), step in TABLE.items():
            # A timer that was never armed cannot lapse; more than two Closes need no exploring.
            if start is phase and (armed or happened is not Input.TIMER_LAPSED) and closes < 2:
                transitions.append((closes, armed, phase, happened, step))
                closes_after = closes + (Action.SEND_CLOSE in step.actions)
                todo.append((closes_after, armed or Action.ARM_TIMER in step.actions, step.phase))
    return transitions


def walk(role, *inputs):
    """Return where the inputs lead, and the actions on the way."""
    closing = Closing(role)
    return closing, [action for happened in inputs for action in closing.step(happened)]


# Properties of the whole.


def test_every_row_can_be_reached():
    """No row of the table is dead."""
    reached = {(phase, happened) for _, _, phase, happened, _ in explore()}

    assert reached == set(TABLE)


def test_a_close_is_sent_at_most_once_on_any_path():
    """Whatever happens in whatever order, a second Close is never sent."""
    second = [
        (phase, happened)
        for closes, _, phase, happened, step in explore()
        if closes and Action.SEND_CLOSE in step.actions
    ]

    assert second == []


@pytest.mark.parametrize("happened", ENDS)
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.CLOSED])
def test_every_open_end_is_closed_by_the_end_of_the_connection(phase, happened):
    """From every phase but CLOSED, the end of the stream and abort() lead to CLOSED."""
    assert TABLE[phase, happened].phase is Phase.CLOSED


def test_wherever_the_timer_is_armed_its_lapse_closes():
    """In every phase that is reached with the timer armed, it ends the connection."""
    armed = {phase for _, armed, phase, _, _ in explore() if armed}

    assert armed == {Phase.CLOSE_SENT, Phase.CLOSE_ECHOED, Phase.FAILED}
    assert {TABLE[phase, Input.TIMER_LAPSED].phase for phase in armed} == {Phase.CLOSED}


def test_closing_never_waits_without_a_timer():
    """Every phase between OPEN and CLOSED is only ever reached with the timer armed."""
    waiting = {armed for _, armed, phase, _, _ in explore() if phase is not Phase.OPEN}

    assert waiting == {True}


def test_closed_is_final():
    """Nothing leads out of CLOSED."""
    assert [phase for phase, _ in TABLE if phase is Phase.CLOSED] == []


def test_no_row_leads_back():
    """The end only ever comes nearer."""
    order = [Phase.OPEN, Phase.CLOSE_SENT, Phase.CLOSE_ECHOED, Phase.FAILED, Phase.CLOSED]

    back = [key for key, step in TABLE.items() if order.index(step.phase) < order.index(key[0])]

    assert back == []


def test_the_end_is_reported_exactly_when_it_comes():
    """Every row that leads to CLOSED reports it, and no other."""
    reporting = {key for key, step in TABLE.items() if Action.REPORT in step.actions}

    assert reporting == {key for key, step in TABLE.items() if step.phase is Phase.CLOSED}


def test_the_reader_is_unparked_exactly_when_the_end_begins():
    """Every row that leads from OPEN into waiting drains the queue and arms the timer."""
    draining = {key for key, step in TABLE.items() if Action.DRAIN in step.actions}

    leaving = {
        key
        for key, step in TABLE.items()
        if key[0] is Phase.OPEN and step.phase not in (Phase.OPEN, Phase.CLOSED)
    }
    assert draining == leaving
    assert leaving == {key for key, step in TABLE.items() if Action.ARM_TIMER in step.actions}


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.CLOSE_ECHOED])
def test_data_after_the_end_is_discarded(phase):
    """After a broken rule or the peer's Close, whatever else arrives is thrown away."""
    step = TABLE[phase, Input.DATA_RECEIVED]

    assert (step.phase, step.actions) == (phase, (Action.DISCARD,))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.CLOSED])
def test_data_is_handled_in_one_way_in_every_phase(phase):
    """Data received keeps the phase and is either delivered or discarded."""
    step = TABLE[phase, Input.DATA_RECEIVED]

    assert step.phase is phase
    assert len(step.actions) == 1
    assert step.actions[0] in (Action.DELIVER, Action.DELIVER_IF_ROOM, Action.DISCARD)


def test_every_row_names_its_section_of_the_rfc():
    """Each row says which section of RFC 6455 it stands for."""
    assert [key for key, step in TABLE.items() if not step.rfc] == []


# Stories.


@pytest.mark.parametrize(
    ("role", "half_close"), [(Role.CLIENT, []), (Role.SERVER, [Action.HALF_CLOSE])]
)
def test_our_close_answered(role, half_close):
    """We send Close and wait; the answer makes a server half-close and a client wait on."""
    closing, actions = walk(role, Input.CLOSE_CALLED, Input.CLOSE_RECEIVED)

    assert actions == [Action.SEND_CLOSE, Action.ARM_TIMER, Action.DRAIN, *half_close]
    assert closing.phase is Phase.CLOSE_ECHOED
    assert closing.step(Input.END_OF_STREAM) == (Action.REPORT,)
    assert closing.phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("role", "half_close"), [(Role.CLIENT, []), (Role.SERVER, [Action.HALF_CLOSE])]
)
def test_the_peers_close(role, half_close):
    """The peer's Close is answered at once, and only a server half-closes."""
    closing, actions = walk(role, Input.CLOSE_RECEIVED)

    assert actions == [Action.SEND_CLOSE, Action.ARM_TIMER, Action.DRAIN, *half_close]
    assert closing.phase is Phase.CLOSE_ECHOED


@pytest.mark.parametrize("role", ROLES)
def test_a_broken_rule_fails_the_connection(role):
    """A broken rule is answered by Close and half-close in both roles, then all is discarded."""
    closing, actions = walk(role, Input.RULE_BROKEN, Input.DATA_RECEIVED)

    assert actions == [
        Action.SEND_CLOSE,
        Action.ARM_TIMER,
        Action.DRAIN,
        Action.HALF_CLOSE,
        Action.DISCARD,
    ]
    assert closing.phase is Phase.FAILED


@pytest.mark.parametrize("role", ROLES)
def test_a_broken_rule_after_our_close(role):
    """Once our Close is out, a broken rule is not answered by another."""
    closing, actions = walk(role, Input.CLOSE_CALLED, Input.RULE_BROKEN)

    assert actions == [Action.SEND_CLOSE, Action.ARM_TIMER, Action.DRAIN, Action.HALF_CLOSE]
    assert closing.phase is Phase.FAILED


@pytest.mark.parametrize("role", ROLES)
def test_a_silent_peer_is_given_up(role):
    """The keepalive sends a Close and cuts the connection at once."""
    closing, actions = walk(role, Input.PEER_SILENT)

    assert actions == [Action.SEND_CLOSE, Action.ABORT, Action.REPORT]
    assert closing.phase is Phase.CLOSED


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("first", [Input.CLOSE_CALLED, Input.CLOSE_RECEIVED, Input.RULE_BROKEN])
def test_an_end_that_does_not_come(first, role):
    """However the end began, if it does not come in time the connection is cut."""
    closing, actions = walk(role, first, Input.TIMER_LAPSED)

    assert actions[-2:] == [Action.ABORT, Action.REPORT]
    assert closing.phase is Phase.CLOSED


def test_data_after_our_close_is_still_delivered():
    """What the peer sent before it saw our Close arrives if there is room for it."""
    closing, actions = walk(Role.CLIENT, Input.CLOSE_CALLED, Input.DATA_RECEIVED)

    assert actions[-1] is Action.DELIVER_IF_ROOM
    assert closing.phase is Phase.CLOSE_SENT


@pytest.mark.parametrize("before", [[], [Input.CLOSE_RECEIVED], [Input.RULE_BROKEN]])
def test_closing_again_does_nothing(before):
    """close() after the end has begun, however it began, does nothing."""
    closing, _ = walk(Role.SERVER, *before, Input.CLOSE_CALLED)
    phase = closing.phase

    assert closing.step(Input.CLOSE_CALLED) == ()
    assert closing.phase is phase


@pytest.mark.parametrize("happened", list(Input))
def test_nothing_happens_after_the_end(happened):
    """In CLOSED every input changes nothing and asks for nothing."""
    closing, _ = walk(Role.CLIENT, Input.END_OF_STREAM)

    assert closing.step(happened) == ()
    assert closing.phase is Phase.CLOSED


def test_a_timer_that_is_not_armed_changes_nothing():
    """What has no row, such as a late timer while OPEN, changes nothing."""
    closing, actions = walk(Role.CLIENT, Input.TIMER_LAPSED)

    assert actions == []
    assert closing.phase is Phase.OPEN


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("key", TABLE, ids=lambda key: f"{key[0].value}-{key[1].name}")
def test_step_does_what_the_table_says(key, role):
    """A step leads where the row says, with the half-close that belongs to the role."""
    closing = Closing(role)
    closing.phase = key[0]

    actions = closing.step(key[1])

    assert closing.phase is TABLE[key].phase
    assert Action.HALF_CLOSE_IF_SERVER not in actions
    assert len(actions) == len(TABLE[key].actions) - (
        Action.HALF_CLOSE_IF_SERVER in TABLE[key].actions and role is Role.CLIENT
    )


@pytest.mark.parametrize(
    ("inputs", "state"),
    [
        ([], State.OPEN),
        ([Input.CLOSE_CALLED], State.CLOSING),
        ([Input.CLOSE_RECEIVED], State.CLOSING),
        ([Input.RULE_BROKEN], State.CLOSING),
        ([Input.ABORT_CALLED], State.CLOSED),
    ],
)
def test_state_is_in_the_words_of_the_rfc(inputs, state):
    """The phases between OPEN and CLOSED are all CLOSING to the outside."""
    closing, _ = walk(Role.CLIENT, *inputs)

    assert closing.state is state


# The table for people.


def test_render_table_lists_every_row():
    """The Markdown has a header and one line of five cells for each row of the table."""
    header, ruler, *rows = render_table().splitlines()

    assert header == "| phase | input | next | actions | RFC 6455 |"
    assert ruler == "|---|---|---|---|---|"
    assert [tuple(row.split(" | ")[:2]) for row in rows] == [
        (f"| {phase.value}", happened.value) for phase, happened in TABLE
    ]
    assert {row.count("|") for row in rows} == {6}


def test_render_table_puts_actions_in_words():
    """A row names its actions in words, or says that there is nothing to do."""
    rows = render_table().splitlines()

    assert (
        "| OPEN | end of stream | CLOSED | report the peer's code, or 1006 | 7.1.4, 7.1.5 |" in rows
    )
    assert "| CLOSE_SENT | close() called | CLOSE_SENT | nothing | 7.1.2 |" in rows
