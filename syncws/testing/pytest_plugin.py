"""
Fixtures for pytest, which does not load them by itself.

Write ``pytest_plugins = ["syncws.testing.pytest_plugin"]`` in a test file or in the ``conftest.py``
at the top.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

import pytest

from .relay import Relay
from .scripted import ScriptedServer


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """Return a ScriptedServer. The test fails at its end if a client did not keep to its script."""
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def relay_to() -> Iterator[Callable[[str], Relay]]:
    """Return a function that makes a Relay to a URL, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(Relay(url))
