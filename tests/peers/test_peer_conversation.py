"""One conversation with every other implementation, as its client and as its server."""

from __future__ import annotations

import pytest

from peers.remotes import those
from peers.remotes.base import joined
from support.ends import send_around_a_ping
from support.threads import WATCHDOG, Running
from syncws import ConnectionClosedError, ConnectionClosedOK

pytestmark = pytest.mark.peers

with_everyone = those()
with_senders_of_fragments = those(lambda peer: peer.sends_fragments)
with_senders_of_pings = those(lambda peer: peer.sends_pings)

MIB = 2**20
MESSAGES = {
    "text": "Hello",
    "binary": b"\x00\xff\x80 bytes",
    "empty text": "",
    "empty binary": b"",
    "unicode": "\x00 κόσμε \u2028\ufeff \U0001f600\U0010ffff",
    "125 bytes": b"x" * 125,
    "126 bytes": b"x" * 126,
    "65535 bytes": "x" * 65535,
    "65536 bytes": "x" * 65536,
    "1 MiB of text": "κ" * (MIB // 2),
    "1 MiB of binary": bytes(range(256)) * (MIB // 256),
}
REASON = "später, \U0001f44b"


def swap(ours, theirs, message):
    """Send a message each way; return what arrived at our end and at theirs."""
    sending = Running(ours.send, message)
    at_theirs = theirs.recv()
    sending.result()
    sending = Running(theirs.send, message)
    at_ours = ours.recv(WATCHDOG)
    sending.result()
    return at_ours, at_theirs


def close_ours(ours, theirs, *args):
    """Close from our end; return the code and reason that the other end was told."""
    closing = Running(ours.close, *args)
    told = theirs.closed()
    closing.result()
    return told


@with_everyone
def test_messages_of_all_kinds_and_sizes_pass_both_ways(meet):
    """What one end sends arrives at the other as it was, with its type."""
    ours, theirs = meet()

    arrived = {name: swap(ours, theirs, message) for name, message in MESSAGES.items()}

    wrong = [name for name, message in MESSAGES.items() if arrived[name] != (message, message)]
    assert not wrong


@with_everyone
def test_one_conversation_over_tls(meet):
    """The same in small over wss, with a clean end on both sides."""
    ours, theirs = meet(secure=True)

    arrived = [swap(ours, theirs, message) for message in ("κόσμε", bytes(MIB))]
    told = close_ours(ours, theirs, 4001, REASON)

    assert arrived == [("κόσμε", "κόσμε"), (bytes(MIB), bytes(MIB))]
    assert told == (4001, REASON)


@with_everyone
def test_a_burst_from_us_arrives_in_order(meet):
    """A hundred messages, one by one and in one write, then a hundred answers."""
    ours, theirs = meet()
    messages = [f"message {number}" for number in range(100)]

    for message in messages[:50]:
        ours.send(message)
    ours.send_many(messages[50:])
    at_theirs = [theirs.recv() for _ in messages]
    for message in messages:
        theirs.send(message)
    at_ours = [ours.recv(WATCHDOG) for _ in messages]

    assert at_theirs == messages
    assert at_ours == messages


@with_everyone
@pytest.mark.parametrize(
    ("parts", "options"),
    [
        (["Hel", "", "lo"], {}),
        ([b"\x00\x01", b"\xff", b"x" * 70000], {}),
        ([b"\xce", b"\xba", b"\xf0\x9f", b"\x98\x80"], {"text": True}),
    ],
    ids=["text", "binary", "cut characters"],
)
def test_fragments_from_us_arrive_as_one_message(meet, parts, options):
    """The other end joins fragments; characters may be cut between them."""
    ours, theirs = meet()

    sending = Running(ours.send, iter(parts), **options)
    arrived = theirs.recv()
    sending.result()

    expected = joined(parts)
    assert arrived == (expected.decode() if options else expected)


@with_everyone
def test_a_ping_between_our_fragments_is_answered(meet):
    """Control frames may stand inside of a fragmented message (RFC 6455 section 5.4)."""
    ours, theirs = meet()
    pong = send_around_a_ping(ours)
    arrived = theirs.recv()

    assert arrived == "beforebehind"
    assert pong.result(WATCHDOG) > 0


@with_senders_of_fragments
@pytest.mark.parametrize(
    "parts",
    [["Hel", "", "lo"], [b"\x00\x01", b"\xff", b"x" * 70000]],
    ids=["text", "binary"],
)
def test_fragments_from_them_arrive_as_one_message(meet, parts):
    """We join fragments, or yield them as they come."""
    ours, theirs = meet()

    theirs.send_fragments(parts)
    whole = ours.recv(WATCHDOG)
    theirs.send_fragments(parts)
    streamed = list(ours.recv_stream(WATCHDOG))

    assert whole == joined(parts)
    assert joined(streamed) == joined(parts)


@with_everyone
def test_they_answer_our_pings(meet):
    """Their Pong carries our payload back."""
    ours, theirs = meet()

    pong = ours.ping_nowait(b"from us")
    ours.send("behind the Ping")  # for those who answer Pings only while they receive
    message = theirs.recv()
    round_trip = pong.result(WATCHDOG)

    assert message == "behind the Ping"
    assert 0 < round_trip == ours.latency


@with_senders_of_pings
def test_we_answer_their_pings(meet):
    """Our Pong carries their payload back, though nobody receives here."""
    ours, theirs = meet()

    for payload in (b"from them", b"", bytes(range(125))):
        theirs.ping(payload)

    assert swap(ours, theirs, "still open") == ("still open", "still open")


@with_everyone
def test_the_subprotocol_is_agreed_on(meet):
    """Both ends name the one that both know."""
    ours, theirs = meet(offers=["chat.v2", "chat.v1"], supports=["chat.v1", "other"])

    assert ours.subprotocol == theirs.subprotocol == "chat.v1"
    assert swap(ours, theirs, "spoken in it") == ("spoken in it", "spoken in it")


@with_everyone
@pytest.mark.parametrize("close", [(1000, ""), (1001, "bye"), (4001, REASON)])
def test_we_close(meet, close):
    """They are told our code and reason, and answer."""
    ours, theirs = meet()

    told = close_ours(ours, theirs, *close)

    assert told == close
    assert ours.close_code == (theirs.close_answer or close[0])


@with_everyone
@pytest.mark.parametrize("close", [(1000, ""), (3001, "bye"), (4001, REASON)])
def test_they_close(meet, close):
    """We are told their code and reason; messages before it are not lost."""
    ours, theirs = meet()

    theirs.send("the last one")
    theirs.close(*close)
    message = ours.recv(WATCHDOG)
    error = Running(ours.recv).error()
    assert ours.wait_closed(WATCHDOG)

    assert message == "the last one"
    assert type(error) is (ConnectionClosedError if close[0] > 1000 else ConnectionClosedOK)
    assert error.rcvd == close
    assert error.sent == (close[0], "")
    assert (ours.close_code, ours.close_reason) == close


@with_everyone
def test_they_vanish(meet):
    """The end of TCP without a Close frame is 1006 and wakes everybody."""
    ours, theirs = meet()
    receiving = Running(ours.recv)
    waiting = Running(ours.wait_closed)

    theirs.vanish()

    assert type(receiving.error()) is ConnectionClosedError
    assert receiving.error().code == 1006
    assert waiting.result()
    with pytest.raises(ConnectionClosedError):
        ours.send("too late")


@with_everyone
def test_we_vanish(meet):
    """They notice, as a test of ``abort``."""
    ours, theirs = meet()

    ours.abort()

    assert theirs.closed()[0] == 1006
