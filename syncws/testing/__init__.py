"""
Help for tests of programs that use syncws. Nothing else in the library imports it.

``pair()`` makes two connections without a network, ``ScriptedServer`` is a server that does what a
test says and tells what it got instead, ``Relay`` stands between a client and a server and makes
the network bad. docs/testing.md has more. ``syncws.testing.pytest_plugin`` has fixtures of pytest.
"""

from __future__ import annotations

from .pairs import pair
from .relay import Relay
from .script import Script
from .scripted import ScriptedServer

__all__ = ["Relay", "Script", "ScriptedServer", "pair"]
