"""Masking keys: fresh ones, also in a forked child."""

from __future__ import annotations

import os

import pytest

from support.threads import Running
from syncws import masking
from syncws.masking import mask_key

MANY = 3 * masking._STOCK


def test_keys_have_four_bytes_and_differ():
    """Of a few hundred keys of 32 bits hardly two are the same by chance."""
    keys = [mask_key() for _ in range(MANY)]

    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > MANY - 3


def test_threads_get_keys_of_their_own():
    """Nobody gets what another one got."""
    calls = [Running(lambda: [mask_key() for _ in range(MANY)]) for _ in range(4)]

    assert len({key for call in calls for key in call.result()}) > 4 * MANY - 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_use_the_keys_of_its_parent():
    """The stock that it inherits is thrown away."""
    mask_key()  # there is a stock
    count = len(masking._keys)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"".join(mask_key() for _ in range(count)))
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        childs = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0

    assert len(childs) == 4 * count
    ours = {mask_key() for _ in range(count)}
    assert len(ours & {childs[at : at + 4] for at in range(0, len(childs), 4)}) < 3
