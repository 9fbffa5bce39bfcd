"""A call in a thread of its own, which can be given up. Knows nothing of WebSocket."""

from __future__ import annotations

import threading
from typing import Callable, Generic, TypeVar

T = TypeVar("T")


class Attempt(Generic[T]):
    """
    Makes a call that blocks.

    Args:
        call: what to do.
        changed: notified when it is done.
        undo: called with the result if nobody wants it any more.
        name: of the thread.

    Attributes:
        done: whether the call has returned or raised. Guarded by ``changed``, as all.
    """

    def __init__(
        self,
        call: Callable[[], T],
        changed: threading.Condition,
        undo: Callable[[T], object],
        name: str,
    ) -> None:
        self.done = False
        self._call = call
        self._changed = changed
        self._undo = undo
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._given_up = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as exc:
            self._error = exc
        with self._changed:
            self.done = True
            self._changed.notify_all()
            unwanted = self._given_up
        if unwanted:
            self._drop()

    def give_up(self) -> None:
        """Want the result no more; the call goes on to its end. Does not block."""
        with self._changed:
            self._given_up = True
            done = self.done
        if done:
            self._drop()

    def _drop(self) -> None:
        while self._result:
            self._undo(self._result.pop())

    def result(self) -> T:
        """
        Return what the call has returned.

        Raises:
            BaseException: what it has raised.
        """
        if self._error is not None:
            raise self._error
        return self._result.pop()
