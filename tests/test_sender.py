"""Messages on their way out: in frames, whole, and not mixed up with those of other threads."""

from __future__ import annotations

import collections
import random
import threading
import zlib

import pytest

from support.frames import Seen, read_frame, read_frames, read_message
from support.peer import Peer
from support.streams import LARGE, recv_to_end, soon, tcp_pair
from support.threads import Running, blocked_in, eventually
from support.wire import BINARY, CLOSE, CONT, PONG, TEXT
from syncws.codes import Role
from syncws.deadline import Deadline
from syncws.exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedError
from syncws.housekeeper import housekeeper
from syncws.options import Deflate
from syncws.outgoing import as_fragments
from syncws.sansio import Deflater, Protocol
from syncws.sender import Sender
from syncws.transport import Transport
from syncws.writer import Writer


class Bench:
    """A Sender with all it needs, and a scripted peer at the other end."""

    def __init__(self, role):
        ours, theirs = tcp_pair()
        self.peer = Peer(theirs, masked=role is Role.SERVER)
        self.transport = Transport(ours)
        self.writer = Writer(self.transport)
        self.role = role
        self.given_up = 0
        self.refused = None
        self.logged = []
        self.frame_made = lambda: None

    def sender(self, fragment_size=None, deflater=None):
        return Sender(
            Protocol(self.role),
            self.writer,
            fragment_size,
            deflater,
            self._admit,
            self._failed,
            self._give_up,
            self._log,
        )

    def _log(self, opcode, payload, compressed):
        self.logged.append((int(opcode), payload))
        self.frame_made()

    def _admit(self):
        if self.refused is not None:
            raise self.refused

    def _failed(self, exc):
        error = ConnectionClosedError(None, None)
        error.__cause__ = exc
        return error

    def _give_up(self):
        self.given_up += 1

    def close(self):
        self.peer.close()
        housekeeper.forget(self.transport.sock)
        self.transport.close()


@pytest.fixture(params=[Role.CLIENT, Role.SERVER])
def bench(request):
    """Return what a Sender needs, in either role."""
    bench = Bench(request.param)
    yield bench
    bench.close()


# One message.


def test_send_writes_one_frame(bench):
    """A message that is not long goes out in one piece."""
    sender = bench.sender()

    sender.send(TEXT, b"hello", soon())

    assert read_frame(bench.peer) == Seen(TEXT, b"hello")
    assert bench.logged == [(TEXT, b"hello")]


def test_send_masks_as_a_client_and_not_as_a_server(bench):
    """RFC 6455 section 5.1, with another key each time (section 5.3)."""
    sender = bench.sender()

    for _ in range(3):
        sender.send(BINARY, bytes(8), soon())
    bench.transport.half_close()

    wire = recv_to_end(bench.peer.sock)
    frames = {wire[start : start + len(wire) // 3] for start in range(0, len(wire), len(wire) // 3)}
    assert len(frames) == (3 if bench.role is Role.CLIENT else 1)


def test_send_cuts_a_long_message_into_fragments(bench):
    """So that Pings and Pongs can pass between."""
    sender = bench.sender(fragment_size=4)

    sender.send(TEXT, b"123456789", soon())

    assert read_frames(bench.peer, 3) == [
        Seen(TEXT, b"1234", False),
        Seen(CONT, b"5678", False),
        Seen(CONT, b"9", True),
    ]


def test_send_lets_control_frames_pass_between_fragments(bench):
    """What is posted while a long message goes out does not wait for its end."""
    sender = bench.sender(fragment_size=4)
    bench.frame_made = lambda: bench.writer.post(bench.peer.frame(PONG))

    sender.send(TEXT, b"12345678", soon())

    opcodes = [frame.opcode for frame in read_frames(bench.peer, 4)]
    assert opcodes == [TEXT, PONG, CONT, PONG]


def test_counts_are_those_of_what_was_sent(bench):
    """Messages, frames, and bytes with their headers."""
    sender = bench.sender(fragment_size=4)

    sender.send(TEXT, b"12345678", soon())
    sender.send_many([(TEXT, b"a"), (BINARY, b"b")], soon())
    sender.send_fragments(as_fragments(["a", "b"], None), soon())
    sender.send_fragments(as_fragments([], None), soon())
    bench.transport.half_close()

    assert (sender.messages, sender.frames_sent) == (4, 7)
    assert sender.bytes_sent == len(recv_to_end(bench.peer.sock))


# Several messages.


def test_send_many_writes_all_messages_at_once(bench):
    """One write for a batch, long messages in fragments."""
    sender = bench.sender(fragment_size=4)

    sender.send_many([(TEXT, b"a"), (BINARY, b"12345"), (TEXT, b"")], soon())

    assert read_frames(bench.peer, 4) == [
        Seen(TEXT, b"a"),
        Seen(BINARY, b"1234", False),
        Seen(CONT, b"5", True),
        Seen(TEXT, b""),
    ]


def test_send_many_of_nothing_does_nothing(bench):
    """No messages, no write."""
    sender = bench.sender()

    sender.send_many([], soon())
    sender.send(TEXT, b"next", soon())

    assert read_frame(bench.peer) == Seen(TEXT, b"next")
    assert sender.messages == 1


def test_messages_of_several_threads_do_not_mix(bench):
    """Each message goes out with its frames together, and those of one thread in order."""
    sender = bench.sender(fragment_size=7)
    count = 40

    def send_whole(letter):
        for number in range(count):
            sender.send(TEXT, letter * (number + 1), soon())

    def send_fragments(letter):
        for number in range(count):
            fragments = (letter.decode() for _ in range(number + 1))
            sender.send_fragments(as_fragments(fragments, None), soon())

    def send_many(letter):
        for number in range(0, count, 4):
            messages = [(TEXT, letter * (number + more + 1)) for more in range(4)]
            sender.send_many(messages, soon())

    threads = [
        Running(send_whole, b"a"),
        Running(send_whole, b"b"),
        Running(send_fragments, b"c"),
        Running(send_many, b"d"),
    ]
    received = collections.defaultdict(list)
    for _ in range(4 * count):
        payload = b"".join(frame.payload for frame in read_message(bench.peer))
        received[payload[:1]].append(payload)

    for thread in threads:
        thread.result()
    assert received == {
        letter: [letter * (number + 1) for number in range(count)]
        for letter in (b"a", b"b", b"c", b"d")
    }


# Large messages.


@pytest.mark.parametrize("size", [2**14 - 1, 2**14, 2**17])
def test_large_messages_arrive_as_small_ones_do(bench, size):
    """Whatever is copied on the way, or not."""
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    sender = bench.sender()

    sending = Running(sender.send, BINARY, payload, soon())
    frame = read_frame(bench.peer)
    sending.result()
    counted = sender.bytes_sent
    sending = Running(sender.send_many, [(BINARY, payload), (TEXT, b"end")], soon())
    frames = [read_frame(bench.peer), read_frame(bench.peer)]
    sending.result()

    header = (4 if size < 2**16 else 10) + (4 if bench.role is Role.CLIENT else 0)
    assert frame.payload == payload
    assert counted == header + size
    assert [frame.payload for frame in frames] == [payload, b"end"]


def test_a_server_does_not_copy_a_large_message(monkeypatch):
    """It goes to the socket as it is, behind its header."""
    bench = Bench(Role.SERVER)
    parts = []
    monkeypatch.setattr(bench.transport, "send_nowait", lambda *data: parts.extend(data) or True)
    payload = bytes(2**16)
    try:
        bench.sender().send(BINARY, payload, soon())
    finally:
        bench.close()

    assert parts[0] == b"\x82\x7f" + (2**16).to_bytes(8, "big")
    assert parts[1] is payload


# Timeouts.


@pytest.fixture
def stuck(bench):
    """Let the peer have more to read than fits into the connection."""
    bench.writer.write([bench.peer.frame(BINARY, LARGE)], Deadline(0), lambda: None)


@pytest.mark.parametrize(
    "send",
    [
        lambda sender: sender.send(TEXT, b"never", Deadline(0.01)),
        lambda sender: sender.send_many([(TEXT, b"never")], Deadline(0.01)),
        lambda sender: sender.send_fragments(as_fragments(["never"], None), Deadline(0.01)),
    ],
)
def test_not_sent_means_that_nothing_was(bench, stuck, send):
    """A message that could not begin in time is none, and the connection goes on."""
    sender = bench.sender()

    with pytest.raises(TimeoutError, match="not sent"):
        send(sender)
    sending = Running(sender.send, TEXT, b"next", soon())

    assert [frame.payload for frame in read_frames(bench.peer, 2)] == [LARGE, b"next"]
    sending.result()
    assert bench.given_up == 0
    assert sender.messages == 1


def test_not_sent_behind_another_thread_means_that_nothing_was(bench):
    """Waiting for the message of another thread ends by the deadline, too."""
    sender = bench.sender()
    first = Running(sender.send, BINARY, LARGE, soon())
    eventually(lambda: blocked_in(first.thread, "wait_writable"))

    with pytest.raises(TimeoutError, match=r"not sent: other messages took over 0.01 s"):
        sender.send(TEXT, b"never", Deadline(0.01))
    received = read_frame(bench.peer)
    first.result()
    sender.send(TEXT, b"next", soon())

    assert received == Seen(BINARY, LARGE)
    assert read_frame(bench.peer) == Seen(TEXT, b"next")


@pytest.mark.parametrize("fragment_size", [None, 10000])
def test_a_late_message_arrives_whole(bench, fragment_size):
    """What was begun goes out by itself, before the next message."""
    sender = bench.sender(fragment_size)

    with pytest.raises(TimeoutError, match=r"did not take the whole message in 0.01 s"):
        sender.send(BINARY, LARGE, Deadline(0.01))
    sending = Running(sender.send, TEXT, b"next", soon())

    assert b"".join(frame.payload for frame in read_message(bench.peer)) == LARGE
    assert read_frame(bench.peer) == Seen(TEXT, b"next")
    sending.result()
    assert bench.given_up == 0


def test_a_late_batch_arrives_whole(bench):
    """Either none of the messages is sent, or all are."""
    sender = bench.sender()

    with pytest.raises(TimeoutError, match="did not take the whole message"):
        sender.send_many([(BINARY, LARGE), (TEXT, b"last")], Deadline(0.01))

    assert read_frames(bench.peer, 2) == [Seen(BINARY, LARGE), Seen(TEXT, b"last")]


def test_an_iterable_that_is_late_is_given_up(bench):
    """Nobody will make the rest of it, so the message cannot be finished."""
    sender = bench.sender()

    with pytest.raises(TimeoutError, match="did not take the whole message"):
        sender.send_fragments(as_fragments([LARGE, b"never"], None), Deadline(0.01))

    assert read_frame(bench.peer) == Seen(BINARY, LARGE, False)
    assert bench.given_up == 1
    assert sender.messages == 0


# Iterables.


def test_send_fragments_writes_each_as_soon_as_it_is_there(bench):
    """The peer sees the first fragment before the second is made."""
    sender = bench.sender()
    seen = []

    def fragments():
        yield "one"
        seen.append(read_frame(bench.peer))
        yield "two"
        seen.append(read_frame(bench.peer))

    sender.send_fragments(as_fragments(fragments(), None), soon())

    assert seen == [Seen(TEXT, b"one", False), Seen(CONT, b"two", False)]
    assert read_frame(bench.peer) == Seen(CONT, b"", True)


def test_an_iterable_that_raises_at_once_does_no_harm(bench):
    """Nothing was sent, so nothing has to be given up."""
    sender = bench.sender()

    with pytest.raises(ZeroDivisionError):
        sender.send_fragments(as_fragments((1 // 0 for _ in "a"), None), soon())
    sender.send(TEXT, b"next", soon())

    assert read_frame(bench.peer) == Seen(TEXT, b"next")
    assert bench.given_up == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ConcurrencyError])
def test_an_iterable_that_raises_in_the_middle_is_given_up(bench, error):
    """The peer must not take what it has for the whole message."""
    sender = bench.sender()

    def broken():
        yield "one"
        raise error

    with pytest.raises(error):
        sender.send_fragments(as_fragments(broken(), None), soon())

    assert bench.given_up == 1
    assert sender.messages == 0


def test_a_fragment_of_another_type_gives_the_message_up(bench):
    """The message cannot be finished."""
    sender = bench.sender()

    with pytest.raises(TypeError, match="all str or all bytes-like"):
        sender.send_fragments(as_fragments(["a", b"b"], None), soon())

    assert bench.given_up == 1


def test_send_inside_the_iterable_is_refused_and_the_message_goes_on(bench):
    """A thread cannot wait for itself."""
    sender = bench.sender()

    def nested():
        yield "one"
        with pytest.raises(ConcurrencyError):
            sender.send(TEXT, b"nested", soon())
        with pytest.raises(ConcurrencyError):
            sender.send_many([], soon())
        yield "two"

    sender.send_fragments(as_fragments(nested(), None), soon())
    sender.send(TEXT, b"next", soon())

    assert [frame.payload for frame in read_message(bench.peer)] == [b"one", b"two", b""]
    assert read_frame(bench.peer) == Seen(TEXT, b"next")
    assert bench.given_up == 0


def test_send_waits_for_the_iterable_of_another_thread(bench):
    """A message is not interrupted by one of another thread, however slowly it is made."""
    sender = bench.sender()
    go_on = threading.Event()

    def slow():
        yield "one"
        go_on.wait(20)
        yield "two"

    making = Running(sender.send_fragments, as_fragments(slow(), None), soon())
    first = read_frame(bench.peer)
    sending = Running(sender.send, TEXT, b"next", soon())
    eventually(lambda: blocked_in(sending.thread, "acquire"))
    go_on.set()

    assert first == Seen(TEXT, b"one", False)
    assert [frame.payload for frame in read_frames(bench.peer, 3)] == [b"two", b"", b"next"]
    making.result()
    sending.result()


# Interruptions.


def interrupted(deadline):
    """Be interrupted by Ctrl-C while waiting for the peer."""
    raise KeyboardInterrupt


def test_a_message_that_is_interrupted_between_fragments_is_given_up(bench, monkeypatch):
    """The next message would be taken for a part of it."""
    sender = bench.sender(fragment_size=len(LARGE))
    monkeypatch.setattr(bench.transport, "wait_writable", interrupted)

    with pytest.raises(KeyboardInterrupt):
        sender.send(BINARY, LARGE + LARGE, soon())

    assert bench.given_up == 1


def test_a_message_that_is_interrupted_in_its_last_frame_goes_out(bench, monkeypatch):
    """A frame that was begun is finished, so there is nothing to give up."""
    sender = bench.sender()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bench.transport, "wait_writable", interrupted)
        sender.send(BINARY, LARGE, soon())

    sending = Running(sender.send, TEXT, b"next", soon())

    assert read_frames(bench.peer, 2) == [Seen(BINARY, LARGE), Seen(TEXT, b"next")]
    sending.result()
    assert bench.given_up == 0


def test_an_iterable_that_is_interrupted_in_its_first_frame_is_given_up(bench, monkeypatch):
    """The peer has the beginning of a message, even if send() never came back for more."""
    sender = bench.sender()
    monkeypatch.setattr(bench.transport, "wait_writable", interrupted)

    with pytest.raises(KeyboardInterrupt):
        sender.send_fragments(as_fragments([LARGE], None), soon())

    assert bench.given_up == 1


# The end.


def test_what_is_refused_is_not_sent(bench):
    """Each frame is admitted; what is refused comes through."""
    sender = bench.sender()
    bench.refused = ConnectionClosed(None, None)

    with pytest.raises(ConnectionClosed):
        sender.send(TEXT, b"never", soon())
    bench.refused = None
    sender.send(TEXT, b"next", soon())

    assert read_frame(bench.peer) == Seen(TEXT, b"next")
    assert sender.messages == 1


def test_a_network_error_is_told_in_the_connections_words(bench):
    """The end of the network is reported as the end of the connection, with its cause."""
    sender = bench.sender()
    bench.transport.shutdown()

    with pytest.raises(ConnectionClosedError) as caught:
        sender.send(TEXT, b"never", soon())

    assert isinstance(caught.value.__cause__, BrokenPipeError)
    assert bench.given_up == 0


def test_a_network_error_in_the_middle_of_a_message_gives_nothing_up(bench):
    """Nobody is there to be told of a message without an end."""
    sender = bench.sender(fragment_size=len(LARGE))
    sending = Running(sender.send, BINARY, LARGE + LARGE, soon())
    eventually(lambda: blocked_in(sending.thread, "wait_writable"))

    bench.transport.shutdown()

    assert isinstance(sending.error(), ConnectionClosedError)
    assert bench.given_up == 0


def test_a_timeout_of_the_network_is_no_lapsed_deadline(bench, monkeypatch):
    """ETIMEDOUT, which TCP reports for a dead peer, is an error of the network."""
    sender = bench.sender()

    def timed_out(data):
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(bench.transport, "send_nowait", timed_out)

    with pytest.raises(ConnectionClosedError):
        sender.send(TEXT, b"never", soon())


# In a connection.


# For those who may not wait.


def submit(sender, frames):
    """Submit frames, and wait for what is told of them."""
    told = []
    sender.submit(frames, told.append)
    return eventually(lambda: told)[0]


def test_begin_does_not_wait_for_a_thread_that_sends(bench):
    sender = bench.sender()
    first = Running(sender.send, BINARY, LARGE, soon())
    eventually(lambda: blocked_in(first.thread, "wait_writable"))

    assert not sender.begin()
    assert not sender.begin(Deadline(0.01))
    waiting = Running(sender.begin, soon())
    eventually(lambda: blocked_in(waiting.thread, "acquire"))
    assert read_frame(bench.peer) == Seen(BINARY, LARGE)
    assert waiting.result()
    assert not sender.begin()
    sender.end(0)
    assert sender.begin()
    sender.end(0)
    first.result()


def test_what_is_submitted_is_one_message(bench):
    sender = bench.sender(fragment_size=4)
    assert sender.begin()

    assert submit(sender, sender.whole(TEXT, b"12345678", None)) is None
    sender.end(1)

    assert [frame.payload for frame in read_message(bench.peer)] == [b"1234", b"5678"]
    assert (sender.messages, bench.given_up) == (1, 0)


def test_fragments_submitted_in_one_turn_stay_together(bench):
    """The message of a thread goes out behind them."""
    sender = bench.sender()
    assert sender.begin()
    frames = sender.fragments(as_fragments(["a", "b"], None), None)
    assert submit(sender, iter((next(frames),))) is None
    other = Running(sender.send, TEXT, b"behind", soon())
    eventually(lambda: blocked_in(other.thread, "_wait_turn"))
    for frame in frames:
        assert submit(sender, iter((frame,))) is None
    sender.end(1)
    other.result()

    whole = read_message(bench.peer)
    assert b"".join(frame.payload for frame in whole) == b"ab"
    assert whole[0].opcode == TEXT
    assert read_frame(bench.peer) == Seen(TEXT, b"behind")


def test_an_end_in_the_middle_of_a_message_gives_it_up(bench):
    sender = bench.sender()
    assert sender.begin()
    frames = sender.fragments(as_fragments(["a", "b"], None), None)
    assert submit(sender, iter((next(frames),))) is None
    sender.end(0)

    assert (sender.messages, bench.given_up) == (0, 1)
    assert sender.begin()
    sender.end(0)
    assert bench.given_up == 1


def test_an_end_behind_a_network_error_gives_nothing_up(bench):
    """Nobody is there to misunderstand."""
    sender = bench.sender()
    assert sender.begin()
    frames = sender.fragments(as_fragments(["a", "b"], None), None)
    assert submit(sender, iter((next(frames),))) is None
    bench.transport.shutdown()
    error = submit(sender, iter((next(frames),)))
    sender.end(0)

    assert isinstance(error, ConnectionClosed)
    assert isinstance(error.__cause__, OSError)
    assert bench.given_up == 0


def test_send_nowait_says_whether_the_socket_took_all(bench):
    """What it did not take goes out by itself."""
    sender = bench.sender()
    assert sender.begin()
    assert sender.send_nowait(TEXT, b"short")
    sender.end(1)
    assert sender.begin()
    assert not sender.send_nowait(BINARY, LARGE)
    sender.end(1)

    assert read_frames(bench.peer, 2) == [Seen(TEXT, b"short"), Seen(BINARY, LARGE)]
    assert sender.messages == 2


def test_send_nowait_that_is_refused_sends_nothing(bench):
    sender = bench.sender()
    bench.refused = ConnectionClosedError(None, None)
    assert sender.begin()
    with pytest.raises(ConnectionClosedError) as caught:
        sender.send_nowait(TEXT, b"never")
    sender.end(0)
    assert caught.value is bench.refused
    bench.refused = None

    sender.send(TEXT, b"next", soon())
    assert read_frame(bench.peer) == Seen(TEXT, b"next")


def test_send_nowait_tells_of_a_network_error_in_the_connections_words(bench):
    sender = bench.sender()
    bench.transport.shutdown()
    assert sender.begin()
    with pytest.raises(ConnectionClosedError) as caught:
        sender.send_nowait(TEXT, b"never")
    sender.end(0)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("size", "compress", "plain", "compresses"),
    [
        (99, None, True, False),
        (100, None, False, True),
        (99, True, False, True),
        (100, False, True, False),
        (200, False, True, False),
        (201, False, False, False),
    ],
)
def test_is_plain_and_compresses(bench, size, compress, plain, compresses):
    """One frame as it is: not longer than a fragment, and not compressed."""
    sender = bench.sender(200, Deflater(15, True, Deflate(threshold=100)))
    assert sender.is_plain(size, compress) is plain
    assert sender.compresses(size, compress) is compresses
    without = bench.sender()
    assert without.is_plain(size, compress)
    assert not without.compresses(size, True)


def test_joined_has_the_frames_of_all_messages(bench):
    sender = bench.sender(fragment_size=4)
    contents = [(TEXT, b"123456"), (BINARY, b""), (TEXT, b"7")]
    assert sender.begin()
    assert submit(sender, iter((sender.joined(contents, None),))) is None
    sender.end(len(contents))

    expected = [Seen(TEXT, b"1234", False), Seen(CONT, b"56"), Seen(BINARY, b""), Seen(TEXT, b"7")]
    assert read_frames(bench.peer, 4) == expected
    assert sender.messages == 3


@pytest.mark.parametrize("how", ["refused", "cancelled"])
def test_what_was_compressed_and_not_submitted_is_not_referred_to(bench, how):
    """The peer has never seen it; what went out it has."""
    sender = bench.sender(None, Deflater(15, True, Deflate(threshold=0)))
    inflater = zlib.decompressobj(-15)
    texts = [bytes(random.Random(seed).choices(b"abcdefgh", k=500)) for seed in range(2)]

    def received():
        payload = read_frame(bench.peer).payload
        return len(payload), inflater.decompress(payload + b"\0\0\xff\xff")

    def send(text, lost=False):
        assert sender.begin()
        frames = sender.whole(TEXT, text, None)
        if not (lost and how == "cancelled"):
            bench.refused = ValueError("refused") if lost else None
            assert submit(sender, frames) is bench.refused
            bench.refused = None
        sender.end(not lost)

    send(texts[0])
    size, text = received()
    assert text == texts[0]
    send(texts[0])
    again, text = received()
    assert text == texts[0]
    assert again < size / 4  # it refers to the first
    send(texts[1], lost=True)
    send(texts[1])
    once_more, text = received()
    assert text == texts[1]
    assert once_more > size / 2
    send(texts[1])
    again, text = received()
    assert text == texts[1]
    assert again < size / 4


def test_a_message_given_up_closes_the_connection_with_1011(ours_and_peer):
    """The peer gets the fragments that were made, then a Close that says what happened."""
    ws, peer = ours_and_peer()

    def broken():
        yield "one"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ws.send(broken())

    assert read_frames(peer, 2) == [
        Seen(TEXT, b"one", False),
        Seen(CLOSE, b"\x03\xf3message not finished"),
    ]


def test_messages_of_several_threads_do_not_mix_in_a_connection(ours_and_peer):
    """The same holds for users of send()."""
    ws, peer = ours_and_peer(fragment_size=3)

    threads = [
        Running(lambda letter=letter: [ws.send(letter * 10) for _ in range(50)]) for letter in "abc"
    ]
    messages = ["".join(f.payload.decode() for f in read_message(peer)) for _ in range(150)]

    for thread in threads:
        thread.result()
    assert collections.Counter(messages) == {"a" * 10: 50, "b" * 10: 50, "c" * 10: 50}
