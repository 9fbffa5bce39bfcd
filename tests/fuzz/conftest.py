"""The codec in C, where it is built."""

from __future__ import annotations

import importlib
import os

import pytest

C_CODEC = "syncws.sansio._speedups"


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    """Leave out the look for threads and sockets: here are none, but hundreds of quick tests."""


@pytest.fixture(scope="session")
def c_codec():
    """Return the module, or None; with SYNCWS_REQUIRE_C=1 it must be there."""
    try:
        return importlib.import_module(C_CODEC)
    except ModuleNotFoundError as error:
        if error.name != C_CODEC or os.environ.get("SYNCWS_REQUIRE_C") == "1":
            raise
        return None
