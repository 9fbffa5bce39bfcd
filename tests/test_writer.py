"""The order of bytes on their way out: frames whole, replies in between, nothing torn or lost."""

from __future__ import annotations

import threading

import pytest

from support.streams import LARGE, recv_exactly, recv_to_end, soon, tcp_pair
from support.threads import Running, blocked_in, eventually
from syncws.deadline import Deadline
from syncws.housekeeper import housekeeper
from syncws.transport import Transport
from syncws.writer import MAX_OUTBOX, MAX_REPLIES, Writer


def welcome():
    """Admit every frame."""


@pytest.fixture
def ends():
    """Return a transport with a peer that reads only when the test does."""
    ours, theirs = tcp_pair()
    theirs.settimeout(20)
    transport = Transport(ours)
    yield transport, theirs
    theirs.close()
    housekeeper.forget(ours)
    transport.close()


@pytest.fixture
def writer(ends):
    """Return a writer to that peer."""
    writer = Writer(ends[0])
    yield writer
    ends[0].shutdown()
    writer.close()


@pytest.fixture
def theirs(ends):
    """Return the peer's socket."""
    return ends[1]


@pytest.fixture
def stuck(writer):
    """Let the peer have more to read than fits into the connection."""
    assert not writer.write([LARGE], Deadline(0), welcome)


# Writing.


def test_frames_are_written_in_order(writer, theirs):
    """Nothing is left to do behind a write."""
    done = writer.write([b"one ", b"two ", b"three"], soon(), welcome)

    assert done
    assert recv_exactly(theirs, 13) == b"one two three"


def test_frames_are_made_as_they_are_needed(writer, theirs):
    """A frame is asked for when those before it are gone."""

    def frames():
        yield b"one"
        yield recv_exactly(theirs, 3)
        yield recv_exactly(theirs, 3)

    assert writer.write(frames(), soon(), welcome)
    assert recv_exactly(theirs, 3) == b"one"


def test_each_frame_is_admitted_first(writer, theirs):
    """A frame that is refused is not written, nor is what comes behind it."""
    admitted = iter([1, 2])

    def admit():
        next(admitted)

    with pytest.raises(StopIteration):
        writer.write([b"one", b"two", b"three", b"four"], soon(), admit)
    writer.write([b"!"], soon(), welcome)

    assert recv_exactly(theirs, 7) == b"onetwo!"


def test_a_write_blocks_until_the_socket_has_taken_all(writer, theirs):
    """Who writes more than fits waits for the peer."""
    writing = Running(writer.write, [LARGE, b"end"], soon(), welcome)
    eventually(lambda: blocked_in(writing.thread, "wait_writable"))

    received = recv_exactly(theirs, len(LARGE) + 3)

    assert writing.result()
    assert received == LARGE + b"end"


def test_writes_of_several_threads_do_not_mix(writer, theirs):
    """The frames of one call stay together."""
    writes = [
        Running(writer.write, [letter * 5000] * 20, soon(), welcome) for letter in (b"a", b"b")
    ]

    received = recv_exactly(theirs, 200000)

    assert [write.result() for write in writes] == [True, True]
    assert received in (b"a" * 100000 + b"b" * 100000, b"b" * 100000 + b"a" * 100000)


# Timeouts.


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_a_late_write_finishes_by_itself(writer, theirs, seconds):
    """What did not go out in time is not torn, and needs nobody to write again."""
    done = writer.write([b"one", LARGE, b"two"], Deadline(seconds), welcome)

    assert not done
    assert recv_exactly(theirs, len(LARGE) + 6) == b"one" + LARGE + b"two"


def test_a_late_write_goes_before_the_next(writer, theirs, stuck):
    """Whoever writes next finishes first what is begun."""
    writing = Running(writer.write, [b"next"], soon(), welcome)

    assert recv_exactly(theirs, len(LARGE) + 4) == LARGE + b"next"
    assert writing.result()


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_not_sent_leaves_no_byte(writer, theirs, stuck, seconds):
    """A write that could not begin in time never happened."""
    asked = []

    with pytest.raises(TimeoutError, match=f"not sent: the peer took nothing for {seconds} s"):
        writer.write([b"never"], Deadline(seconds), lambda: asked.append(1))
    received = recv_exactly(theirs, len(LARGE))
    writer.write([b"next"], soon(), welcome)

    assert received == LARGE
    assert recv_exactly(theirs, 4) == b"next"
    assert asked == []


def test_not_sent_behind_a_thread_that_is_writing_leaves_no_byte(writer, theirs):
    """Waiting for another writer ends by the deadline, too."""
    writing = Running(writer.write, [LARGE], soon(), welcome)
    eventually(lambda: blocked_in(writing.thread, "wait_writable"))

    with pytest.raises(TimeoutError, match="not sent"):
        writer.write([b"never"], Deadline(0.01), welcome)
    received = recv_exactly(theirs, len(LARGE))
    writing.result()
    writer.write([b"next"], soon(), welcome)

    assert received == LARGE
    assert recv_exactly(theirs, 4) == b"next"


def test_an_interrupted_write_lets_the_next_one_in(writer, theirs, ends, monkeypatch):
    """Ctrl-C while waiting for the peer leaves nothing locked, and no frame torn."""

    def interrupted(deadline):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ends[0], "wait_writable", interrupted)
        writer.write([LARGE, b"never"], soon(), welcome)
    writing = Running(writer.write, [b"next"], soon(), welcome)

    assert recv_exactly(theirs, len(LARGE) + 4) == LARGE + b"next"
    assert writing.result()


# Posting.


def test_what_is_posted_passes_between_frames(writer, theirs):
    """A control frame waits for the end of a frame, not of a message."""

    def frames():
        yield b"one "
        writer.post(b"posted ")
        writer.post_reply(b"reply ")
        yield b"two "
        yield b"three"

    writer.write(frames(), soon(), welcome)

    assert recv_exactly(theirs, 26) == b"one two reply posted three"


def test_what_is_posted_while_a_writer_waits_goes_behind_its_frame(writer, theirs):
    """Who must not wait leaves it to the thread that does."""
    writing = Running(writer.write, [LARGE, b"second"], soon(), welcome)
    eventually(lambda: blocked_in(writing.thread, "wait_writable"))

    writer.post(b"posted")
    writer.flush_nowait()
    received = recv_exactly(theirs, len(LARGE) + 12)

    assert writing.result()
    assert received == LARGE + b"postedsecond"


def test_what_was_posted_before_goes_before(writer, theirs):
    """A write takes along what waits."""
    writer.post(b"posted ")

    writer.write([b"written"], soon(), welcome)

    assert recv_exactly(theirs, 14) == b"posted written"


def test_what_is_posted_goes_out_by_itself(writer, theirs, stuck):
    """The housekeeper writes as soon as the peer reads."""
    writer.post(b"posted")

    writer.flush_nowait()

    assert recv_exactly(theirs, len(LARGE) + 6) == LARGE + b"posted"


def test_flush_nowait_does_not_wait(writer, stuck):
    """A peer that does not read holds up nobody who must not wait."""
    writer.post(LARGE)

    writer.flush_nowait()
    writer.flush_nowait()

    assert writer.stuffed


def test_what_is_posted_during_a_write_that_is_refused_goes_out(writer, theirs):
    """Whoever posted it found the lock taken, and left."""

    def admit():
        writer.post(b"posted")
        writer.flush_nowait()
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        writer.write_nowait(b"never", admit)

    assert recv_exactly(theirs, 6) == b"posted"


# Without a turn.


class Passing:
    """Writes a frame, refuses it with an error, or does not write."""

    def __init__(self, error=None, wants=True):
        self.error = error
        self.wants = wants
        self.taken = []

    def __call__(self, frame, send):
        if self.error is not None:
            raise self.error
        if not self.wants:
            return None
        self.taken.append(send(frame))
        return self.taken[-1]


def test_a_frame_passes_while_nobody_writes(writer, theirs):
    passing = Passing()

    assert writer.write_if_free(b"first", passing)
    assert writer.write_if_free(b"not", Passing(wants=False)) is None
    assert writer.write_if_free(b"last", passing)

    assert passing.taken == [True, True]
    assert recv_exactly(theirs, 9) == b"firstlast"


def test_a_frame_does_not_wait_for_who_writes(writer, theirs):
    passing = Passing()

    def frames():
        assert writer.write_if_free(b"not", passing) is None
        yield b"frame"

    assert writer.write(frames(), soon(), welcome)

    assert passing.taken == []
    assert recv_exactly(theirs, 5) == b"frame"


def test_who_comes_meanwhile_writes_behind_a_frame_that_passes(writer, theirs):
    def passing(frame, send):
        later.append(Running(writer.write, [b"behind"], soon(), welcome))
        eventually(lambda: blocked_in(later[0].thread, "acquire"))
        return send(frame)

    later = []
    assert writer.write_if_free(b"first", passing)

    assert later[0].result()
    assert recv_exactly(theirs, 11) == b"firstbehind"


def test_nothing_passes_while_something_waits(writer, theirs):
    """The rest of it goes out by itself; until then whoever wants to pass has to wait elsewhere."""
    passing = Passing()

    assert writer.write_if_free(LARGE, passing) is False
    assert writer.stuck
    assert writer.write_if_free(b"next", passing) is None

    assert passing.taken == [False]
    assert recv_exactly(theirs, len(LARGE)) == LARGE
    eventually(lambda: not writer.stuck)
    eventually(lambda: writer.write_if_free(b"next", passing))
    assert recv_exactly(theirs, 4) == b"next"


def test_what_is_posted_while_a_frame_is_refused_goes_out(writer, theirs):
    """Whoever posted it found the lock taken, and left."""

    def refusing(frame, send):
        writer.post(b"posted")
        writer.flush_nowait()
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        writer.write_if_free(b"never", refusing)

    assert recv_exactly(theirs, 6) == b"posted"


@pytest.mark.native_threads("send() is not C code there, so what it took might be unknown")
@pytest.mark.parametrize("how", ["pass", "write_nowait"])
def test_a_frame_that_is_interrupted_goes_out_whole(writer, theirs, monkeypatch, how):
    def interrupted(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("syncws.transport.map", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        if how == "pass":
            writer.write_if_free(b"frame", Passing())
        else:
            writer.write_nowait(b"frame", welcome)

    assert recv_exactly(theirs, 5) == b"frame"


class InterruptedRelease:
    """A lock right before whose next release somebody posts, and right behind it Ctrl-C comes."""

    def __init__(self, writer):
        self.writer = writer
        self.lock = writer._lock
        self.acquire = self.lock.acquire
        self.interrupt = True

    def release(self):
        interrupt, self.interrupt = self.interrupt, False
        if interrupt:
            self.writer.post(b"posted")
            self.writer.flush_nowait()
        self.lock.release()
        if interrupt:
            raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["pass", "write", "flush"])
def test_what_was_posted_meanwhile_goes_out_in_spite_of_ctrl_c(writer, theirs, how):
    """Whoever posted it found the lock taken, and left."""
    writer._lock = InterruptedRelease(writer)

    with pytest.raises(KeyboardInterrupt):
        if how == "pass":
            writer.write_if_free(b"frame", Passing())
        elif how == "write":
            writer.write([b"frame"], soon(), welcome)
        else:
            writer.submit(iter([b"frame"]), welcome, lambda error: None)

    assert recv_exactly(theirs, 11) == b"frameposted"


def test_a_network_error_is_raised_from_a_frame_that_passes(writer, ends):
    ends[0].shutdown()

    with pytest.raises(BrokenPipeError):
        writer.write_if_free(b"never", Passing())


# Replies.


@pytest.mark.parametrize("step", ["send_nowait", "flush_nowait"])
def test_what_is_posted_goes_out_once_if_its_writing_is_interrupted(writer, theirs, step):
    """The housekeeper sees to it, as the next write may be far away."""
    transport = writer._transport

    def interrupted(*_):
        delattr(transport, step)
        raise KeyboardInterrupt

    if step == "flush_nowait":
        transport._sends_in_c = False  # so that it is called
    setattr(transport, step, interrupted)
    writer.post(b"posted")
    with pytest.raises(KeyboardInterrupt):
        writer.flush_nowait()

    assert recv_exactly(theirs, 6) == b"posted"
    writer.write([b"next"], soon(), welcome)
    assert recv_exactly(theirs, 4) == b"next"


def test_replies_are_bounded(writer, theirs, stuck):
    """Of many replies the latest wait, in order; the others are dropped."""
    replies = [b"%04d" % number for number in range(1000)]

    for reply in replies:
        writer.post_reply(reply)
        writer.flush_nowait()
    received = recv_exactly(theirs, len(LARGE) + 4 * MAX_REPLIES)
    writer.write([b"next"], soon(), welcome)

    assert received[len(LARGE) :] == b"".join(replies[-MAX_REPLIES:])
    assert recv_exactly(theirs, 4) == b"next"


def test_stuffed_tells_when_too_much_waits(writer, theirs, stuck):
    """Whoever posts can know better."""
    stuffed = []

    for _ in range(3):
        writer.post(b"x" * (MAX_OUTBOX // 2))
        writer.flush_nowait()
        stuffed.append(writer.stuffed)
    recv_exactly(theirs, len(LARGE) + MAX_OUTBOX // 2 * 3)

    assert stuffed == [False, True, True]
    eventually(lambda: not writer.stuffed)


def test_posts_of_many_threads_all_go_out(writer, theirs):
    """Whoever finds the lock taken may leave: its holder comes by again."""

    def post(letter):
        for _ in range(500):
            writer.post(letter)
            writer.flush_nowait()

    posting = [Running(post, letter) for letter in (b"a", b"b", b"c")]
    received = recv_exactly(theirs, 1500)

    for one in posting:
        one.result()
    assert sorted(received) == sorted(b"a" * 500 + b"b" * 500 + b"c" * 500)


# The end.


def test_finish_half_closes_behind_everything(writer, theirs, stuck):
    """The peer gets all, then the end."""
    writer.post(b"posted")
    writer.finish()

    writer.flush_nowait()

    assert recv_to_end(theirs) == LARGE + b"posted"


def test_finish_during_a_write_half_closes_behind_it(writer, theirs):
    """The thread that is writing half-closes when it is done."""
    writing = Running(writer.write, [LARGE, b"end"], soon(), welcome)
    eventually(lambda: blocked_in(writing.thread, "wait_writable"))

    writer.finish()
    writer.flush_nowait()

    assert recv_to_end(theirs) == LARGE + b"end"
    assert writing.result()


def test_a_write_to_a_broken_connection_raises(writer, ends):
    """The network's end is told to who waits for a result."""
    ends[0].shutdown()

    with pytest.raises(BrokenPipeError):
        writer.write([b"x"], soon(), welcome)


def test_flush_nowait_on_a_broken_connection_is_silent(writer, ends):
    """The network's end is none of the business of who does not wait; nothing is kept for it."""
    ends[0].shutdown()
    writer.post(LARGE)
    writer.post_reply(b"x")
    writer.finish()

    writer.flush_nowait()

    assert not writer.stuffed


def test_the_end_wakes_a_thread_that_is_writing(writer, ends):
    """close() waits for the writer to leave, and the file descriptor is back."""
    writing = Running(writer.write, [LARGE], soon(), welcome)
    eventually(lambda: blocked_in(writing.thread, "wait_writable"))

    ends[0].shutdown()
    writer.close()

    assert isinstance(writing.error(), OSError)
    assert ends[0].sock.fileno() == -1


def test_close_leaves_nothing_to_the_housekeeper(writer, ends, stuck):
    """What waits for a dead peer is forgotten."""
    watched = ends[0].sock in housekeeper._watched

    ends[0].shutdown()
    writer.close()

    assert watched
    assert ends[0].sock not in housekeeper._watched


def test_close_during_a_flush_leaves_nothing_to_the_housekeeper(ends, monkeypatch):
    """A flush that asks the housekeeper for help at the last moment is forgotten, too."""
    transport, _ = ends
    go_on = threading.Event()

    def slow_send_nowait(data):
        done = Transport.send_nowait(transport, data)
        go_on.wait(20)
        return done

    monkeypatch.setattr(transport, "send_nowait", slow_send_nowait)
    writer = Writer(transport)
    writer.post(LARGE)
    flushing = Running(writer.flush_nowait)
    eventually(lambda: blocked_in(flushing.thread, "slow_send_nowait"))
    closing = Running(writer.close)
    eventually(lambda: blocked_in(closing.thread, "close"))

    go_on.set()
    flushing.result()
    closing.result()

    assert transport.sock not in housekeeper._watched


# Submitting.


def test_what_is_submitted_goes_out_at_once(writer, theirs):
    done = []

    writer.submit(iter([(b"o", b"ne")]), welcome, done.append)

    assert done == [None]
    assert recv_exactly(theirs, 3) == b"one"


def test_what_is_submitted_is_finished_by_the_housekeeper(writer, theirs):
    """What is posted meanwhile passes between the frames."""
    done = []

    writer.submit(iter([LARGE, b"two"]), welcome, done.append)
    early = list(done)
    writer.post(b"posted")
    writer.flush_nowait()

    assert recv_exactly(theirs, len(LARGE) + 9) == LARGE + b"postedtwo"
    eventually(lambda: done)
    assert (early, done) == ([], [None])


def test_the_housekeeper_may_come_by_before_the_lock_is_free(writer, theirs, monkeypatch):
    """It comes once, and finds the lock taken by who asked for it."""

    def at_once(sock, callback):
        hasty = threading.Thread(target=callback)
        hasty.start()
        hasty.join()

    monkeypatch.setattr(housekeeper, "call_when_writable", at_once)
    done = []

    writer.submit(iter([b"one", b"two"]), welcome, done.append)

    assert done == [None]
    assert recv_exactly(theirs, 6) == b"onetwo"


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_submitted_may_be_refused(writer, theirs, before):
    """Before the first frame, and between two."""
    done = []
    admitted = iter([None] * before)

    def admit():
        if next(admitted, "no") == "no":
            raise ValueError("refused")

    writer.submit(iter([b"one", b"never"]), admit, done.append)
    writer.write([b"!"], soon(), welcome)

    assert [str(error) for error in done] == ["refused"]
    assert recv_exactly(theirs, 3 * before + 1) == b"one"[: 3 * before] + b"!"


def test_frames_that_cannot_be_made_are_told_of(writer, theirs):
    done = []

    def frames():
        yield b"one"
        raise KeyError("mine")

    writer.submit(frames(), welcome, done.append)

    assert isinstance(done[0], KeyError)
    assert recv_exactly(theirs, 3) == b"one"


def test_what_was_begun_before_a_frame_that_cannot_be_made_goes_out(writer, theirs):
    """The socket has not taken all of it when the next one is asked for."""
    done = []

    def frames():
        yield LARGE
        raise KeyError("mine")

    writer.submit(frames(), welcome, done.append)

    assert isinstance(done[0], KeyError)
    assert recv_exactly(theirs, len(LARGE)) == LARGE


def test_the_network_error_of_what_is_submitted_is_told_once(writer, ends):
    done = []
    ends[0].shutdown()

    writer.submit(iter([b"x"]), welcome, done.append)

    assert isinstance(done[0], BrokenPipeError)
    assert writer.failure is None


def test_what_is_submitted_by_who_is_told_of_an_error_is_told_of(writer, ends):
    """The writer has the lock while it tells, so it has to look once more."""
    done = []
    ends[0].shutdown()

    writer.submit(
        iter([b"x"]),
        welcome,
        lambda error: (done.append(error), writer.submit(iter([b"y"]), welcome, done.append)),
    )

    assert [type(error) for error in done] == [BrokenPipeError] * 2
    assert not writer.busy


def test_close_tells_who_submitted(writer, ends, stuck):
    done = []
    writer.submit(iter([b"never"]), welcome, done.append)
    ends[0].shutdown()

    writer.close()

    assert [type(error) for error in done] in ([ConnectionAbortedError], [BrokenPipeError])


def test_what_is_submitted_while_the_writer_closes_is_told_of(writer, ends, monkeypatch):
    """Who closes has the lock then, so who submits leaves it to that one."""
    done = []
    transport = ends[0]
    close = transport.close

    def close_late():
        monkeypatch.undo()
        writer.submit(iter([b"late"]), welcome, done.append)
        assert done == []
        close()

    monkeypatch.setattr(transport, "close", close_late)
    transport.shutdown()

    writer.close()

    assert isinstance(done[0], OSError)
