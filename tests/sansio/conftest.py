"""Fixtures of the pure protocol's tests."""

from __future__ import annotations

import pathlib
import tempfile

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

# What hypothesis remembers, already while tests are collected, stays out of the work tree.
set_hypothesis_home_dir(pathlib.Path(tempfile.gettempdir(), "syncws-hypothesis"))


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    """Do not look for threads and sockets: there are none here, and looking costs 10 ms a test."""
