"""The queue of received messages: bounded in messages and bytes, and nothing lost or doubled."""

from __future__ import annotations

import collections
import itertools
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.streams import soon
from support.threads import Running, blocked_in, eventually
from syncws import recvqueue as module
from syncws.arriving import Arriving
from syncws.deadline import Deadline, wait
from syncws.recvqueue import QueueClosed, RecvQueue

NOW = Deadline(0)


def counted(queue):
    """Return the bytes that a queue believes to hold, for takers and streamers."""
    with queue._lock:
        queue._forget_taken()
        return queue._bytes, queue._pieces_bytes


def feed(queue, pieces):
    """Feed one message in pieces, as the reader thread does: look for room behind each."""
    for index, piece in enumerate(pieces):
        queue.put_piece(piece, len(piece), index == len(pieces) - 1)
        queue.park()


def parked(call, *args):
    """Run something that feeds a queue until it is parked."""
    feeding = Running(call, *args)
    eventually(lambda: blocked_in(feeding.thread, "park"))
    return feeding


def waiting(call, *args):
    """Run something that takes from a queue until it waits."""
    taking = Running(call, *args)
    eventually(lambda: blocked_in(taking.thread, "_wait"))
    return taking


# Whole messages.


def test_messages_are_taken_in_order():
    """First in, first out, of either kind."""
    queue = RecvQueue(None, None)

    queue.put(["a", b"b"], 2)
    queue.put(["c"], 1)

    assert len(queue) == 3
    assert [queue.get(NOW) for _ in range(3)] == ["a", b"b", "c"]
    assert len(queue) == 0


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_get_from_an_empty_queue_times_out(seconds):
    """Who does not want to wait for ever need not."""
    queue = RecvQueue(None, None)

    with pytest.raises(TimeoutError, match=f"no message in {seconds} s"):
        queue.get(Deadline(seconds))


def test_get_waits_for_a_message():
    """A taker wakes as soon as there is a message."""
    queue = RecvQueue(None, None)
    taking = waiting(queue.get, soon())

    queue.put(["late"], 4)

    assert taking.result() == "late"


def test_one_batch_wakes_as_many_takers_as_it_has_messages():
    """Messages that come together go to all who wait."""
    queue = RecvQueue(None, None)
    takers = [waiting(queue.get, soon()) for _ in range(3)]

    queue.put(["a", "b", "c"], 3)

    assert sorted(taker.result() for taker in takers) == ["a", "b", "c"]


def test_a_taker_that_times_out_leaves_its_wakeup_to_another(monkeypatch):
    """A message that comes at the very moment of a timeout does not lie there unseen."""
    queue = RecvQueue(None, None)
    lapsing = soon()
    monkeypatch.setattr(
        module, "wait", lambda filled, deadline: wait(filled, deadline) and deadline is not lapsing
    )
    impatient = waiting(queue.get, lapsing)
    patient = waiting(queue.get, soon())

    queue.put(["message"], 7)

    assert isinstance(impatient.error(), TimeoutError)
    assert patient.result() == "message"


# The end.


def test_close_lets_takers_have_what_is_there():
    """What was received before the end can be taken after it."""
    queue = RecvQueue(None, None)
    queue.put(["a", "b"], 2)

    queue.close()

    assert [queue.get(NOW), queue.get(soon())] == ["a", "b"]
    with pytest.raises(QueueClosed):
        queue.get(NOW)
    with pytest.raises(QueueClosed):
        queue.begin_stream(NOW)


def test_close_wakes_every_taker():
    """Nobody waits for what will not come."""
    queue = RecvQueue(None, None)
    takers = [waiting(queue.get, soon()) for _ in range(3)]
    takers.append(waiting(queue.begin_stream, soon()))

    queue.close()

    assert [type(taker.error()) for taker in takers] == [QueueClosed] * 4


def test_close_in_the_middle_of_a_message_drops_it():
    """Half a message is never delivered as one."""
    queue = RecvQueue(None, None)
    queue.put_piece("half", 4, False)

    queue.close()

    with pytest.raises(QueueClosed):
        queue.get(NOW)


# Backpressure.


def test_park_does_not_wait_while_there_is_room():
    """Below both limits the feeder goes on."""
    queue = RecvQueue(3, 100)

    queue.put(["a", "b"], 99)
    queue.park()

    assert not queue.parked


def test_park_never_waits_without_limits():
    """No limits, no waiting."""
    queue = RecvQueue(None, None)

    queue.put(["message"] * 10000, 10**9)
    queue.put_piece(b"piece", 10**9, False)
    queue.park()

    assert not queue.parked


def test_too_many_messages_park_the_feeder_until_one_is_taken():
    """The limit in messages holds the feeder back."""
    queue = RecvQueue(2, None)
    queue.put(["a", "b"], 2)
    feeding = parked(queue.park)
    was_parked = queue.parked

    taken = queue.get(NOW)

    feeding.result()
    assert taken == "a"
    assert was_parked
    assert not queue.parked


def test_too_many_bytes_park_the_feeder_until_enough_are_taken():
    """The limit in bytes holds the feeder back, also behind the first message taken."""
    queue = RecvQueue(None, 10)
    queue.put([b"12345"], 5)
    queue.put([b"1234"], 4)
    queue.put([b"123456"], 6)
    feeding = parked(queue.park)

    queue.get(NOW)
    still_parked = queue.parked
    queue.get(NOW)

    feeding.result()
    assert still_parked
    assert counted(queue) == (6, 0)


def test_messages_of_one_batch_count_until_all_are_taken():
    """A batch is counted as one; its bytes go with its last message."""
    queue = RecvQueue(None, 10)
    queue.put(["a", "b"], 10)
    feeding = parked(queue.park)

    queue.get(NOW)
    still_parked = queue.parked
    queue.get(NOW)

    feeding.result()
    assert still_parked
    assert counted(queue) == (0, 0)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("max_bytes", [None, 2**19])
def test_messages_that_were_taken_leave_no_notes_behind(max_bytes, size):
    """A long life costs no memory, with a limit in bytes or without, also for empty messages."""
    queue = RecvQueue(4096, max_bytes)

    for _ in range(1000):
        queue.put(["x" * size], size)
        queue.park()
        queue.get(NOW)

    assert len(queue._batches) < 10


def test_a_waiting_taker_lets_a_message_in_that_is_larger_than_the_limit():
    """A message that someone waits for arrives to its end, whatever the limit in bytes."""
    queue = RecvQueue(None, 10)
    feeding = parked(feed, queue, [b"12345678"] * 8)
    taking = Running(queue.get, soon())

    assert taking.result() == b"12345678" * 8
    feeding.result()
    assert counted(queue) == (0, 0)


def test_a_taker_that_asks_again_and_again_gets_a_message_that_is_larger_than_the_limit():
    """Who asks without waiting gets a large message in the end, too."""
    queue = RecvQueue(None, 10)
    feeding = parked(feed, queue, [b"12345678"] * 8)

    with pytest.raises(TimeoutError):
        queue.get(NOW)
    eventually(lambda: len(queue) == 1)

    assert queue.get(NOW) == b"12345678" * 8
    feeding.result()
    assert counted(queue) == (0, 0)


def test_a_wish_for_a_large_message_holds_for_that_message_only():
    """The next large message waits for somebody to ask for it."""
    queue = RecvQueue(None, 10)
    feeding = parked(feed, queue, [b"12345678"] * 4)
    with pytest.raises(TimeoutError):
        queue.get(NOW)
    eventually(lambda: len(queue) == 1)
    queue.get(NOW)
    feeding.result()

    feeding = parked(feed, queue, [b"12345678"] * 8)

    assert counted(queue) == (0, 16)
    queue.drain()
    feeding.result()


def test_a_taker_behind_other_messages_does_not_let_a_large_one_in():
    """As long as there are messages to take, the limit holds."""
    queue = RecvQueue(None, 10)
    queue.put([b"12345"], 5)
    feeding = parked(feed, queue, [b"12345678"] * 2)

    first = queue.get(NOW)
    second = queue.get(soon())

    feeding.result()
    assert (first, second) == (b"12345", b"12345678" * 2)


def test_a_queue_is_not_full_once_its_messages_are_taken():
    """The notes of their sizes are dropped later; whoever asks hears the truth."""
    queue = RecvQueue(None, 100)
    queue.put([b"x" * 1000], 1000)
    assert queue.full

    queue.messages.popleft()

    assert not queue.full


def test_drain_in_the_feeders_own_thread_lets_it_go(monkeypatch):
    """A destructor may run anywhere: here when the feeder has just seen that the queue is full."""
    queue = RecvQueue(1, None)
    queue.put(["a"], 1)

    def full():
        queue.drain()
        return True

    monkeypatch.setattr(queue, "_full", full)
    Running(queue.park).result()


def test_drain_lets_the_feeder_go_and_drops_what_finds_no_room():
    """Behind drain the feeder never waits; the queue holds what it held."""
    queue = RecvQueue(2, None)
    queue.put(["a", "b"], 2)
    feeding = parked(queue.park)

    queue.drain()
    feeding.result()
    queue.put(["dropped"], 7)
    feed(queue, ["dropped", "too"])

    assert [queue.get(NOW), queue.get(NOW)] == ["a", "b"]
    with pytest.raises(TimeoutError):
        queue.get(NOW)
    assert counted(queue) == (0, 0)


def test_drain_delivers_what_finds_room():
    """Draining does not mean dropping."""
    queue = RecvQueue(2, None)

    queue.drain()
    queue.put(["a"], 1)
    feed(queue, ["b", "c"])

    assert [queue.get(NOW), queue.get(NOW)] == ["a", "bc"]


def test_close_lets_the_feeder_go():
    """Nobody feeds a closed queue."""
    queue = RecvQueue(1, None)
    queue.put(["a"], 1)
    feeding = parked(queue.park)

    queue.close()

    feeding.result()


# Messages that come in pieces.


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([b"a", b"", b"bc"], b"abc"),
        (["ä", "\r\n", "", "\u20ac\r"], "ä\r\n\u20ac\r"),
        ([b""], b""),
        ([""], ""),
        (["", ""], ""),
    ],
)
def test_pieces_become_one_message(pieces, message):
    """A message is there as soon as its last piece is."""
    queue = RecvQueue(None, None)

    feed(queue, pieces)

    assert len(queue) == 1
    assert queue.get(NOW) == message
    assert counted(queue) == (0, 0)


def test_get_does_not_return_an_unfinished_message():
    """A timeout in the middle of a message loses nothing of it."""
    queue = RecvQueue(None, None)

    queue.put_piece("a", 1, False)
    with pytest.raises(TimeoutError):
        queue.get(NOW)
    queue.put_piece("b", 1, True)

    assert queue.get(NOW) == "ab"


def test_begin_stream_returns_a_whole_message_as_it_is():
    """What is there whole needs no pieces."""
    queue = RecvQueue(1, None)
    queue.put(["whole"], 5)
    feeding = parked(queue.park)

    message = queue.begin_stream(NOW)

    feeding.result()
    assert message == "whole"


def test_begin_stream_waits_for_the_first_piece():
    """A stream begins with its message."""
    queue = RecvQueue(None, None)
    beginning = waiting(queue.begin_stream, soon())

    queue.put_piece(b"a", 1, False)

    assert isinstance(beginning.result(), Arriving)


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_begin_stream_times_out(seconds):
    """Who does not want to wait for ever need not."""
    queue = RecvQueue(None, None)

    with pytest.raises(TimeoutError):
        queue.begin_stream(Deadline(seconds))


def test_next_piece_returns_pieces_as_they_come():
    """The first piece is all that was there; None is behind the last."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    queue.put_piece("b", 1, False)

    stream = queue.begin_stream(NOW)
    first = queue.next_piece(stream, NOW)
    queue.put_piece("c", 1, False)
    second = queue.next_piece(stream, NOW)
    queue.put_piece("d", 1, True)
    third = queue.next_piece(stream, NOW)

    assert [first, second, third] == ["ab", "c", "d"]
    assert queue.next_piece(stream, NOW) is None
    assert counted(queue) == (0, 0)


def test_next_piece_waits_for_a_piece():
    """A stream goes on as its message does."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.next_piece(stream, NOW)
    taking = waiting(queue.next_piece, stream, soon())

    queue.put_piece(b"b", 1, False)

    assert taking.result() == b"b"


def test_next_piece_that_times_out_loses_nothing():
    """A stream may be asked again."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.next_piece(stream, NOW)

    with pytest.raises(TimeoutError):
        queue.next_piece(stream, NOW)
    queue.put_piece(b"b", 1, True)

    assert queue.next_piece(stream, NOW) == b"b"
    assert queue.next_piece(stream, NOW) is None


def test_next_piece_tells_that_the_rest_will_not_come():
    """A message that the end of the connection cut short is not passed off as whole."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    stream = queue.begin_stream(NOW)

    queue.close()

    assert queue.next_piece(stream, NOW) == b"a"
    with pytest.raises(QueueClosed):
        queue.next_piece(stream, NOW)


def test_close_wakes_who_waits_for_a_piece():
    """Nobody waits for a piece that will not come."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"", 0, False)
    stream = queue.begin_stream(NOW)
    taking = waiting(queue.next_piece, stream, soon())

    queue.close()

    assert isinstance(taking.error(), QueueClosed)


def test_a_stream_that_was_finished_before_the_end_is_read_to_its_end():
    """Pieces that came before the connection closed can be taken after it."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.put_piece(b"b", 1, True)

    queue.close()

    assert [queue.next_piece(stream, NOW) for _ in range(3)] == [b"a", b"b", None]


def test_pieces_of_a_stream_count_until_they_are_taken():
    """A stream holds its feeder back, however long the message; it needs memory for little."""
    queue = RecvQueue(None, 10)
    feeding = parked(feed, queue, [b"12345"] * 100)

    stream = queue.begin_stream(NOW)
    at_first = counted(queue)
    pieces = [queue.next_piece(stream, soon()) for _ in range(99)]

    feeding.result()
    assert at_first == (0, 10)
    assert b"".join(pieces) == b"12345" * 100
    assert queue.next_piece(stream, NOW) is None
    assert counted(queue) == (0, 0)


@pytest.mark.parametrize("letter", [b"x", "x"])
def test_many_short_pieces_of_a_stream_are_put_together(letter):
    """A peer that sends a message in tiny fragments costs little more than their bytes."""
    queue = RecvQueue(None, None)
    queue.put_piece(letter, 1, False)
    stream = queue.begin_stream(NOW)

    for _ in range(20000):
        queue.put_piece(letter, 1, False)
    queue.put_piece(letter, 1, True)
    held = counted(queue), len(stream.pieces)
    pieces = [queue.next_piece(stream, NOW) for _ in range(held[1] + 1)]

    assert held[0] == (0, 20002)
    assert held[1] < 100
    assert letter[:0].join(pieces[:-1]) == letter * 20002
    assert pieces[-1] is None
    assert counted(queue) == (0, 0)


def test_a_waiting_taker_does_not_lift_the_limit_for_a_stream_of_another():
    """Who waits for the next message does not make a streamed one pile up."""
    queue = RecvQueue(None, 10)
    queue.put_piece(b"12345", 5, False)
    stream = queue.begin_stream(NOW)
    taking = waiting(queue.get, soon())

    feeding = parked(feed, queue, [b"12345"] * 5)
    held = counted(queue)
    queue.drop(stream)
    queue.put(["next"], 4)

    feeding.result()
    assert held == (0, 10)
    assert taking.result() == "next"


def test_two_streams_do_not_meet():
    """Each of two streamers gets a message of its own."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    first = queue.begin_stream(NOW)
    beginning = waiting(queue.begin_stream, soon())

    queue.put_piece(b"b", 1, True)
    queue.put_piece(b"c", 1, False)
    second = beginning.result()
    queue.put_piece(b"d", 1, True)

    assert [queue.next_piece(first, NOW) for _ in range(3)] == [b"a", b"b", None]
    assert [queue.next_piece(second, NOW) for _ in range(3)] == [b"c", b"d", None]
    assert counted(queue) == (0, 0)


# Streams that are left.


def test_give_back_of_an_unfinished_message_lets_the_rest_be_taken_whole():
    """What is left of a stream, and what is still to come, becomes a message."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.next_piece(stream, NOW)
    queue.put_piece("b", 1, False)

    queue.give_back(stream)
    queue.put_piece("c", 1, True)

    assert queue.get(NOW) == "bc"
    assert counted(queue) == (0, 0)


def test_give_back_of_an_unfinished_message_lets_the_rest_be_streamed():
    """A stream can be left and begun again."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)

    queue.give_back(stream)
    again = queue.begin_stream(NOW)
    queue.put_piece("b", 1, True)

    assert [queue.next_piece(again, NOW) for _ in range(3)] == ["a", "b", None]
    assert counted(queue) == (0, 0)


def test_give_back_wakes_who_waits_for_a_message_to_begin():
    """Another may go on with a stream that was left."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    beginning = waiting(queue.begin_stream, soon())

    queue.give_back(stream)

    assert queue.next_piece(beginning.result(), NOW) == "a"


def test_give_back_of_a_finished_message_puts_it_before_later_ones():
    """The rest of a message that arrived whole comes next."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.next_piece(stream, NOW)
    queue.put_piece("rest", 4, True)
    queue.put(["later"], 5)

    queue.give_back(stream)

    assert counted(queue) == (9, 0)
    assert [queue.get(NOW), queue.get(NOW)] == ["rest", "later"]
    assert counted(queue) == (0, 0)


def test_give_back_of_a_finished_message_counts_until_it_is_taken():
    """Given back alone, it is one more message in the queue, with its bytes."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.put_piece("rest", 4, True)

    queue.give_back(stream)
    held = counted(queue)
    taken = queue.get(NOW)

    assert held == (5, 0)
    assert taken == "arest"
    assert counted(queue) == (0, 0)


def test_give_back_of_a_finished_message_wakes_a_taker():
    """Who waits for a message gets what another has given back."""
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.put_piece("b", 1, True)
    taking = waiting(queue.get, soon())

    queue.give_back(stream)

    assert taking.result() == "ab"


def test_drop_of_an_unfinished_message_ignores_the_rest():
    """What nobody wants is not kept, and the next message comes."""
    queue = RecvQueue(None, 10)
    feeding = parked(feed, queue, [b"12345"] * 100)
    stream = queue.begin_stream(NOW)

    queue.drop(stream)
    feeding.result()
    queue.put(["next"], 4)

    assert queue.get(NOW) == "next"
    assert counted(queue) == (0, 0)


def test_drop_of_a_finished_message_makes_room():
    """Pieces that nobody takes any more do not hold the feeder back."""
    queue = RecvQueue(None, 10)
    queue.put_piece(b"12345", 5, False)
    stream = queue.begin_stream(NOW)
    feeding = parked(feed, queue, [b"12345"])

    queue.drop(stream)

    feeding.result()
    assert counted(queue) == (0, 0)


def test_drop_behind_the_last_piece_does_nothing():
    """A stream that was read to its end may be left as one likes."""
    queue = RecvQueue(None, None)
    queue.put_piece(b"a", 1, False)
    stream = queue.begin_stream(NOW)
    queue.put_piece(b"b", 1, True)
    queue.next_piece(stream, NOW)
    queue.next_piece(stream, NOW)

    queue.drop(stream)

    assert counted(queue) == (0, 0)


# Many at once.


@pytest.mark.parametrize("limits", [(None, None), (3, None), (None, 50), (2, 30)])
def test_each_message_goes_to_exactly_one_of_several_takers(limits):
    """Nothing is lost and nothing is delivered twice."""
    queue = RecvQueue(*limits)
    messages = [f"message {number}" for number in range(2000)]

    def put_all():
        chance = random.Random(1)
        rest = collections.deque(messages)
        while rest:
            batch = [rest.popleft() for _ in range(min(len(rest), chance.randint(1, 5)))]
            queue.put(batch, sum(map(len, batch)))
            queue.park()
        queue.close()

    def take_all(seconds):
        taken = []
        while True:
            try:
                taken.append(queue.get(Deadline(seconds)))
            except TimeoutError:
                pass
            except QueueClosed:
                return taken

    takers = [Running(take_all, seconds) for seconds in (None, 0.0001, 0.001, 20)]
    feeding = Running(put_all)
    taken = [taker.result() for taker in takers]

    feeding.result()
    assert sorted(itertools.chain(*taken)) == sorted(messages)
    assert [sorted(some, key=messages.index) == some for some in taken] == [True] * 4
    assert counted(queue) == (0, 0)


def test_streamers_and_takers_together_lose_nothing():
    """Messages taken whole, streamed, left and gone on with by others: every piece arrives once."""
    queue = RecvQueue(4, 60)
    pieces = [[f"<{number}.{part}>" for part in range(number % 7 + 1)] for number in range(400)]

    def put_all():
        for message in pieces:
            feed(queue, message)
        queue.close()

    def stream_one(chance):
        stream = queue.begin_stream(Deadline(0.001))
        if isinstance(stream, str):
            return stream
        text = ""
        try:
            while chance.random() < 0.7:
                piece = queue.next_piece(stream, Deadline(0.001))
                if piece is None:
                    return text
                text += piece
        except TimeoutError:
            pass
        queue.give_back(stream)
        return text

    def take_all(seed):
        chance = random.Random(seed)
        text = ""
        while True:
            try:
                text += queue.get(Deadline(0.001)) if chance.random() < 0.3 else stream_one(chance)
            except TimeoutError:
                pass
            except QueueClosed:
                return text

    takers = [Running(take_all, seed) for seed in range(3)]
    feeding = Running(put_all)
    taken = "".join(taker.result() for taker in takers)

    feeding.result()
    expected = sorted(piece for message in pieces for piece in message)
    assert sorted(f"{piece}>" for piece in taken.split(">")[:-1]) == expected
    assert counted(queue) == (0, 0)


class QueueMachine(RuleBasedStateMachine):
    """Any order of calls from one thread, against lists that need no cleverness."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.whole = []  # finished messages, in order
        self.arriving = None  # [pieces] of the message without an end
        self.asked = False  # for the one that is arriving, in vain
        self.streams = {}  # stream -> [pieces not taken]
        self.unfinished = None  # the stream of the message without an end

    @initialize(
        max_messages=st.one_of(st.none(), st.integers(1, 4)),
        max_bytes=st.one_of(st.none(), st.integers(1, 40)),
    )
    def make(self, max_messages, max_bytes):
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.queue = RecvQueue(max_messages, max_bytes)

    def new(self, size):
        """Make data that differs from all other."""
        self.number += 1
        return f"{self.number:x}".rjust(size, ".") if size else ""

    def held(self):
        """Return the bytes of whole messages and of pieces."""
        pieces = itertools.chain(self.arriving or [], *self.streams.values())
        return len("".join(self.whole)), len("".join(pieces))

    @precondition(lambda self: self.arriving is None and self.unfinished is None)
    @rule(size=st.sampled_from([0, 5, 20]))
    def put(self, size):
        message = self.new(size)
        self.queue.put([message], size)
        self.whole.append(message)

    @rule(size=st.sampled_from([0, 5, 20]), last=st.booleans())
    def put_piece(self, size, last):
        piece = self.new(size)
        self.queue.put_piece(piece, len(piece), last)
        if self.unfinished is not None:
            if self.unfinished in self.streams:
                self.streams[self.unfinished].append(piece)
            if last:
                self.unfinished = None
            return
        self.arriving = [*(self.arriving or []), piece]
        if last:
            self.whole.append("".join(self.arriving))
            self.arriving = None
            self.asked = False

    @rule()
    def get(self):
        if self.whole:
            assert self.queue.get(NOW) == self.whole.pop(0)
            return
        self.asked = self.arriving is not None
        with pytest.raises(TimeoutError):
            self.queue.get(NOW)

    @rule()
    def begin_stream(self):
        if self.whole:
            assert self.queue.begin_stream(NOW) == self.whole.pop(0)
        elif self.arriving is not None:
            self.unfinished = self.queue.begin_stream(NOW)
            text = "".join(self.arriving)
            self.streams[self.unfinished] = [text] if text else []
            self.arriving = None
            self.asked = False
        else:
            with pytest.raises(TimeoutError):
                self.queue.begin_stream(NOW)

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def next_piece(self, data):
        stream = data.draw(st.sampled_from(list(self.streams)))
        if self.streams[stream]:
            assert self.queue.next_piece(stream, NOW) == self.streams[stream].pop(0)
        elif stream is self.unfinished:
            with pytest.raises(TimeoutError):
                self.queue.next_piece(stream, NOW)
        else:
            assert self.queue.next_piece(stream, NOW) is None
            del self.streams[stream]

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def give_back(self, data):
        stream = data.draw(st.sampled_from(list(self.streams)))
        pieces = self.streams.pop(stream)
        self.queue.give_back(stream)
        if stream is self.unfinished:
            self.unfinished = None
            self.arriving = pieces
        else:
            self.whole.insert(0, "".join(pieces))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def drop(self, data):
        stream = data.draw(st.sampled_from(list(self.streams)))
        del self.streams[stream]
        self.queue.drop(stream)

    @invariant()
    def counts(self):
        """The queue knows what it holds, to the byte."""
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.whole)
        assert counted(self.queue) == self.held()

    @invariant()
    def parks_the_feeder(self):
        """The feeder has to wait if and only if a limit says so and nobody asked for more."""
        if not hasattr(self, "queue"):
            return
        size = sum(self.held())
        full = self.max_messages is not None and len(self.whole) >= self.max_messages
        full = full or (self.max_bytes is not None and size >= self.max_bytes)
        with self.queue._lock:
            assert self.queue._full() == (full and not (self.asked and not self.whole))


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# Takers and a feeder that must not block.


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "happens",
    [
        lambda queue: queue.put(["a"], 1),
        lambda queue: queue.put_piece("a", 1, True),
        lambda queue: queue.close(),
    ],
)
def test_a_listener_is_called_once(happens, whole):
    """When there is something to take, or the end; until then it counts as who waits."""
    queue = RecvQueue(None, None)
    calls = []
    assert queue.listen(lambda: calls.append(1), whole)
    listening = queue.waiting

    happens(queue)
    queue.close()

    assert listening == 1
    assert calls == [1]
    assert queue.waiting == 0


@pytest.mark.parametrize("whole", [True, False])
def test_a_listener_hears_of_pieces_if_it_takes_them(whole):
    queue = RecvQueue(None, None)
    calls = []
    assert queue.listen(lambda: calls.append(1), whole)

    queue.put_piece("a", 1, False)

    assert calls == [] if whole else [1]


def test_nobody_needs_to_listen_for_what_is_there():
    """A message that lies there for who wants it whole; the end for everybody."""
    queue = RecvQueue(None, None)
    queue.put(["a"], 1)
    answers = [queue.listen(lambda: None, whole) for whole in (True, False)]
    queue.close()

    assert answers == [False, True]
    assert not queue.listen(lambda: None, False)
    assert queue.waiting == 0


def test_each_listener_counts_once():
    """Also if it listens again, or both ways; unlisten may come often, and silences."""
    queue = RecvQueue(None, None)
    calls = []

    def callback():
        calls.append(1)

    for whole in (True, True, False):
        queue.listen(callback, whole)
    queue.listen(lambda: calls.append(2), True)
    listening = queue.waiting

    queue.unlisten(callback)
    queue.unlisten(callback)
    queue.put(["a"], 1)

    assert listening == 3
    assert queue.waiting == 0
    assert calls == [2]


def test_a_listener_hears_of_a_message_given_back():
    queue = RecvQueue(None, None)
    queue.put_piece("a", 1, False)
    stream = queue.begin_stream(NOW)
    calls = []
    queue.listen(lambda: calls.append(1), True)

    queue.give_back(stream)

    assert calls == [1]


@pytest.mark.parametrize(
    "resumes",
    [
        lambda queue: queue.get(NOW),
        lambda queue: queue.begin_stream(NOW),
        lambda queue: (queue.messages.popleft(), queue.taken()),
        lambda queue: queue.drain(),
        lambda queue: queue.close(),
    ],
)
def test_a_feeder_that_paused_is_called_once(resumes):
    """In every way in which the queue is not full any more."""
    queue = RecvQueue(1, None)
    queue.put(["a"], 1)
    calls = []
    paused = queue.pause(lambda: calls.append(1)), queue.parked

    resumes(queue)
    queue.drain()

    assert paused == (True, True)
    assert calls == [1]
    assert not queue.parked


def test_a_feeder_does_not_pause_if_a_message_was_taken_behind_its_look():
    """Whoever takes it needs no lock, and looks then whether somebody is parked."""
    queue = RecvQueue(1, None)
    queue.put(["a"], 1)
    look, takers, calls = queue._full, [], []

    def look_and_lose():
        full = look()
        if queue.messages:
            queue.messages.popleft()
            if queue.parked:
                takers.append(Running(queue.taken))
        return full

    queue._full = look_and_lose
    paused = queue.pause(lambda: calls.append(1))
    for taker in takers:
        taker.result()

    assert calls == [1] * paused
    assert not queue.parked


def test_a_feeder_does_not_pause_without_need():
    queue = RecvQueue(1, None)
    assert not queue.pause(lambda: None)
    queue.put(["a"], 1)
    queue.drain()
    assert not queue.pause(lambda: None)
    assert not queue.parked


def test_a_listener_lets_a_message_in_that_is_larger_than_the_limit():
    """Also if the feeder has paused before it."""
    queue = RecvQueue(None, 10)
    queue.put_piece(b"12345678", 8, False)
    queue.put_piece(b"12345678", 8, False)
    calls = []
    assert queue.pause(lambda: calls.append(1))

    queue.listen(lambda: None, True)

    assert calls == [1]
    assert not queue.full
