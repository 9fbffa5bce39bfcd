"""How what is no whole message gets into the queue of what was received."""

from __future__ import annotations

from .recvqueue import RecvQueue
from .sansio import Fragment, Ping, Pong


class Intake:
    """
    Feeds the queue for whoever reads.

    Attributes:
        apart: whether fragments wait in the queue each for itself, as events() wants them, or are
            put together to messages. Counts from the next message on: one that has begun stays on
            its way.
    """

    __slots__ = ("_begun", "_queue", "_way", "apart")

    def __init__(self, queue: RecvQueue) -> None:
        self.apart = False
        self._queue = queue
        self._begun = False  # a message has begun and not ended
        self._way = False  # ``apart`` when it began

    def put_fragment(self, fragment: Fragment) -> bool:
        """Put in the next piece of a message; return whether all who wait for one are served."""
        if not self._begun:
            self._way = self.apart
        self._begun = not fragment.message_finished
        if self._way:
            return self._put(fragment, fragment.size)
        return self._queue.put_piece(fragment.data, fragment.size, fragment.message_finished)

    def put_control(self, frame: Ping | Pong) -> bool:
        """Put a control frame among the messages, in the order of arrival, for events()."""
        return self._put(frame, len(frame.payload))

    def _put(self, fact: Fragment | Ping | Pong, size: int) -> bool:
        return self._queue.put([fact], size)  # type: ignore[list-item]
