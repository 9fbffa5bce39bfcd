"""One open connection, both roles: what bytes mean, and how the end is told."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import syncws.sansio
from support import wire
from syncws.codes import Opcode, Role, State
from syncws.exceptions import Close, MessageTooBig, ProtocolError
from syncws.sansio.assembler import Fragment
from syncws.sansio.closing import Action, Input, Phase
from syncws.sansio.protocol import Ping, Pong, Protocol, validated_close

ROLES = [Role.CLIENT, Role.SERVER]

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the role is only a parameter
)


@pytest.fixture(params=ROLES, ids=[role.value for role in ROLES])
def role(request):
    return request.param


@pytest.fixture
def protocol(role):
    return Protocol(role)


def inbound(role, *frames):
    """Return what the peer of this role sends: tuples of opcode, payload and perhaps FIN."""
    key = wire.KEY if role is Role.SERVER else None
    return b"".join(
        wire.frame(opcode, payload, fin=fin, key=key)
        for opcode, payload, fin in [(*frame, True)[:3] for frame in frames]
    )


def receive_all(protocol, pieces):
    return [fact for piece in pieces for fact in protocol.receive(piece)]


def batches_of(protocol, data):
    """Return what is told at a time."""
    batches = [protocol.receive(data)]
    while protocol.backlog:
        batches.append(protocol.receive(b""))
    return batches


def story(facts):
    """Return the facts with fragments joined to messages, and without the words of an error."""
    told = []
    parts = []
    for fact in facts:
        if isinstance(fact, Fragment):
            parts.append(fact.data)
            if fact.message_finished:
                told.append(parts[0][:0].join(parts))
                parts = []
        elif isinstance(fact, list):
            told += fact
        else:
            told.append("a rule was broken" if isinstance(fact, ProtocolError) else fact)
    return told


def code_of(facts):
    """Return the close code of the error that is the last fact."""
    assert isinstance(facts[-1], ProtocolError)
    assert not any(isinstance(fact, ProtocolError) for fact in facts[:-1])
    return facts[-1].code


EVERY_KIND = [
    (wire.TEXT, "Hello κόσμε".encode()),
    (wire.PING, b"ping"),
    (wire.TEXT, b"\xce", False),
    (wire.PONG, b""),
    (wire.CONT, b"", False),
    (wire.CONT, b"\xba"),
    (wire.BINARY, b"\xff" * 130),
    (wire.BINARY, b"\xff", False),
    (wire.CONT, b"\xfe"),
    (wire.TEXT, b""),
    (wire.CLOSE, b"\x03\xe8bye"),
    (wire.TEXT, b"too late"),
]
EVERY_FACT = [
    "Hello κόσμε",
    Ping(b"ping"),
    Pong(b""),
    "κ",
    b"\xff" * 130,
    b"\xff\xfe",
    "",
    Close(1000, "bye"),
]


# Receiving.


def test_receive_passes_on_whole_messages(protocol, role):
    """Whole messages that are together are given together."""
    data = inbound(role, (wire.TEXT, "é".encode()), (wire.BINARY, b"\xe9"), (wire.TEXT, b""))

    assert protocol.receive(data) == [["é", b"\xe9", ""]]


def test_receive_says_what_every_frame_means(protocol, role):
    """Control frames become facts of their own, fragments pieces of a message, in order."""
    data = inbound(
        role,
        (wire.TEXT, b"a", False),
        (wire.PING, b"p"),
        (wire.CONT, b"b"),
        (wire.PONG, b"q"),
        (wire.BINARY, b"c"),
        (wire.CLOSE, b"\x03\xe9bye"),
    )

    assert protocol.receive(data) == [
        Fragment("a", 1, True, False),
        Ping(b"p"),
        Fragment("b", 1, True, True),
        Pong(b"q"),
        [b"c"],
        Close(1001, "bye"),
    ]


def test_receive_gives_messages_together_up_to_a_control_frame(protocol, role):
    """All come in their order."""
    data = inbound(role, (wire.TEXT, b"a"), (wire.PING, b"p"), (wire.TEXT, b"b"), (wire.TEXT, b"c"))

    assert protocol.receive(data) == [["a"], Ping(b"p"), ["b", "c"]]


def test_receive_gives_messages_between_pieces_together(protocol, role):
    """Messages between the end of one cut frame and the beginning of another come together."""
    data = inbound(role, *[(wire.TEXT, b"abc")] * 4)
    size = len(data) // 4
    protocol.receive(data[: size - 1])

    facts = protocol.receive(data[size - 1 : -1])

    assert facts == [
        Fragment("c", 1, True, True),
        ["abc", "abc"],
        Fragment("ab", 2, False, False),
    ]


def test_receive_tells_of_a_flood_bit_by_bit(protocol, role):
    """So that an event loop has time for other things in between."""
    numbers = [b"%d" % number for number in range(1000)]
    data = inbound(role, *[(kind, each) for each in numbers for kind in (wire.PING, wire.BINARY)])

    batches = batches_of(protocol, data)

    assert max(map(len, batches)) <= 256
    told = [fact for batch in batches for fact in batch]
    assert told == [fact for each in numbers for fact in (Ping(each), [each])]
    assert protocol.receive(b"") == []


def test_receive_gives_a_flood_of_messages_at_once(protocol, role):
    """They cost little."""
    flood = [(wire.BINARY, b"x")] * 1000
    data = inbound(role, *flood, (wire.PING, b"p"), *flood)

    assert batches_of(protocol, data) == [[[b"x"] * 1000, Ping(b"p"), [b"x"] * 1000]]


def test_receive_ends_in_a_flood_with_the_rule_that_is_broken(protocol, role):
    """And looks at nothing behind it."""
    data = inbound(role, *[(wire.PING, b"")] * 300, (3, b""), *[(wire.PING, b"")] * 300)

    *pings, error = [fact for batch in batches_of(protocol, data) for fact in batch]

    assert pings == [Ping(b"")] * 300
    assert isinstance(error, ProtocolError)
    assert not protocol.backlog and protocol.receive(b"") == []


def test_receive_passes_on_a_long_frame_as_it_arrives(protocol, role):
    """A message in one frame that arrives in pieces comes out in pieces."""
    data = inbound(role, (wire.TEXT, b"abc"))

    batches = [protocol.receive(data[:-2]), protocol.receive(data[-2:])]

    assert batches == [
        [Fragment("a", 1, False, False)],
        [Fragment("bc", 2, True, True)],
    ]


def test_receive_of_less_than_a_frame_gives_nothing(protocol, role):
    """A header alone means nothing yet."""
    facts = protocol.receive(inbound(role, (wire.TEXT, b"abc"))[:1])

    assert facts == []


def test_receive_does_not_mind_where_the_stream_is_cut(role):
    """Whole, cut once anywhere, or byte by byte: the same messages and facts arrive."""
    data = inbound(role, *EVERY_KIND)

    stories = [story(receive_all(Protocol(role), pieces)) for pieces in wire.cuts(data)]

    assert stories == [EVERY_FACT] * (len(data) + 1)


def test_receive_counts_frames_however_they_arrive(role):
    """Every whole frame is counted once, be it a message, a fragment, in pieces or control."""
    data = inbound(role, *EVERY_KIND)
    protocols = [Protocol(role) for _ in range(len(data) + 1)]

    for protocol, pieces in zip(protocols, wire.cuts(data)):
        receive_all(protocol, pieces)

    assert {protocol.frames_received for protocol in protocols} == {len(EVERY_KIND) - 1}


def test_receive_does_not_count_a_frame_that_the_decoder_refuses(protocol, role):
    """A frame that is none is not counted."""
    protocol.receive(inbound(role, (wire.TEXT, b"a"), (0x3, b"")))

    assert protocol.frames_received == 1


def test_receive_counts_whole_messages_too(protocol, role):
    """The frames of a batch of whole messages are counted."""
    protocol.receive(inbound(role, (wire.TEXT, b"a"), (wire.TEXT, b"b")))

    assert protocol.frames_received == 2


# Rules. Whatever breaks one is the last fact.


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([(wire.CONT, b"x")], 1002, id="continuation of nothing"),
        pytest.param([(wire.TEXT, b"", False), (wire.TEXT, b"x")], 1002, id="whole in message"),
        pytest.param(
            [(wire.TEXT, b"", False), (wire.BINARY, b"x", False)], 1002, id="message in message"
        ),
        pytest.param([(wire.TEXT, b"\xff")], 1007, id="bad text"),
        pytest.param([(wire.TEXT, b"\xe2\x82", False), (wire.CONT, b"x")], 1007, id="bad fragment"),
        pytest.param([(wire.TEXT, b"\xf4\x90", False)], 1007, id="bad half of a character"),
        pytest.param([(wire.TEXT, b"\xe2", False), (wire.CONT, b"")], 1007, id="unfinished text"),
        pytest.param([(0x3, b"x")], 1002, id="reserved opcode"),
        pytest.param([(wire.PING, b"", False)], 1002, id="fragmented ping"),
        pytest.param([(wire.CLOSE, b"\x03")], 1002, id="close of one byte"),
        pytest.param([(wire.CLOSE, b"\x03\xed")], 1002, id="close code 1005"),
        pytest.param([(wire.CLOSE, b"\x03\xe8\xff")], 1007, id="bad close reason"),
        pytest.param([(wire.BINARY, bytes(101))], 1009, id="too big"),
        pytest.param(
            [(wire.BINARY, bytes(60), False), (wire.CONT, bytes(41))], 1009, id="too big together"
        ),
        pytest.param([(wire.TEXT, b"", False), (wire.CONT, bytes(101))], 1009, id="too big part"),
        pytest.param(
            [(wire.TEXT, b"", False), *[(wire.CONT, b"", False)] * 5], 1009, id="fragments"
        ),
    ],
)
def test_receive_ends_with_the_rule_that_is_broken(role, frames, code):
    """What came before the violation is delivered, then the error, then nothing more."""
    protocol = Protocol(role, max_size=100, max_fragments=5)
    data = inbound(role, (wire.TEXT, b"before"), *frames, (wire.TEXT, b"after"))

    facts = protocol.receive(data)

    assert facts[0] == ["before"]
    assert code_of(facts) == code
    assert protocol.receive(data) == []


def test_receive_takes_what_is_exactly_at_the_limits(role):
    """A message of as many bytes and fragments as are allowed passes, again and again."""
    protocol = Protocol(role, max_size=100, max_fragments=5)
    message = [(wire.TEXT, b"x" * 20, False), *[(wire.CONT, b"x" * 20, False)] * 3]
    data = inbound(role, *[*message, (wire.CONT, b"x" * 20), (wire.BINARY, bytes(100))] * 3)

    facts = protocol.receive(data)

    assert story(facts) == ["x" * 100, bytes(100)] * 3


def test_receive_holds_no_message_to_a_limit_that_is_not_set(protocol, role):
    """Without limits a long message of many fragments passes."""
    fragments = [(wire.CONT, b"x" * 1000, False)] * 2000
    data = inbound(role, (2, b"", False), *fragments, (wire.CONT, b""))

    facts = [fact for batch in batches_of(protocol, data) for fact in batch]

    assert story(facts) == [b"x" * 2_000_000]


def test_receive_tells_a_message_over_the_limit_from_other_errors(role):
    """Too long a message is the error that carries size and limit."""
    protocol = Protocol(role, max_size=100)

    facts = protocol.receive(inbound(role, (wire.TEXT, b"x" * 101)))

    assert isinstance(facts[0], MessageTooBig)
    assert (facts[0].size, facts[0].limit) == (101, 100)


@pytest.mark.parametrize("close", [b"", b"\x03\xe8", b"\x0f\xa0bye"])
def test_receive_looks_at_nothing_after_a_close(protocol, role, close):
    """A Close is the last fact: what follows, in this batch or later, is not looked at."""
    data = inbound(role, (wire.CLOSE, close), (wire.TEXT, b"late"), (0x3, b"wrong"))

    facts = protocol.receive(data)

    assert len(facts) == 1
    assert isinstance(facts[0], Close)
    assert protocol.receive(data) == []


def test_receive_reads_a_close_within_a_message(protocol, role):
    """A Close may come between the fragments of a message, which then has no end."""
    facts = protocol.receive(inbound(role, (wire.TEXT, b"a", False), (wire.CLOSE, b"")))

    assert facts == [Fragment("a", 1, True, False), Close(1005)]


# Anything at all.

any_frame = st.tuples(
    st.sampled_from([wire.CONT, wire.TEXT, wire.BINARY, wire.PING, wire.PONG]),
    st.binary(max_size=12) | st.text(max_size=5).map(str.encode),
    st.booleans(),
)
sizes = st.lists(st.integers(1, 30), max_size=5)


@quick
@given(frames=st.lists(any_frame, max_size=12), sizes=sizes)
def test_any_frames_mean_the_same_however_they_are_cut(role, frames, sizes):
    """Frames in any order, right or wrong, tell one story wherever the stream is cut."""
    data = inbound(role, *frames)

    whole = story(receive_all(Protocol(role, 20, 3), [data]))
    cut = story(receive_all(Protocol(role, 20, 3), wire.pieces_of(data, sizes)))

    assert cut == whole


@quick
@given(data=st.binary(max_size=200), sizes=sizes)
def test_garbage_is_judged_without_an_exception(role, data, sizes):
    """Random bytes raise nothing, and give no more facts than they have bytes."""
    facts = receive_all(Protocol(role, 50, 5), wire.pieces_of(data, sizes))

    assert len(facts) <= len(data) + 1
    assert not any(isinstance(fact, (Close, ProtocolError)) for fact in facts[:-1])


# The end of the connection.


def test_protocol_begins_open(protocol):
    """A fresh connection is OPEN, and no Close has passed."""
    assert (protocol.phase, protocol.state) == (Phase.OPEN, State.OPEN)
    assert (protocol.rcvd, protocol.sent) == (None, None)


def test_close_called_sends_what_was_asked_for(protocol):
    """Our Close is noted as sent, with its reason."""
    actions = protocol.close_called(Close(1001, "bye"))

    assert Action.SEND_CLOSE in actions
    assert protocol.sent == Close(1001, "bye")
    assert (protocol.phase, protocol.state) == (Phase.CLOSE_SENT, State.CLOSING)


def test_close_called_again_keeps_the_first(protocol):
    """A second close() does not change what was sent."""
    protocol.close_called(Close(1001, "bye"))

    actions = protocol.close_called(Close(1000))

    assert actions == ()
    assert protocol.sent == Close(1001, "bye")


@pytest.mark.parametrize(
    ("code", "payload"), [(1000, b"\x03\xe8"), (4999, b"\x13\x87"), (1005, b"")]
)
def test_close_received_is_answered_with_its_code(protocol, role, code, payload):
    """The peer's code is echoed without its reason, and an empty Close by an empty one."""
    actions = protocol.close_received(Close(code, "bye"))

    assert Action.SEND_CLOSE in actions
    assert (protocol.rcvd, protocol.sent) == (Close(code, "bye"), Close(code))
    assert protocol.close_frame(wire.KEY) == wire.frame(
        wire.CLOSE, payload, key=wire.KEY if role is Role.CLIENT else None
    )


def test_close_received_after_ours_is_not_answered(protocol):
    """The peer's answer to our Close is noted and not answered in turn."""
    protocol.close_called(Close(1000))

    actions = protocol.close_received(Close(1001, "bye"))

    assert Action.SEND_CLOSE not in actions
    assert (protocol.rcvd, protocol.sent) == (Close(1001, "bye"), Close(1000))


@pytest.mark.parametrize(("role", "half_close"), [(Role.CLIENT, False), (Role.SERVER, True)])
def test_close_received_makes_only_a_server_half_close(role, half_close):
    """A server closes TCP at once; a client waits for it to."""
    protocol = Protocol(role)

    actions = protocol.close_received(Close(1000))

    assert (Action.HALF_CLOSE in actions) is half_close


@pytest.mark.parametrize("code", [1002, 1007, 1009])
def test_rule_broken_is_answered_with_its_code_and_words(protocol, code):
    """A broken rule is told to the peer by its code and in words."""
    actions = protocol.rule_broken(ProtocolError("wrong", code))

    assert Action.SEND_CLOSE in actions
    assert protocol.sent == Close(code, "wrong")
    assert protocol.phase is Phase.FAILED


def test_rule_broken_after_our_close_keeps_it(protocol):
    """Once our Close is out, a broken rule does not change what was sent."""
    protocol.close_called(Close(1000))

    protocol.rule_broken(ProtocolError("wrong"))

    assert protocol.sent == Close(1000)
    assert protocol.phase is Phase.FAILED


@pytest.mark.parametrize(
    ("words", "reason"),
    [("x" * 200, "x" * 123), ("€" * 60, "€" * 41), ("x" + "€" * 60, "x" + "€" * 40)],
)
def test_rule_broken_cuts_long_words_at_a_character(protocol, words, reason):
    """Words too long for a Close frame are cut, and never inside a character."""
    protocol.rule_broken(ProtocolError(words))

    assert protocol.sent == Close(1002, reason)
    assert len(protocol.close_frame(wire.KEY)) <= 131


def test_peer_silent_is_1011(protocol):
    """A peer that answers no Ping is told so with 1011, and given up."""
    actions = protocol.peer_silent("no Pong")

    assert Action.SEND_CLOSE in actions
    assert Action.ABORT in actions
    assert protocol.sent == Close(1011, "no Pong")
    assert protocol.state is State.CLOSED


@pytest.mark.parametrize("happened", [Input.END_OF_STREAM, Input.ABORT_CALLED])
def test_step_ends_the_connection(protocol, happened):
    """The end of the stream and abort() end the connection without any Close."""
    actions = protocol.step(happened)

    assert actions[-1] is Action.REPORT
    assert (protocol.rcvd, protocol.sent, protocol.state) == (None, None, State.CLOSED)


# Sending.


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("opcode", [wire.CONT, wire.TEXT, wire.BINARY])
def test_encode_masks_what_a_client_sends(protocol, role, opcode, fin):
    """A client masks with the key it is given; a server does not mask."""
    data = protocol.encode(opcode, b"Hello", wire.KEY, fin)

    assert data == wire.frame(
        opcode, b"Hello", fin=fin, key=wire.KEY if role is Role.CLIENT else None
    )


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
def test_control_frame_takes_125_bytes(protocol, role, opcode):
    """The longest payload of a control frame is sent as it is."""
    data = protocol.control_frame(opcode, b"x" * 125, wire.KEY)

    assert data == wire.frame(opcode, b"x" * 125, key=wire.KEY if role is Role.CLIENT else None)


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
def test_control_frame_refuses_126_bytes(protocol, opcode):
    """A payload over the limit is refused by name."""
    with pytest.raises(ValueError, match=f"{opcode.name} payload of 126 bytes; limit 125"):
        protocol.control_frame(opcode, bytes(126), wire.KEY)


def test_close_frame_carries_what_was_sent(protocol, role):
    """The Close frame has the code and the reason that close() was given."""
    protocol.close_called(Close(3000, "bye"))

    assert protocol.close_frame(wire.KEY) == wire.close(
        3000, b"bye", key=wire.KEY if role is Role.CLIENT else None
    )


def test_client_and_server_understand_each_other():
    """What either role writes, the other reads; both end with one Close each."""
    client, server = Protocol(Role.CLIENT), Protocol(Role.SERVER)

    to_server = server.receive(client.encode(Opcode.TEXT, b"Hello", wire.KEY))
    to_client = client.receive(server.encode(Opcode.BINARY, b"World", wire.KEY))
    client.close_called(Close(1000, "bye"))
    (asked,) = server.receive(client.close_frame(wire.KEY))
    server.close_received(asked)
    (answered,) = client.receive(server.close_frame(wire.KEY))
    client.close_received(answered)

    assert (to_server, to_client) == ([["Hello"]], [[b"World"]])
    assert (server.rcvd, server.sent) == (Close(1000, "bye"), Close(1000))
    assert (client.rcvd, client.sent) == (Close(1000), Close(1000, "bye"))
    assert client.phase is server.phase is Phase.CLOSE_ECHOED


def test_validated_close_returns_what_may_be_sent():
    """A good code and reason come back as the Close they make."""
    assert validated_close(1000, "bye") == Close(1000, "bye")


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, ""), (1006, ""), (1015, ""), (0, ""), (5000, ""), (1000, "x" * 124)]
)
def test_validated_close_refuses_what_may_not_be_sent(code, reason):
    """A code that may not travel, or too long a reason, is a ValueError of the caller."""
    with pytest.raises(ValueError, match="close"):
        validated_close(code, reason)


# The face.


def test_face_offers_what_it_names():
    """Every name that ``syncws.sansio`` promises is there."""
    missing = [name for name in syncws.sansio.__all__ if not hasattr(syncws.sansio, name)]

    assert missing == []
