"""
Masking keys, drawn in stock: asking the system for each would cost as much as encoding the frame.

RFC 6455 section 5.3: "The masking key needs to be unpredictable", and fresh for every frame.
"""

from __future__ import annotations

import os

from .forks import on_change

_KEY_SIZE = 4
_STOCK = 256  # keys

_keys: list[bytes] = []


def mask_key() -> bytes:
    """Return a key that nobody can predict and nobody else gets. Thread-safe."""
    try:
        return _keys.pop()
    except IndexError:
        random = os.urandom(_STOCK * _KEY_SIZE)
        keys = [random[at : at + _KEY_SIZE] for at in range(0, len(random), _KEY_SIZE)]
        key = keys.pop()
        _keys.extend(keys)
        return key


# Parent and child must not use the same keys.
on_change(lambda parent: _keys.clear())
