"""Connection: what its methods do on the wire and what they return or raise, in both roles."""

from __future__ import annotations

import array
import contextlib
import gc
import logging
import os
import socket
import threading
import uuid

import pytest

import syncws
import syncws.keepalive
from support.peer import Peer
from support.threads import Running, blocked_in, eventually
from support.tls import client_context, server_context
from syncws import Close, ConnectionClosedError, ConnectionClosedOK, State
from syncws.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    InheritedConnection,
    MessageTooBig,
    ProtocolError,
)
from syncws.housekeeper import Timer

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
SHORT = 0.1  # seconds: a limit that is meant to lapse
LONG = 20.0  # seconds: a limit that is not


def closing(code, reason=b""):
    """Return the payload of a Close frame."""
    return code.to_bytes(2, "big") + reason


def recv_frame(peer):
    """Read a frame; return FIN, opcode and payload."""
    first = peer.read(1)
    peer._buffer = first + peer._buffer
    return (bool(first[0] & 0x80), *peer.recv())


def next_after(peer, ws):
    """Send a mark and return the first frame that arrives: the mark, if nothing was before it."""
    ws.send("mark")
    return peer.recv()


MARK = (TEXT, b"mark")


def queued(ws, count):
    """Wait until so many messages wait to be received."""
    eventually(lambda: ws.stats.queued == count, f"{count} messages")


def waiting(running):
    """Wait until a call waits for something."""
    eventually(lambda: blocked_in(running.thread, "wait", "fill"), "a call that waits")
    return running


def end(peer, ws, code=1000, reason=b""):
    """Close from the peer's side, tidily; return what came back."""
    peer.send(CLOSE, closing(code, reason))
    echo = peer.recv()
    peer.close()
    assert ws.wait_closed(LONG)
    return echo


def end_without_echo(peer, ws):
    """Answer a Close and leave."""
    peer.send(CLOSE, closing(1000))
    peer.close()
    assert ws.wait_closed(LONG)


def closed_error(ws):
    """Return what recv() raises at the end."""
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(timeout=LONG)
    return caught.value


# Receiving.


def test_recv_tells_text_from_binary(ours_and_peer):
    """A Text message is a str, a Binary one bytes; empty ones, too; in order."""
    ws, peer = ours_and_peer()

    peer.send(TEXT, "κόσμε".encode())
    peer.send(BINARY, b"\x00\xff")
    peer.send(TEXT)
    peer.send(BINARY)

    assert [ws.recv(timeout=LONG) for _ in range(4)] == ["κόσμε", b"\x00\xff", "", b""]


@pytest.mark.parametrize(
    ("opcode", "decode", "message"),
    [
        (TEXT, None, "é"),
        (TEXT, True, "é"),
        (TEXT, False, "é".encode()),
        (BINARY, None, "é".encode()),
        (BINARY, True, "é"),
        (BINARY, False, "é".encode()),
    ],
)
def test_recv_decodes_as_told(ours_and_peer, opcode, decode, message):
    """decode= makes a str or bytes of whatever was sent."""
    ws, peer = ours_and_peer()

    peer.send(opcode, "é".encode())

    assert ws.recv(timeout=LONG, decode=decode) == message


def test_recv_decodes_what_is_not_utf8(ours_and_peer):
    """decode=True raises for a Binary message that is no text; the connection goes on."""
    ws, peer = ours_and_peer()
    peer.send(BINARY, b"\xff")
    peer.send(BINARY, b"ok")

    with pytest.raises(UnicodeDecodeError):
        ws.recv(timeout=LONG, decode=True)

    assert ws.recv(timeout=LONG, decode=True) == "ok"


def test_recv_joins_fragments(ours_and_peer):
    """Fragments come out as one message, characters that were cut apart included."""
    ws, peer = ours_and_peer()

    peer.send(TEXT, b"a\xc3", fin=False)
    peer.send(PING, b"between")
    peer.send(CONT, b"", fin=False)
    peer.send(CONT, b"\xa9b")

    assert ws.recv(timeout=LONG) == "aéb"
    assert peer.recv() == (PONG, b"between")


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_recv_timeout(ours_and_peer, timeout):
    """A lapsed timeout is the builtin TimeoutError; 0 and less do not wait."""
    ws, peer = ours_and_peer()

    with pytest.raises(TimeoutError, match="no message"):
        ws.recv(timeout=timeout)
    peer.send(TEXT, b"late")
    queued(ws, 1)

    assert ws.recv(timeout=timeout) == "late"


def test_recv_timeout_in_the_middle_of_a_message(ours_and_peer):
    """A timeout in the middle of a message loses nothing of it."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"be", fin=False)
    eventually(lambda: ws.stats.frames_received == 1, "the fragment")

    with pytest.raises(TimeoutError):
        ws.recv(timeout=0.01)
    peer.send(CONT, b"gun")

    assert ws.recv(timeout=LONG) == "begun"


def test_recv_in_many_threads(ours_and_peer):
    """Several threads may wait: each message goes to exactly one of them."""
    ws, peer = ours_and_peer()
    receivers = [waiting(Running(ws.recv)) for _ in range(4)]

    for number in range(4):
        peer.send(TEXT, b"%d" % number)

    assert sorted(each.result() for each in receivers) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "finish",
    [
        lambda ws, peer: end(peer, ws),
        lambda ws, peer: peer.close(),
        lambda ws, peer: ws.abort(),
        lambda ws, peer: ws.close(timeout=0),
    ],
    ids=["Close", "end of stream", "abort", "close"],
)
def test_messages_can_be_read_behind_the_end(ours_and_peer, finish):
    """What arrived before the end can still be received; then the end is told, again and again."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"one")
    peer.send(TEXT, b"two")
    queued(ws, 2)

    finish(ws, peer)
    assert ws.wait_closed(LONG)

    assert [ws.recv(), ws.recv()] == ["one", "two"]
    for _ in range(2):
        with pytest.raises(ConnectionClosed):
            ws.recv()


@pytest.mark.parametrize("payload", [closing(1000), closing(1001), b""], ids=["1000", "1001", "-"])
def test_iteration_ends_with_a_normal_close(ours_and_peer, payload):
    """Iteration yields all messages and ends with 1000, 1001 or no code."""
    ws, peer = ours_and_peer()

    peer.send(TEXT, b"one")
    peer.send(BINARY, b"two")
    peer.send(CLOSE, payload)
    peer.close()

    assert list(ws) == ["one", b"two"]
    assert list(ws) == []


@pytest.mark.parametrize(
    "finish",
    [
        lambda peer: peer.send(CLOSE, closing(1011)),
        lambda peer: peer.send(CLOSE, closing(4000)),
        lambda peer: peer.close(),
        lambda peer: peer.send(0xF),
    ],
    ids=["1011", "4000", "end of stream", "broken rule"],
)
def test_iteration_raises_at_any_other_end(ours_and_peer, finish):
    """Iteration yields all messages and raises ConnectionClosedError at an end with an error."""
    ws, peer = ours_and_peer()
    received = []

    peer.send(TEXT, b"one")
    finish(peer)
    peer.close()

    with pytest.raises(ConnectionClosedError):
        received.extend(iter(ws))
    assert received == ["one"]


def test_iteration_can_go_on(ours_and_peer):
    """A loop that is left early takes no more than it has seen."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"one")
    peer.send(TEXT, b"two")

    assert next(iter(ws)) == "one"
    assert next(iter(ws)) == "two"


# Receiving piece by piece.


def test_stream_of_a_whole_message(ours_and_peer):
    """A message that is there whole comes in one piece."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"whole")
    peer.send(BINARY)
    queued(ws, 2)

    assert list(ws.recv_stream()) == ["whole"]
    assert b"".join(ws.recv_stream()) == b""


def test_stream_of_fragments(ours_and_peer):
    """Fragments come as they arrive, before the message is complete."""
    ws, peer = ours_and_peer()
    stream = ws.recv_stream(timeout=LONG)

    pieces = []
    for fragment in (b"one", b"two"):
        peer.send(CONT if pieces else BINARY, fragment, fin=False)
        pieces.append(next(stream))
    peer.send(CONT, b"three")

    assert [*pieces, *stream] == [b"one", b"two", b"three"]


def test_stream_of_text(ours_and_peer):
    """Pieces of a Text message are str; a character that is cut apart waits for its rest."""
    ws, peer = ours_and_peer()

    peer.send(TEXT, b"a\xe2\x82", fin=False)
    peer.send(CONT, b"", fin=False)
    peer.send(CONT, b"\xac", fin=False)
    peer.send(CONT, b"b")

    pieces = list(ws.recv_stream(timeout=LONG))
    assert "".join(pieces) == "a€b"
    assert "" not in pieces


def test_stream_of_a_long_frame(ours_and_peer):
    """A frame need not be complete, either; memory is needed for what waits only."""
    ws, peer = ours_and_peer(max_size=None, max_queue_bytes=65536)
    payload = bytes(range(256)) * 4096
    sender = Running(peer.send, BINARY, payload)

    pieces = list(ws.recv_stream(timeout=LONG))

    sender.result()
    assert len(pieces) > 1
    assert b"".join(pieces) == payload


def test_stream_that_is_left(ours_and_peer):
    """A loop that is left early drops the rest of its message, and no other."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"one", fin=False)
    stream = ws.recv_stream(timeout=LONG)

    assert next(stream) == "one"
    stream.close()
    peer.send(CONT, b"two")
    peer.send(TEXT, b"next")

    assert ws.recv(timeout=LONG) == "next"


@pytest.mark.parametrize(
    "resume", [lambda ws: "".join(ws.recv_stream(LONG)), lambda ws: ws.recv(LONG)]
)
def test_stream_timeout(ours_and_peer, resume):
    """After a timeout in the middle, recv_stream() or recv() goes on from there."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"one", fin=False)
    stream = ws.recv_stream(timeout=SHORT)

    assert next(stream) == "one"
    with pytest.raises(TimeoutError):
        next(stream)
    peer.send(CONT, b"two", fin=False)
    peer.send(CONT, b"three")

    assert resume(ws) == "twothree"


def test_stream_timeout_at_the_start(ours_and_peer):
    """Without any message there is a TimeoutError as in recv()."""
    ws, _ = ours_and_peer()

    with pytest.raises(TimeoutError):
        next(ws.recv_stream(timeout=0))


def test_stream_that_breaks_off(ours_and_peer):
    """The end in the middle of a message comes behind the pieces that arrived."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"one", fin=False)
    peer.send(CONT, b"two", fin=False)
    peer.close()
    pieces = []

    with pytest.raises(ConnectionClosedError):
        pieces.extend(ws.recv_stream(timeout=LONG))

    assert "".join(pieces) == "onetwo"


def test_stream_at_the_end(ours_and_peer):
    """After a normal end there is ConnectionClosedOK as in recv()."""
    ws, peer = ours_and_peer()
    end(peer, ws)

    with pytest.raises(ConnectionClosedOK):
        next(ws.recv_stream())


def test_stream_over_the_limit(ours_and_peer):
    """max_size holds for a message that is streamed, too."""
    ws, peer = ours_and_peer(max_size=5)
    stream = ws.recv_stream(timeout=LONG)
    peer.send(TEXT, b"one", fin=False)

    assert next(stream) == "one"
    peer.send(CONT, b"two", fin=False)
    assert peer.recv()[1][:2] == closing(1009)
    peer.close()

    with pytest.raises(ConnectionClosedError) as caught:
        next(stream)
    assert isinstance(caught.value.__cause__, MessageTooBig)


# The block.


def test_block_closes_with_1000(ours_and_peer):
    """The end of the with block is close(1000)."""
    ws, peer = ours_and_peer()

    def block():
        with ws as same:
            assert same is ws

    running = Running(block)
    assert peer.recv() == (CLOSE, closing(1000))
    end_without_echo(peer, ws)
    running.result()


def test_block_closes_with_1011_on_an_exception(ours_and_peer):
    """An exception closes with 1011 and goes on; the peer does not learn what it was."""
    ws, peer = ours_and_peer()

    def block():
        with ws:
            raise ZeroDivisionError("secret reason")

    running = Running(block)
    assert peer.recv() == (CLOSE, closing(1011))
    end_without_echo(peer, ws)
    assert isinstance(running.error(), ZeroDivisionError)


def test_block_of_a_closed_connection(ours_and_peer):
    """A connection that is closed already is left as it is."""
    ws, peer = ours_and_peer()
    end(peer, ws, 1001)

    with ws:
        pass

    assert ws.close_code == 1001


# Sending.

NUMBERS = array.array("I", [1, 2])


@pytest.mark.parametrize(
    ("message", "options", "frame"),
    [
        ("κόσμε", {}, (TEXT, "κόσμε".encode())),
        ("", {}, (TEXT, b"")),
        (b"\x00\xff", {}, (BINARY, b"\x00\xff")),
        (bytearray(b"ab"), {}, (BINARY, b"ab")),
        (memoryview(b"ab"), {}, (BINARY, b"ab")),
        (memoryview(NUMBERS), {}, (BINARY, NUMBERS.tobytes())),
        (memoryview(b"abcd")[::2], {}, (BINARY, b"ac")),
        ("é", {"text": True}, (TEXT, b"\xc3\xa9")),
        ("é", {"text": False}, (BINARY, b"\xc3\xa9")),
        (b"\xc3\xa9", {"text": True}, (TEXT, b"\xc3\xa9")),
        (b"\xc3\xa9", {"text": False}, (BINARY, b"\xc3\xa9")),
        (bytearray(b"x" * 126), {}, (BINARY, b"x" * 126)),
        ("x" * 70_000, {}, (TEXT, b"x" * 70_000)),
    ],
)
@pytest.mark.parametrize(
    "send",
    [lambda ws, m, **o: ws.send(m, **o), lambda ws, m, **o: ws.send_many([m], **o)],
    ids=["send", "send_many"],
)
def test_send_types(dial_peer, send, message, options, frame):
    """str goes out as Text, bytes-like as Binary, unless text= says otherwise."""
    ws, peer = dial_peer()

    send(ws, message, **options)

    assert recv_frame(peer) == (True, *frame)


@pytest.mark.parametrize(
    ("fragments", "options", "frames"),
    [
        (lambda: ["a", "é"], {}, [(TEXT, b"a"), (CONT, b"\xc3\xa9"), (CONT, b"")]),
        (lambda: iter([b"a", bytearray(b"b")]), {}, [(BINARY, b"a"), (CONT, b"b"), (CONT, b"")]),
        (lambda: (m for m in ["a"]), {}, [(TEXT, b"a"), (CONT, b"")]),
        (lambda: ["a"], {"text": False}, [(BINARY, b"a"), (CONT, b"")]),
        (
            lambda: [b"\xc3", b"\xa9"],
            {"text": True},
            [(TEXT, b"\xc3"), (CONT, b"\xa9"), (CONT, b"")],
        ),
        (lambda: [""], {}, [(TEXT, b""), (CONT, b"")]),
    ],
)
def test_send_fragments(ours_and_peer, fragments, options, frames):
    """An iterable goes out as one message, each element a fragment, the last one empty."""
    ws, peer = ours_and_peer()

    ws.send(fragments(), **options)

    received = [recv_frame(peer) for _ in frames]
    assert [frame[1:] for frame in received] == frames
    assert [frame[0] for frame in received] == [False] * (len(frames) - 1) + [True]


def test_send_no_fragments(ours_and_peer):
    """An empty iterable is no message."""
    ws, peer = ours_and_peer()

    ws.send([])

    assert next_after(peer, ws) == MARK


def test_send_in_frames_of_fragment_size(ours_and_peer):
    """A long message goes out in fragments of fragment_size bytes."""
    ws, peer = ours_and_peer(fragment_size=4)

    ws.send("abcdefghi")

    assert [recv_frame(peer) for _ in range(3)] == [
        (False, TEXT, b"abcd"),
        (False, CONT, b"efgh"),
        (True, CONT, b"i"),
    ]


def test_control_frames_pass_between_fragments(ours_and_peer):
    """A Ping does not wait for the end of a message that is sent in fragments."""
    ws, peer = ours_and_peer()

    def fragments():
        yield "a"
        ws.ping_nowait(b"now")
        yield "b"

    ws.send(fragments())

    assert [peer.recv()[0] for _ in range(4)] == [TEXT, PING, CONT, CONT]


@pytest.mark.parametrize(
    ("message", "options", "error"),
    [
        (None, {}, TypeError),
        (1, {}, TypeError),
        (1.5, {}, TypeError),
        ({"a": 1}, {}, TypeError),
        ([1], {}, TypeError),
        ([["a"]], {}, TypeError),
        ([None], {}, TypeError),
        (b"\xff", {"text": True}, UnicodeDecodeError),
        ([b"\xff"], {"text": True}, UnicodeDecodeError),
        ("\ud800", {}, UnicodeEncodeError),
        (["\ud800"], {}, UnicodeEncodeError),
    ],
)
def test_send_what_is_no_message(ours_and_peer, message, options, error):
    """What is no message is refused; nothing is sent, and the connection goes on."""
    ws, peer = ours_and_peer()

    with pytest.raises(error):
        ws.send(message, **options)

    assert next_after(peer, ws) == MARK


@pytest.mark.parametrize(
    ("fragments", "options", "error"),
    [
        (lambda: ["a", b"b"], {}, TypeError),
        (lambda: [b"a", "b"], {"text": True}, TypeError),
        (lambda: ["a", 1], {}, TypeError),
        (lambda: ["a", ["b"]], {}, TypeError),
        (lambda: [b"a", b"\xff"], {"text": True}, UnicodeDecodeError),
        (lambda: [b"\xc3"], {"text": True}, UnicodeDecodeError),
        (lambda: (str(1 // number) for number in [1, 0]), {}, ZeroDivisionError),
    ],
)
def test_send_that_fails_in_the_middle(ours_and_peer, fragments, options, error):
    """A message that cannot be finished closes with 1011; else the peer took it for whole."""
    ws, peer = ours_and_peer()

    with pytest.raises(error):
        ws.send(fragments(), **options)

    fin, opcode, _ = recv_frame(peer)
    assert (fin, opcode) == (False, TEXT)
    assert peer.recv() == (CLOSE, closing(1011, b"message not finished"))


def test_send_that_fails_at_once(ours_and_peer):
    """An iterable that raises before its first fragment is no message."""
    ws, peer = ours_and_peer()

    with pytest.raises(ZeroDivisionError):
        ws.send(str(1 // number) for number in [0])

    assert next_after(peer, ws) == MARK


def test_send_in_a_send(ours_and_peer):
    """send() in the iterable that send() is sending is refused; else it would wait for itself."""
    ws, _ = ours_and_peer()

    def fragments():
        yield "a"
        ws.send("b")

    with pytest.raises(ConcurrencyError):
        ws.send(fragments())


def test_messages_of_threads_stay_whole(ours_and_peer):
    """A message in fragments is not torn by another thread's: that waits."""
    ws, peer = ours_and_peer()
    others = []

    def fragments():
        yield "a"
        others.append(Running(ws.send, "other"))
        eventually(lambda: blocked_in(others[0].thread, "acquire"), "the other send()")
        yield "b"

    ws.send(fragments())
    others[0].result()

    received = [peer.recv() for _ in range(4)]
    assert received == [(TEXT, b"a"), (CONT, b"b"), (CONT, b""), (TEXT, b"other")]


def test_send_many_is_one_write(ours_and_peer):
    """send_many() sends all messages in one segment."""
    ws, peer = ours_and_peer()

    ws.send_many(message for message in ["a", b"b", ""])

    sizes = {True: 3 * 2 + 2, False: 3 * (2 + 4) + 2}
    assert len(peer.sock.recv(65536, socket.MSG_PEEK)) == sizes[ws.role is syncws.Role.SERVER]
    assert [peer.recv() for _ in range(3)] == [(TEXT, b"a"), (BINARY, b"b"), (TEXT, b"")]


def test_send_many_with_text(ours_and_peer):
    """text= holds for all of them."""
    ws, peer = ours_and_peer()

    ws.send_many(["a", b"b"], text=True)

    assert [peer.recv() for _ in range(2)] == [(TEXT, b"a"), (TEXT, b"b")]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (["a", 1], TypeError),
        (["a", ["b"]], TypeError),
        (["a", None], TypeError),
        (["a", "\ud800"], UnicodeEncodeError),
        (1, TypeError),
    ],
)
def test_send_many_sends_all_or_nothing(ours_and_peer, messages, error):
    """One that is no message, and none is sent."""
    ws, peer = ours_and_peer()

    with pytest.raises(error):
        ws.send_many(messages)

    assert next_after(peer, ws) == MARK
    assert ws.stats.messages_sent == 1


def test_send_none_of_many(ours_and_peer):
    """No messages are no bytes."""
    ws, peer = ours_and_peer()

    ws.send_many([])

    assert next_after(peer, ws) == MARK


CALLS = {
    "send": lambda ws: ws.send("late"),
    "send fragments": lambda ws: ws.send(["late"]),
    "send_many": lambda ws: ws.send_many(["late"]),
    "ping": lambda ws: ws.ping(),
    "ping_nowait": lambda ws: ws.ping_nowait(),
    "pong": lambda ws: ws.pong(),
    "recv": lambda ws: ws.recv(),
    "recv_stream": lambda ws: next(ws.recv_stream()),
}


def test_every_call_raises_when_closed(ours_and_peer):
    """After the end each call tells of it, with an exception of its own."""
    ws, peer = ours_and_peer()
    end(peer, ws, 1001, b"bye")
    caught = []

    for call in CALLS.values():
        with pytest.raises(ConnectionClosedOK) as info:
            call(ws)
        caught.append(info.value)

    assert {(exc.code, exc.reason) for exc in caught} == {(1001, "bye")}
    assert len(set(map(id, caught))) == len(CALLS)


def test_nothing_is_sent_while_closing(ours_and_peer):
    """Once close() was called, sending is over; receiving is not."""
    ws, peer = ours_and_peer()
    closer = Running(ws.close)
    assert peer.recv() == (CLOSE, closing(1000))

    for name in ("send", "send fragments", "send_many", "ping", "ping_nowait", "pong"):
        with pytest.raises(ConnectionClosed):
            CALLS[name](ws)
    peer.send(TEXT, b"crossed")
    assert ws.recv(timeout=LONG) == "crossed"

    end_without_echo(peer, ws)
    closer.result()


# Control frames.


def test_ping_waits_for_the_pong(ours_and_peer):
    """ping() blocks for the Pong and returns the seconds, which latency shows, too."""
    ws, peer = ours_and_peer()
    assert ws.latency == 0.0

    pinging = Running(ws.ping)
    opcode, payload = peer.recv()
    waiting(pinging)
    peer.send(PONG, payload)

    assert opcode == PING
    assert len(payload) == 4
    assert pinging.result() == ws.latency > 0


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        ("é", "é".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(NUMBERS), NUMBERS.tobytes()),
        (b"", b""),
        (b"x" * 125, b"x" * 125),
    ],
)
def test_control_payloads(ours_and_peer, payload, wire):
    """Pings and Pongs take a str or bytes-like of up to 125 bytes."""
    ws, peer = ours_and_peer()

    pinging = Running(ws.ping, payload)
    assert peer.recv() == (PING, wire)
    peer.send(PONG, wire)
    pinging.result()
    ws.pong(payload)
    waiter = ws.ping_nowait(payload)
    peer.send(PONG, wire)

    assert [peer.recv(), peer.recv()] == [(PONG, wire), (PING, wire)]
    assert waiter.result(LONG) > 0


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"x" * 126, ValueError),
        ("é" * 63, ValueError),
        (1000, TypeError),
        (["a"], TypeError),
        ({"a": 1}, TypeError),
        ("\ud800", UnicodeEncodeError),
    ],
)
@pytest.mark.parametrize("call", ["ping", "ping_nowait", "pong"])
def test_bad_control_payloads(ours_and_peer, call, payload, error):
    """What is too long or no payload is refused, and nothing is sent."""
    ws, peer = ours_and_peer()

    with pytest.raises(error):
        getattr(ws, call)(payload)

    assert next_after(peer, ws) == MARK


def test_pings_with_one_payload(ours_and_peer):
    """Two Pings in flight need two payloads; when the first is answered it is free again."""
    ws, peer = ours_and_peer()
    first = ws.ping_nowait(b"same")

    for call in (ws.ping, ws.ping_nowait):
        with pytest.raises(ConcurrencyError, match="same"):
            call(b"same")
    peer.send(PONG, b"same")
    first.result(LONG)
    second = ws.ping_nowait(b"same")
    peer.send(PONG, b"same")

    assert second.result(LONG) > 0


def test_pings_that_pick_their_payload(ours_and_peer):
    """Without a payload each Ping picks its own."""
    ws, peer = ours_and_peer()

    for _ in range(3):
        ws.ping_nowait()

    assert len({peer.recv() for _ in range(3)}) == 3


def test_a_later_pong_answers_earlier_pings(ours_and_peer):
    """RFC 6455 section 5.5.3: a peer may answer the latest Ping only."""
    ws, peer = ours_and_peer()
    one, two, three = (ws.ping_nowait(payload) for payload in (b"1", b"2", b"3"))

    peer.send(PONG, b"2")

    assert one.result(LONG) >= two.result(LONG) > 0
    assert not three.done()
    peer.send(PONG, b"3")
    assert three.result(LONG) > 0


def test_pongs_that_nobody_waits_for(ours_and_peer):
    """A Pong without a Ping is no answer and no error (RFC 6455 section 5.5.3)."""
    ws, peer = ours_and_peer()
    waiter = ws.ping_nowait(b"1")

    peer.send(PONG)
    peer.send(PONG, b"other")
    peer.send(TEXT, b"mark")

    assert ws.recv(timeout=LONG) == "mark"
    assert not waiter.done()


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_ping_timeout(ours_and_peer, timeout):
    """No Pong in time is a TimeoutError; the connection goes on, a late Pong is no harm."""
    ws, peer = ours_and_peer()

    with pytest.raises(TimeoutError, match="no Pong"):
        ws.ping(b"slow", timeout=timeout)
    assert peer.recv() == (PING, b"slow")
    peer.send(PONG, b"slow")
    again = Running(ws.ping, b"slow")
    assert peer.recv() == (PING, b"slow")
    peer.send(PONG, b"slow")

    assert again.result() > 0


def test_close_while_a_ping_waits(ours_and_peer):
    """The end of the connection wakes ping() and fails the futures, each with its own exception."""
    ws, peer = ours_and_peer()
    pinging = waiting(Running(ws.ping))
    future = ws.ping_nowait()

    peer.close()

    errors = [pinging.error(), future.exception(LONG)]
    assert [type(exc) for exc in errors] == [ConnectionClosedError] * 2
    assert errors[0] is not errors[1]


def test_pings_are_answered(ours_and_peer):
    """A Ping is answered with its payload, though nobody is in recv()."""
    ws, peer = ours_and_peer()

    peer.send(PING)
    peer.send(PING, b"x" * 125)

    assert [peer.recv(), peer.recv()] == [(PONG, b""), (PONG, b"x" * 125)]
    assert ws.stats.queued == 0


# The end, by us.


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        ((), closing(1000)),
        ((1001,), closing(1001)),
        ((3000, "é"), closing(3000, "é".encode())),
        ((4999, "x" * 123), closing(4999, b"x" * 123)),
        ((syncws.CloseCode.INTERNAL_ERROR,), closing(1011)),
    ],
)
def test_close_on_the_wire(ours_and_peer, arguments, payload):
    """close() sends code and reason and waits for the peer's Close."""
    ws, peer = ours_and_peer()

    closer = Running(ws.close, *arguments)
    received = peer.recv()
    waiting(closer)
    state = ws.state
    peer.send(*received)
    peer.close()
    closer.result()

    assert received == (CLOSE, payload)
    assert state is State.CLOSING
    assert ws.state is State.CLOSED


@pytest.mark.parametrize(
    "arguments",
    [
        (0,),
        (999,),
        (1004,),
        (1005,),
        (1006,),
        (1015,),
        (1016,),
        (2999,),
        (5000,),
        (65536,),
        (-1,),
        (1000, "x" * 124),
        (1000, "é" * 62),
    ],
)
def test_close_with_what_may_not_be_sent(ours_and_peer, arguments):
    """A code or reason that may not be sent is refused, and the connection goes on."""
    ws, peer = ours_and_peer()

    with pytest.raises(ValueError, match="close"):
        ws.close(*arguments)

    assert next_after(peer, ws) == MARK


def test_close_again(ours_and_peer):
    """Closing again does nothing, whatever the code."""
    ws, peer = ours_and_peer()
    closer = Running(ws.close)
    peer.recv()
    end_without_echo(peer, ws)
    closer.result()

    ws.close(1011, "again")
    ws.abort()

    assert (ws.close_code, ws.close_reason) == (1000, "")


def test_close_in_many_threads(ours_and_peer):
    """One Close is sent, and all who called close() return when it is done."""
    ws, peer = ours_and_peer()
    closers = [waiting(Running(ws.close, 4000 + number)) for number in range(4)]

    opcode, payload = peer.recv()
    peer.send(CLOSE, payload)
    peer.sock.shutdown(socket.SHUT_WR)

    assert peer.at_eof()
    assert [closer.result() for closer in closers] == [None] * 4
    assert (opcode, payload) == (CLOSE, closing(4000))


@pytest.mark.parametrize(
    ("options", "timeout"), [({"close_timeout": SHORT}, None), ({}, SHORT), ({}, 0)]
)
def test_close_without_an_answer(ours_and_peer, options, timeout):
    """A peer that never answers is cut after close_timeout: 1006, caused by a TimeoutError."""
    ws, peer = ours_and_peer(**options)

    ws.close(timeout=timeout)

    exc = closed_error(ws)
    assert isinstance(exc, ConnectionClosedError)
    assert (exc.code, exc.rcvd, exc.sent) == (1006, None, Close(1000))
    assert isinstance(exc.__cause__, TimeoutError)
    assert ws.close_code == 1006
    assert peer.recv() == (CLOSE, closing(1000))
    assert peer.at_eof()


def test_close_with_a_peer_that_keeps_tcp_open(ours_and_peer):
    """Both Close frames are a clean end, though TCP has to be cut."""
    ws, peer = ours_and_peer()

    closer = Running(ws.close, timeout=SHORT)
    peer.recv()
    peer.send(CLOSE, closing(1000, b"bye"))
    closer.result()

    assert isinstance(closed_error(ws), ConnectionClosedOK)
    assert (ws.close_code, ws.close_reason) == (1000, "bye")
    assert peer.at_eof()


def test_close_drops_what_finds_no_room(ours_and_peer):
    """A full queue does not keep close() from reaching the peer's Close."""
    ws, peer = ours_and_peer(max_queue=2)
    for number in range(5):
        peer.send(TEXT, b"%d" % number)
        eventually(lambda: ws.stats.queued >= min(number + 1, 2), "the message")  # noqa: B023

    closer = Running(ws.close)
    assert peer.recv() == (CLOSE, closing(1000))
    end_without_echo(peer, ws)
    closer.result()

    assert list(ws)[:2] == ["0", "1"]


def test_abort(ours_and_peer):
    """abort() cuts TCP at once, without a word: 1006 and no cause but our own will."""
    ws, peer = ours_and_peer()

    ws.abort()

    assert ws.wait_closed(LONG)
    assert peer.at_eof()
    exc = closed_error(ws)
    assert (exc.code, exc.rcvd, exc.sent) == (1006, None, None)
    assert isinstance(exc, ConnectionClosedError)


def test_abort_while_closing(ours_and_peer):
    """abort() ends a close() that waits."""
    ws, peer = ours_and_peer()
    closer = waiting(Running(ws.close))

    ws.abort()

    assert closer.result() is None
    assert peer.recv() == (CLOSE, closing(1000))
    assert ws.close_code == 1006


def test_wait_closed(ours_and_peer):
    """wait_closed() tells whether the connection is closed, after a timeout or at its end."""
    ws, peer = ours_and_peer()

    assert ws.wait_closed(0) is False
    assert ws.wait_closed(0.01) is False
    waiter = waiting(Running(ws.wait_closed))
    end(peer, ws)

    assert waiter.result() is True
    assert ws.wait_closed(0) is True


# The end, by the peer.


@pytest.mark.parametrize(
    ("payload", "echo", "code", "reason"),
    [
        (closing(1000), closing(1000), 1000, ""),
        (closing(1001, b"bye"), closing(1001), 1001, "bye"),
        (closing(3999, "é".encode()), closing(3999), 3999, "é"),
        (b"", b"", 1005, ""),
    ],
)
def test_close_of_the_peer(ours_and_peer, payload, echo, code, reason):
    """The peer's Close is answered with its code, and what it said can be read."""
    ws, peer = ours_and_peer()
    before = (ws.close_code, ws.close_reason)

    peer.send(CLOSE, payload)
    answer = peer.recv()
    peer.close()
    assert ws.wait_closed(LONG)

    assert before == (None, None)
    assert answer == (CLOSE, echo)
    assert (ws.close_code, ws.close_reason) == (code, reason)


def test_server_closes_tcp_first(serve_peer):
    """RFC 6455 section 7.1.1: the server closes TCP, the client waits for that."""
    _, peer = serve_peer()

    peer.send(CLOSE, closing(1000))
    assert peer.recv() == (CLOSE, closing(1000))

    assert peer.at_eof()


def test_client_waits_for_the_server_to_close_tcp(dial_peer):
    """RFC 6455 section 7.1.1: the client leaves TCP open until the server has closed it."""
    ws, peer = dial_peer()

    peer.send(CLOSE, closing(1000))
    assert peer.recv() == (CLOSE, closing(1000))
    peer.sock.settimeout(SHORT)
    with pytest.raises(OSError):
        peer.sock.recv(1)

    assert ws.state is State.CLOSING
    peer.close()
    assert ws.wait_closed(LONG)


def ends_with_echo(ws, peer):
    """We close, and the peer answers."""
    closer = Running(ws.close)
    peer.recv()
    end_without_echo(peer, ws)
    closer.result()


def ends_with_4000(ws, peer):
    """We close with an error, and the peer answers."""
    closer = Running(ws.close, 4000, "own")
    peer.send(*peer.recv())
    peer.close()
    closer.result()


def ends_without_echo(ws, peer):
    """We close, and the peer leaves without an answer."""
    closer = Running(ws.close)
    peer.recv()
    peer.close()
    closer.result()


def ends_with_reset(ws, peer):
    """The peer resets TCP."""
    peer.reset()


def ends_with_broken_rule(ws, peer):
    """The peer breaks a rule."""
    peer.send(0xF)
    peer.recv()
    peer.close()


STORY_1002 = "opcode 0xF is reserved (5.2)"


@pytest.mark.parametrize(
    ("finish", "kind", "rcvd", "sent", "cause", "words"),
    [
        (
            ends_with_echo,
            ConnectionClosedOK,
            Close(1000),
            Close(1000),
            None,
            "sent 1000 (normal closure); received 1000 (normal closure)",
        ),
        (
            lambda ws, peer: end(peer, ws, 1001, b"bye"),
            ConnectionClosedOK,
            Close(1001, "bye"),
            Close(1001),
            None,
            "sent 1001 (going away); received 1001 (going away) bye",
        ),
        (
            lambda ws, peer: end(peer, ws, 1011),
            ConnectionClosedError,
            Close(1011),
            Close(1011),
            None,
            "sent 1011 (internal error); received 1011 (internal error)",
        ),
        (
            ends_with_4000,
            ConnectionClosedError,
            Close(4000, "own"),
            Close(4000, "own"),
            None,
            "sent 4000 (private use) own; received 4000 (private use) own",
        ),
        (
            ends_without_echo,
            ConnectionClosedError,
            None,
            Close(1000),
            None,
            "sent 1000 (normal closure); no Close frame received",
        ),
        (
            lambda ws, peer: peer.close(),
            ConnectionClosedError,
            None,
            None,
            None,
            "no Close frame received",
        ),
        (
            lambda ws, peer: ws.abort(),
            ConnectionClosedError,
            None,
            None,
            None,
            "no Close frame received",
        ),
        (
            ends_with_reset,
            ConnectionClosedError,
            None,
            None,
            ConnectionResetError,
            "no Close frame received; caused by ConnectionResetError: ",
        ),
        (
            lambda ws, peer: ws.close(timeout=0),
            ConnectionClosedError,
            None,
            Close(1000),
            TimeoutError,
            "sent 1000 (normal closure); no Close frame received; caused by TimeoutError: ",
        ),
        (
            ends_with_broken_rule,
            ConnectionClosedError,
            None,
            Close(1002, STORY_1002),
            ProtocolError,
            f"sent 1002 (protocol error) {STORY_1002}; no Close frame received; "
            f"caused by ProtocolError: {STORY_1002}",
        ),
    ],
    ids=[
        "echo",
        "peer's 1001",
        "peer's 1011",
        "our 4000",
        "no echo",
        "end of stream",
        "abort",
        "reset",
        "timeout",
        "broken rule",
    ],
)
def test_exception_tells_how_it_ended(ours_and_peer, finish, kind, rcvd, sent, cause, words):
    """ConnectionClosed tells for each way of ending what was sent, received and the cause."""
    ws, peer = ours_and_peer()

    finish(ws, peer)
    assert ws.wait_closed(LONG)
    exc = closed_error(ws)

    assert type(exc) is kind
    assert (exc.rcvd, exc.sent) == (rcvd, sent)
    assert type(exc.__cause__) is (cause or type(None))
    assert str(exc).startswith(words)
    assert (ws.close_code, ws.close_reason) == (exc.code, exc.reason)


# Broken rules.


def changed(frame, first=0, second=0):
    """Return a frame with bits of its first two bytes turned over."""
    return bytes([frame[0] ^ first, frame[1] ^ second]) + frame[2:]


def long_form(peer, size, form):
    """Return the header of a Binary frame with its length in 2 or 8 bytes."""
    mask = 0x80 if peer.masked else 0
    return bytes([0x82, mask | (126 if form == 2 else 127)]) + size.to_bytes(form, "big")


@pytest.mark.parametrize(
    ("wire", "code", "words"),
    [
        (lambda p: changed(p.frame(TEXT, b"a"), first=0x40), 1002, "reserved bits"),
        (lambda p: changed(p.frame(PING, b"a"), first=0x10), 1002, "reserved bits"),
        (lambda p: p.frame(3), 1002, "opcode"),
        (lambda p: p.frame(0xB), 1002, "opcode"),
        (lambda p: changed(p.frame(TEXT, b"abcd"), second=0x80), 1002, "masked"),
        (lambda p: p.frame(PING, fin=False), 1002, "fragmented"),
        (lambda p: p.frame(CLOSE, fin=False), 1002, "fragmented"),
        (lambda p: p.frame(PING, b"x" * 126), 1002, "125"),
        (lambda p: p.frame(CONT, b"a"), 1002, ""),
        (lambda p: p.frame(TEXT, b"a", fin=False) + p.frame(TEXT, b"b"), 1002, "not finished"),
        (lambda p: p.frame(CLOSE, b"\x03"), 1002, "1 byte"),
        (lambda p: p.frame(CLOSE, closing(1005)), 1002, "1005"),
        (lambda p: p.frame(CLOSE, closing(999)), 1002, "999"),
        (lambda p: p.frame(CLOSE, closing(1000, b"\xff")), 1007, "UTF-8"),
        (lambda p: p.frame(TEXT, b"\xff"), 1007, "UTF-8"),
        (lambda p: p.frame(TEXT, b"a\xc3"), 1007, "UTF-8"),
        (lambda p: p.frame(TEXT, b"\xed\xa0\x80", fin=False), 1007, "UTF-8"),
        (lambda p: p.frame(TEXT, b"x" * 11)[:-11], 1009, "max_size=10"),
        (lambda p: p.frame(TEXT, b"x" * 6, fin=False) + p.frame(CONT, b"x" * 5), 1009, "max_size"),
        (
            lambda p: p.frame(TEXT, fin=False) + 3 * p.frame(CONT, fin=False),
            1009,
            "max_fragments=3",
        ),
        (lambda p: long_form(p, 2**62, 8), 1009, "max_size"),
        (lambda p: long_form(p, 2**63, 8), 1002, ""),
        (lambda p: long_form(p, 5, 2), 1002, ""),
        (lambda p: long_form(p, 5, 8), 1002, ""),
    ],
)
def test_broken_rules(ours_and_peer, caplog, wire, code, words):
    """What breaks a rule is answered with its Close code, and told as what it is."""
    caplog.set_level(logging.INFO)
    ws, peer = ours_and_peer(max_size=10, max_fragments=3)

    peer.sock.sendall(wire(peer))
    opcode, payload = peer.recv()
    eof = peer.at_eof()
    peer.close()
    exc = closed_error(ws)

    assert (opcode, payload[:2]) == (CLOSE, closing(code))
    assert eof
    assert isinstance(exc, ConnectionClosedError)
    assert exc.sent == Close(code, payload[2:].decode())
    assert type(exc.__cause__) is (MessageTooBig if code == 1009 else ProtocolError)
    assert words in str(exc.__cause__)
    failures = [record for record in caplog.records if "failed" in record.getMessage()]
    assert [record.levelname for record in failures] == ["INFO"]


def test_messages_before_a_broken_rule(ours_and_peer):
    """What came before the broken rule is received; what comes behind it is not looked at."""
    ws, peer = ours_and_peer()

    peer.sock.sendall(peer.frame(TEXT, b"good") + peer.frame(3) + peer.frame(TEXT, b"bad"))

    assert ws.recv(timeout=LONG) == "good"
    assert peer.recv()[1][:2] == closing(1002)
    peer.close()
    with pytest.raises(ConnectionClosedError):
        ws.recv(timeout=LONG)


# What it tells of itself.


def test_names(ours_and_peer):
    """Role, path, handshake, addresses and logger of a connection."""
    ws, peer = ours_and_peer()

    assert ws.role.value in ("client", "server")
    assert ws.path == ws.request.path == "/"
    assert ws.response.status == 101
    assert ws.subprotocol is None
    assert ws.local_address == peer.sock.getpeername()
    assert ws.remote_address == peer.sock.getsockname()
    assert ws.logger.name == f"syncws.{ws.role.value}"


def test_id(ours_and_peer):
    """The id is a random UUID, and always the same."""
    ws, _ = ours_and_peer()

    assert isinstance(ws.id, uuid.UUID)
    assert ws.id is ws.id


def test_repr(ours_and_peer):
    """The repr tells role, state, peer and how many messages wait."""
    ws, peer = ours_and_peer()
    host, port = peer.sock.getsockname()
    role = ws.role.value

    peer.send(TEXT, b"a")
    queued(ws, 1)
    shown = [repr(ws)]
    ws.recv()
    peer.send(CLOSE, closing(1000))
    peer.recv()
    shown.append(repr(ws))
    peer.close()
    ws.wait_closed()
    shown.append(repr(ws))

    assert shown == [
        f"<Connection {role} OPEN {host}:{port} queued=1>",
        f"<Connection {role} CLOSING {host}:{port} queued=0>",
        f"<Connection {role} CLOSED {host}:{port} queued=0>",
    ]


def test_stats(ours_and_peer):
    """stats counts messages, frames and bytes each way, and the messages that wait."""
    ws, peer = ours_and_peer()
    mask = 4 if ws.role is syncws.Role.CLIENT else 0
    assert ws.stats == (0,) * 9

    ws.send("abc")
    ws.send(["a", "b"])
    ws.send_many([b"x" * 200, b""])
    ws.pong(b"123")
    for _ in range(7):
        peer.recv()
    sent = b"".join(
        [peer.frame(TEXT, b"hello"), peer.frame(PONG), peer.frame(BINARY, b"", fin=False)]
    )
    peer.sock.sendall(sent)
    eventually(lambda: ws.stats.frames_received == 3, "all frames")

    assert ws.stats == syncws.Stats(
        messages_sent=4,
        messages_received=1,
        frames_sent=7,
        frames_received=3,
        bytes_sent=7 * (2 + mask) + 2 + len(b"abc" + b"ab" + b"123") + 200,
        bytes_received=len(sent),
        queued=1,
        backlog=0,
        dropped=0,
    )


# The keepalive.


class Clock:
    """Stands in for the housekeeper of the keepalive: its timers fire when the test says so."""

    def __init__(self):
        self.timers = []

    def call_later(self, seconds, callback):
        self.timers.append(Timer(seconds, callback))
        return self.timers[-1]

    def fire(self, seconds):
        """Let the timers of so many seconds lapse; return how many there were."""
        due = [timer for timer in self.timers if timer.when == seconds and timer.pending]
        self.timers = [timer for timer in self.timers if timer not in due and timer.pending]
        for timer in due:
            timer.callback()
        return len(due)


INTERVAL, TIMEOUT = 30.0, 40.0


@pytest.fixture
def clock(monkeypatch):
    """Take the keepalive's time into the test's hands."""
    clock = Clock()
    monkeypatch.setattr(syncws.keepalive, "housekeeper", clock)
    return clock


@pytest.fixture
def kept_alive(ours_and_peer, clock):
    """Return a function that makes (connection, peer) with a keepalive."""

    def make(**options):
        return ours_and_peer(**{"ping_interval": INTERVAL, "ping_timeout": TIMEOUT, **options})

    return make


def test_keepalive_pings(kept_alive, clock):
    """Every ping_interval seconds there is a Ping, whether anybody is in recv() or not."""
    ws, peer = kept_alive()

    for number in range(3):
        assert clock.fire(INTERVAL) == 1
        opcode, payload = peer.recv()
        peer.send(PONG, payload)
        assert (opcode, len(payload)) == (PING, 4)
        eventually(lambda: ws.stats.frames_received > number, "the Pong")  # noqa: B023

    assert clock.fire(TIMEOUT) == 3
    assert ws.state is State.OPEN


def test_keepalive_closes_on_a_silent_peer(kept_alive, clock):
    """Nothing from the peer within ping_timeout: 1011 to the peer, a TimeoutError to us."""
    ws, peer = kept_alive()
    clock.fire(INTERVAL)
    assert peer.recv()[0] == PING

    assert clock.fire(TIMEOUT) == 1

    exc = closed_error(ws)
    assert (exc.code, exc.sent) == (1006, Close(1011, "keepalive ping timeout"))
    assert isinstance(exc, ConnectionClosedError)
    assert isinstance(exc.__cause__, TimeoutError)
    assert str(TIMEOUT) in str(exc)


@pytest.mark.parametrize(
    "life",
    [
        lambda peer: peer.send(TEXT, b"a"),
        lambda peer: peer.send(PONG),
        lambda peer: peer.send(PING),
        lambda peer: peer.sock.sendall(peer.frame(TEXT, b"a")[:1]),
    ],
    ids=["message", "other Pong", "Ping", "one byte"],
)
def test_any_byte_is_a_sign_of_life(kept_alive, clock, life):
    """A peer that does not answer the Ping but sends anything at all is not dead."""
    ws, peer = kept_alive()
    clock.fire(INTERVAL)
    peer.recv()
    before = ws.stats.bytes_received

    life(peer)
    eventually(lambda: ws.stats.bytes_received > before, "the sign of life")
    clock.fire(TIMEOUT)

    assert ws.state is State.OPEN


def test_silence_is_judged_anew_each_time(kept_alive, clock):
    """Life before a Ping does not count for it."""
    ws, peer = kept_alive()
    peer.send(TEXT, b"a")
    queued(ws, 1)
    clock.fire(INTERVAL)

    clock.fire(TIMEOUT)

    assert ws.wait_closed(LONG)


def test_a_full_queue_is_not_a_dead_peer(kept_alive, clock):
    """While we do not read, silence is our own."""
    ws, peer = kept_alive(max_queue=1)
    peer.send(TEXT, b"a")
    eventually(lambda: ws._engine.queue.parked, "a full queue")

    clock.fire(INTERVAL)
    clock.fire(TIMEOUT)

    assert ws.state is State.OPEN


def test_keepalive_can_be_turned_off(kept_alive, clock):
    """ping_interval=None sends no Ping."""
    ws, _ = kept_alive(ping_interval=None)

    assert clock.timers == []
    assert ws.state is State.OPEN


def test_verdict_can_be_turned_off(kept_alive, clock):
    """ping_timeout=None sends Pings and never judges."""
    _, peer = kept_alive(ping_timeout=None)

    clock.fire(INTERVAL)

    assert peer.recv()[0] == PING
    assert [timer.when for timer in clock.timers] == [INTERVAL]


def test_keepalive_ends_with_the_connection(kept_alive, clock):
    """A closed connection sends no Ping and leaves no timer."""
    ws, peer = kept_alive()
    clock.fire(INTERVAL)
    peer.recv()

    end(peer, ws)

    assert [timer for timer in clock.timers if timer.pending] == []


def test_keepalive_in_real_time(ours_and_peer):
    """With the housekeeper's own clock a silent peer is found out, too."""
    ws, peer = ours_and_peer(ping_interval=0.01, ping_timeout=SHORT)

    exc = closed_error(ws)

    assert "keepalive" in str(exc)
    assert peer.recv()[0] == PING


# Logs.


def test_frames_are_logged_at_debug(ours_and_peer, caplog):
    """At DEBUG every frame is a line, long ones cut."""
    caplog.set_level(logging.DEBUG)
    ws, peer = ours_and_peer()

    ws.send("x" * 100_000)
    ws.send(b"out")
    peer.send(TEXT, b"in")
    peer.send(BINARY, b"y" * 100_000)
    peer.send(PING, b"123")
    for _ in range(3):
        peer.recv()
    end(peer, ws, 1001, b"bye")

    lines = [record.getMessage() for record in caplog.records]
    shown = "\n".join(lines)
    expected = ["> BINARY b'out'", "< 'in'", "> PONG b'123'", "... (100003 characters)", "bye"]
    assert [word for word in expected if word not in shown] == []
    assert max(map(len, lines)) < 600
    assert {record.levelno for record in caplog.records} <= {logging.DEBUG, logging.INFO}


def test_a_normal_life_is_not_logged_at_info(ours_and_peer, caplog):
    """At INFO there is nothing to say of a connection that just works."""
    caplog.set_level(logging.INFO)
    ws, peer = ours_and_peer()

    ws.send("out")
    peer.send(TEXT, b"in")
    ws.recv(timeout=LONG)
    end(peer, ws)

    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if not line.startswith("listening on")] == []


# After a fork.

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() on this system")
alone = pytest.mark.native_threads("a forked child shares eventlet's epoll", unlike="eventlet")
quiet = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_child(call):
    """Call in a forked process; return what it returned or raised, as text."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(into, str(call()).encode())
        except BaseException as exc:
            os.write(into, repr(exc).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(into)
    text = os.read(out, 65536).decode()  # not up to the end: gevent is late to close the other one
    os.close(out)
    return text


def outcome(call):
    """Return the name of the exception of a call, or what it returns."""
    try:
        return call()
    except Exception as exc:
        return type(exc).__name__


def secure_pair(serve, secure):
    """Return our client of an echo server, plain or TLS."""
    server = serve(ssl=server_context() if secure else None)
    return server, syncws.connect(server.url, ssl=client_context() if secure else None)


@fork
@alone
@quiet
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_inherited_connection_in_the_child(serve, secure):
    """In a forked child every call on the parent's connection raises a clear error."""
    _, ws = secure_pair(serve, secure)

    with ws:
        raised = {name: in_child(lambda: outcome(lambda: call(ws))) for name, call in CALLS.items()}  # noqa: B023
        raised["iteration"] = in_child(lambda: outcome(lambda: list(ws)))
        ws.send("still here")
        assert ws.recv(timeout=LONG) == "still here"

    assert set(raised.values()) == {"InheritedConnection"}


@fork
@alone
@quiet
@pytest.mark.parametrize(
    ("call", "result"),
    [
        (lambda ws: ws.close(), "None"),
        (lambda ws: ws.abort(), "None"),
        (lambda ws: ws.wait_closed(), "True"),
        (lambda ws: ws.__exit__(None, None, None), "None"),
        (lambda ws: ws.state, "State.CLOSED"),
        (lambda ws: "CLOSED" in repr(ws), "True"),
    ],
    ids=["close", "abort", "wait_closed", "exit", "state", "repr"],
)
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_inherited_connection_is_left_alone(serve, secure, call, result):
    """What ends a connection does nothing in the child; the parent's goes on."""
    _, ws = secure_pair(serve, secure)

    with ws:
        assert in_child(lambda: call(ws)) == result
        ws.send("still here")
        assert ws.recv(timeout=LONG) == "still here"
    assert ws.close_code == 1000


@fork
@alone
@quiet
def test_inherited_connection_says_what_to_do(serve):
    """The error names both processes and says to connect again."""
    _, ws = secure_pair(serve, False)

    with ws:
        text = in_child(lambda: ws.send("x"))

    assert text.startswith(InheritedConnection.__name__)
    assert f"process {os.getpid()}" in text
    assert "connect() again" in text


@fork
@alone
@quiet
def test_child_can_connect(serve):
    """A forked child makes its own connection, timers and all."""
    server, ws = secure_pair(serve, False)

    def talk():
        with syncws.connect(server.url, ping_interval=0.01) as own:
            eventually(lambda: own.latency > 0, "a Pong for the keepalive")
            own.send("from the child")
            return own.recv(timeout=LONG)

    with ws:
        assert in_child(talk) == "from the child"


@fork
@alone
@quiet
def test_fork_with_a_receiver_and_a_sender(serve):
    """A fork while other threads use the connection leaves no lock behind in the child."""
    _, ws = secure_pair(serve, False)
    stop = threading.Event()

    def hammer():
        while not stop.is_set():
            ws.send("x" * 1000)
            ws.recv(timeout=LONG)

    with ws, contextlib.ExitStack() as stack:
        stack.callback(stop.set)
        running = Running(hammer)
        outcomes = [in_child(lambda: outcome(lambda: ws.send("x"))) for _ in range(5)]
        stop.set()
        running.result()

    assert outcomes == ["InheritedConnection"] * 5


# Dropped.


def test_dropped_connection_ends(listener):
    """A connection that nobody holds ends its reader, with a ResourceWarning."""
    server = Running(Peer.accepting, listener)
    ws = syncws.connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/")

    with server.result() as peer:
        with pytest.warns(ResourceWarning, match="unclosed <Connection client OPEN"):
            del ws
            gc.collect()
        assert peer.at_eof()


def test_closed_connection_can_be_dropped(listener):
    """A connection that is closed goes without a warning."""
    server = Running(Peer.accepting, listener)
    ws = syncws.connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/")

    with server.result() as peer:
        end(peer, ws)
        del ws
        gc.collect()


def test_connection_in_use_is_held(listener):
    """A call that waits holds its connection."""
    server = Running(Peer.accepting, listener)
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
    receiver = Running(lambda: list(syncws.connect(url)))

    with server.result() as peer:
        waiting(receiver)
        gc.collect()
        peer.send(TEXT, b"hello")
        peer.send(CLOSE, closing(1000))

    assert receiver.result() == ["hello"]
