"""Our events beside those of wsproto, whose names and fields they have."""

from __future__ import annotations

import dataclasses

import pytest

from syncws import events

pytestmark = pytest.mark.peers

SAME = ["Message", "TextMessage", "BytesMessage", "Ping", "Pong", "CloseConnection"]


@pytest.mark.parametrize("name", SAME)
def test_same_fields(name):
    """In the same order, with the same defaults."""
    theirs = getattr(pytest.importorskip("wsproto.events"), name)

    def fields(event):
        return [(field.name, field.default) for field in dataclasses.fields(event)]

    ours = getattr(events, name)
    assert fields(ours) == fields(theirs)
    assert [base.__name__ for base in ours.__mro__ if base.__module__ == ours.__module__] == [
        base.__name__ for base in theirs.__mro__ if base.__module__ == theirs.__module__
    ]
    assert hasattr(ours, "response") == hasattr(theirs, "response")
