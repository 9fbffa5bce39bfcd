"""Forks that Python is not told of, as uWSGI makes them."""

from __future__ import annotations

import os

import pytest

from support.children import child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() on this system"),
    pytest.mark.native_threads("greenlets go on in a child of which nobody told them"),
]

PROGRAM = """
    import ctypes, os, signal, sys, threading, time, types
    import syncws
    from support.threads import asleep, eventually
    from syncws.housekeeper import housekeeper
    from syncws.masking import mask_key

    def told(call):
        try:
            return call()
        except Exception as exc:
            return type(exc).__name__

    def ask(text):
        with syncws.connect(sys.argv[1]) as ws:
            ws.send(text)
            return ws.recv(timeout=20)

    def idle():
        others = set(threading.enumerate()) - {threading.main_thread()}
        return housekeeper._sleeping_until > time.monotonic() + 1 and all(map(asleep, others))

    def fork():
        # Python's hooks are not called, so what another thread holds now is held for ever.
        eventually(idle, "nobody does anything")
        sys.stdout.flush()
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            signal.alarm(20)  # the end of a child that hangs, which would keep the pipes open
        return pid

    def wait(pid):
        assert os.waitpid(pid, 0)[1] == 0
"""
WITH_HOOK = """
    uwsgi = sys.modules["uwsgi"] = types.ModuleType("uwsgi")
    uwsgi.post_fork_hook = lambda: print("the application's hook")
    with syncws.connect(sys.argv[1]) as ws:
        for _ in range(2):  # not one more hook with each connection
            assert ask("first") == "first"
        pid = fork()
        if pid == 0:
            uwsgi.post_fork_hook()
            for call in (lambda: ws.send("x"), lambda: ws.recv(timeout=20), ws.ping):
                print(told(call))
            ws.close()
            print(ask("from the child"), flush=True)
            os._exit(0)
        wait(pid)
        ws.send("still here")
        print(ws.recv(timeout=20), flush=True)
"""
WITHOUT_HOOK = """
    with syncws.connect(sys.argv[1]) as ws:
        pid = fork()
        if pid == 0:
            print(ask("from the child"))
            print(told(lambda: ws.send("x")), flush=True)
            os._exit(0)
        wait(pid)
        print(ask("still here"), flush=True)
"""
KEYS = """
    assert ask("first") == "first"
    pid = fork()
    if pid == 0:
        assert ask("first") == "first"
        print(mask_key().hex(), flush=True)
        os._exit(0)
    wait(pid)
    keys = {mask_key().hex() for _ in range(256)}
    print(sys.stdin.readline().strip() in keys, flush=True)
"""


def test_uwsgi_has_a_hook_of_its_own(serve):
    """It marks the parent's connections and leaves them alone; the application's hook is called."""
    with child(PROGRAM, WITH_HOOK, args=(serve().url,)) as program:
        assert program.line() == "the application's hook"
        assert [program.line() for _ in range(3)] == 3 * ["InheritedConnection"]
        assert program.line() == "from the child"
        assert program.line() == "still here"
        assert program.ends() == (0, "")


def test_a_fork_that_no_hook_tells_of(serve):
    """The next connection notices it, and gets timers that work."""
    with child(PROGRAM, WITHOUT_HOOK, args=(serve().url,)) as program:
        assert program.line() == "from the child"
        assert program.line() == "InheritedConnection"
        assert program.line() == "still here"
        assert program.ends() == (0, "")


def test_masking_keys_are_not_shared(serve):
    """What parent and child draw differs."""
    with child(PROGRAM, KEYS, args=(serve().url,)) as program:
        key = program.line()
        print(key, file=program.process.stdin, flush=True)
        assert program.line() == "False"
        assert program.ends() == (0, "")
