"""What waits for a slow peer: how much of it, in which order, and who makes way."""

from __future__ import annotations

import pytest

from syncws.backlog import Backlog


@pytest.fixture
def backlog():
    """Return an empty one."""
    return Backlog()


def add(backlog, item, size=10, limit=20, oldest=False, when_room=None):
    return backlog.add(item, size, limit, oldest, when_room)


def waiting(backlog):
    return [item for item, _ in backlog.items]


def test_items_wait_in_their_order(backlog):
    """What is added first is taken first."""
    assert add(backlog, "a")
    assert add(backlog, "b")

    assert backlog.take(1) == ["a"]
    assert backlog.take(1) == ["b"]
    assert backlog.take(1) == []


def test_items_that_go_together(backlog):
    """So many are taken as make up the size, and the last one whole."""
    for item in "abc":
        add(backlog, item, limit=100)

    assert backlog.take(11) == ["a", "b"]
    assert waiting(backlog) == ["c"]


def test_a_full_backlog_refuses(backlog):
    """What would be more than the limit is refused and counted; what was there stays."""
    assert add(backlog, "a")
    assert add(backlog, "b")

    assert not add(backlog, "c")

    assert waiting(backlog) == ["a", "b"]
    assert backlog.dropped == 1


def test_one_item_always_finds_room(backlog):
    """An item above the limit waits if nothing else does."""
    assert add(backlog, "large", size=100)

    assert not add(backlog, "b")


def test_the_oldest_make_way(backlog):
    """As many are dropped as are needed, and no more."""
    for item in "abc":
        add(backlog, item, limit=30)

    assert add(backlog, "d", size=15, limit=30, oldest=True)

    assert waiting(backlog) == ["c", "d"]
    assert backlog.dropped == 2


def test_what_is_taken_makes_room(backlog):
    """The bytes of items that are gone count no more."""
    add(backlog, "a", size=20)

    backlog.take(1)

    assert add(backlog, "b", size=10)
    assert add(backlog, "c", size=10)
    assert not add(backlog, "d", size=1)


def test_clear_drops_all(backlog):
    """What will never go out is dropped, and the next one finds room."""
    add(backlog, "a")
    add(backlog, "b")

    backlog.clear()

    assert backlog.dropped == 2
    assert waiting(backlog) == []
    assert add(backlog, "c", size=20)
    assert backlog.gone == 2


@pytest.mark.parametrize("make_room", [lambda b: b.take(1), lambda b: b.clear()])
def test_who_waits_for_room_is_told_once(backlog, make_room):
    """A refused one that is to be told is told when something leaves, and is not dropped."""
    told = []
    add(backlog, "a", size=20)
    assert not add(backlog, "b", when_room=lambda: told.append("room"))
    assert (told, backlog.dropped) == ([], 0)

    make_room(backlog)
    make_room(backlog)

    assert told == ["room"]


def test_who_waits_no_more_is_not_told(backlog):
    """forget() is for who gave up; it also may be called too late."""
    told = []
    add(backlog, "a", size=20)
    callback = lambda: told.append("room")  # noqa: E731
    add(backlog, "b", when_room=callback)

    backlog.forget(callback)
    backlog.forget(callback)
    backlog.take(1)

    assert told == []
