"""``syncws connect``: a conversation, typed by hand, from a pipe or from the command line."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import threading
from collections.abc import Iterator
from typing import Callable

from .. import Connection, ConnectionClosed
from ..events import BytesMessage, Event, Ping, TextMessage
from .exits import Exit, UsageError, verdict
from .opening import open_connection
from .output import notice, out
from .shown import escaped, message_line
from .terminal import Ended, screen
from .typed import Close, Say, Send, SendPing, action_of

Write = Callable[[str], None]


class Conversation:
    """
    A connection and what is said on it.

    Args:
        connection: it.
        message, note: write a message, and what is to be told besides.
        ended: called in another thread when there will be no more messages.
        verbose: whether to tell of the peer's Pings.
    """

    def __init__(
        self,
        connection: Connection,
        message: Write,
        note: Write,
        ended: Callable[[], None],
        verbose: bool = False,
    ) -> None:
        self._connection = connection
        self._message = message
        self._note = note
        self._ended = ended
        self._verbose = verbose
        self._changed = threading.Condition()  # guards what follows
        self._asked = 0  # messages and Pings that want an answer
        self._answered = 0
        self._over = False
        self._failure: BaseException | None = None
        self._own_close = False
        self._events = connection.events(whole=True)
        self._listener = threading.Thread(target=self._listen, name="syncws-listen", daemon=True)
        self._listener.start()

    def obey(self, line: str) -> bool:
        """
        Do what was typed; return whether to go on. Blocks while the peer does not read.

        Raises:
            Exception: a message could not be written.
        """
        action = action_of(line)
        try:
            if isinstance(action, Send):
                self._asked += 1
                self._connection.send(action.message)
            elif isinstance(action, SendPing):
                self._asked += 1
                self._connection.ping_nowait().add_done_callback(self._pong)
            elif isinstance(action, Close):
                self._connection.close(action.code, action.reason)
                self._own_close = True
                return False
            else:
                for text in action.text.splitlines():
                    self._note(text)
        except (TimeoutError, ValueError) as exc:
            self._note(escaped(str(exc)))
        except ConnectionClosed:
            return False
        return True

    def wait_for_answers(self, timeout: float | None) -> None:
        """
        Wait until there are as many answers as messages and Pings; not at all without a timeout.

        Raises:
            TimeoutError: not in time.
        """
        if timeout is None:
            return
        with self._changed:
            done = self._changed.wait_for(lambda: self._over or self._all_answered(), timeout)
        if not done:
            raise TimeoutError(f"no answer in {timeout:g} s")

    def finish(self, tell: bool) -> Exit:
        """
        Close, and return the exit code. Blocks as ``close()`` does.

        Args:
            tell: whether to tell the end also if it is as it should be.

        Raises:
            Exception: a message could not be written.
        """
        self._connection.close()
        self._listener.join()
        if self._failure is not None:
            raise self._failure
        code, said = verdict(ending(self._connection))
        if self._own_close and self._connection.close_code != 1006:
            code = Exit.OK  # any code, since it was asked for
        if tell or code is not Exit.OK:
            self._note(said)
        return code

    def unanswered(self) -> bool:
        """Tell whether an answer is missing, now that all is over."""
        return not self._all_answered()

    def _all_answered(self) -> bool:
        return self._answered >= self._asked

    def _listen(self) -> None:
        try:
            for event in self._events:
                self._tell(event)
        except BaseException as exc:
            self._failure = exc
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            self._ended()

    def _tell(self, event: Event) -> None:
        if isinstance(event, (TextMessage, BytesMessage)):
            self._message(message_line(event.data))
            self._answer()
        elif isinstance(event, Ping) and self._verbose:
            self._note(f"Ping from the server: {message_line(event.payload)}")

    def _pong(self, waiter: concurrent.futures.Future[float]) -> None:
        if waiter.exception() is None:
            self._note(f"Pong after {1000 * waiter.result():.3f} ms")
            self._answer()

    def _answer(self) -> None:
        with self._changed:
            self._answered += 1
            self._changed.notify_all()


def ending(connection: Connection) -> ConnectionClosed:
    """
    Return how a closed connection ended.

    Raises:
        RuntimeError: it is open.
    """
    try:
        connection.pong()
    except ConnectionClosed as exc:
        return exc
    raise RuntimeError(f"{connection!r} is open")


def run(args: argparse.Namespace) -> Exit:
    """
    Do what the command line says, and return the exit code.

    Raises:
        Exception: as ``exits.verdict()`` expects it.
    """
    with cut_at_the_end(open_connection(args)) as connection:
        if args.lines:
            return _execute(connection, args)
        return _interact(connection, args)


@contextlib.contextmanager
def cut_at_the_end(connection: Connection) -> Iterator[Connection]:
    """Leave no connection behind: one that was not closed has no time for that any more."""
    try:
        yield connection
    finally:
        connection.abort()


def _execute(connection: Connection, args: argparse.Namespace) -> Exit:
    conversation = Conversation(connection, out, notice, lambda: None, args.verbose > 0)
    for line in args.lines:
        action = action_of(line)
        if isinstance(action, Say):
            raise UsageError(f"--exec: {action.text}")
    for line in args.lines:
        if not conversation.obey(line):
            break
        conversation.wait_for_answers(args.timeout)
    code = conversation.finish(tell=args.verbose > 0)
    if code is Exit.OK and args.timeout is not None and conversation.unanswered():
        notice("syncws: closed without an answer")
        return Exit.CLOSED
    return code


def _interact(connection: Connection, args: argparse.Namespace) -> Exit:
    interrupted = False
    shown = screen()
    with shown:
        message, note = (_arrow(shown.show), shown.show) if shown.typed else (shown.show, notice)
        if shown.typed:
            note(
                f"Connected to {_place(connection)}. /help tells what can be typed; Ctrl-D leaves."
            )
        conversation = Conversation(connection, message, note, shown.end, args.verbose > 0)
        try:
            while conversation.obey(shown.ask()):
                pass
        except KeyboardInterrupt:
            interrupted = True
        except EOFError:
            if not shown.typed:
                conversation.wait_for_answers(args.timeout)
        except Ended:
            pass
        code = conversation.finish(tell=shown.typed or args.verbose > 0)
    return Exit.INTERRUPTED if interrupted else code


def _arrow(show: Write) -> Write:
    return lambda line: show(f"< {line}")


def _place(connection: Connection) -> str:
    return escaped(f"{connection.request.headers.get('Host', '')}{connection.path}")
