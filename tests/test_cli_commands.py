"""The command line in pipes: what each command writes, and its exit code."""

from __future__ import annotations

import contextlib
import importlib
import json
import queue
import re
import signal
import ssl
import threading

import pytest

import syncws
from support.command import ROOT, run, running
from support.threads import WATCHDOG, Running
from support.tls import CA, CERTS, client_context, server_context
from syncws import ConnectionClosed
from syncws.cli.main import main

EVIL = "\x1b]0;owned\x07\x9b2J\u202e"
ESCAPED = r"\x1b]0;owned\x07\x9b2J\u202e"


def once(*messages, code=1000, reason=""):
    """Return a handler that sends these and closes."""

    def handler(ws):
        for message in messages:
            ws.send(message)
        ws.close(code, reason)

    return handler


def silent(ws):
    """Take everything and say nothing."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.recv()


def check(done, code, errors=""):
    """Compare exit code and standard error."""
    assert (done.returncode, done.stderr) == (code, errors)


def test_version_and_help():
    """Both go to standard output."""
    assert run("--version").stdout == f"syncws {syncws.__version__}\n"
    for command in ("connect", "dump", "echo-server", "bench"):
        done = run(command, "--help")
        check(done, 0)
        assert "exit codes:\n  0    " in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_script_is_installed():
    """``syncws`` is the same as ``python -m syncws``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (target,) = re.findall(r'^syncws = "(.+)"$', text, re.MULTILINE)
    module, _, name = target.partition(":")

    assert getattr(importlib.import_module(module), name) is main


# connect


def test_exec_writes_the_answers(serve):
    """Each TEXT is sent, its answer written; then the connection is closed."""
    done = run(
        "connect", "--exec", "hello", "--exec", "/binary 00ff", "--exec", "/ping", serve().url
    )

    assert done.stdout == "hello\n[binary, 2 bytes] 00 ff\n"
    assert done.stderr.startswith("Pong after ")
    assert done.returncode == 0


def test_exec_without_an_answer_is_a_timeout(serve):
    """The server says nothing."""
    done = run("connect", "--exec", "hello", "--timeout", 0.1, serve(silent).url)

    check(done, 6, "syncws: timeout: no answer in 0.1 s\n")


@pytest.mark.parametrize("arguments", [["--exec", "hello"], []])
def test_no_answer_is_waited_for_with_timeout_0(serve, arguments):
    """For servers that take and say nothing."""
    check(run("connect", *arguments, "--timeout", 0, serve(silent).url, stdin="hello\n"), 0)


def test_a_pipe_without_an_answer_is_a_timeout(serve):
    """As with --exec."""
    done = run("connect", "--timeout", 0.1, serve(silent).url, stdin="hello\n")

    check(done, 6, "syncws: timeout: no answer in 0.1 s\n")


def test_exec_with_an_end_instead_of_an_answer(serve):
    """A script that asked must not think that it was answered."""
    done = run("connect", "--exec", "hello", serve(lambda ws: ws.recv()).url)

    check(done, 5, "syncws: closed without an answer\n")


def test_exec_refuses_what_does_nothing(serve):
    """A mistake in a script is told before anything is sent."""
    done = run("connect", "--exec", "hello", "--exec", "/bye", serve().url)

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no /bye" in done.stderr


def test_a_pipe_is_sent_line_by_line(serve):
    """Answers that are on their way at the end of the input are still written."""
    done = run("connect", serve().url, stdin="one\ntwo\nthree")

    check(done, 0)
    assert done.stdout == "one\ntwo\nthree\n"


@pytest.mark.parametrize(("code", "expected"), [(1000, 0), (1001, 0), (4000, 5)])
def test_the_server_ends_a_silent_pipe(serve, code, expected):
    """Nobody types anything, and nothing hangs."""
    with running("connect", serve(once("hello", code=code, reason=EVIL)).url) as process:
        assert process.stdout.readline() == "hello\n"
        assert process.wait(WATCHDOG) == expected
        assert process.stdout.read() == ""
        errors = process.stderr.read()
        assert errors == ("" if expected == 0 else errors)
        assert (ESCAPED in errors) == (expected != 0)


def test_close_with_a_code(serve):
    """The code that was asked for is no failure."""
    ends = queue.SimpleQueue()

    def handler(ws):
        with contextlib.suppress(ConnectionClosed):
            ws.recv()
        ws.wait_closed()
        ends.put((ws.close_code, ws.close_reason))

    check(run("connect", serve(handler).url, stdin="/close 4000 out of coffee\n"), 0)
    assert ends.get(timeout=WATCHDOG) == (4000, "out of coffee")


def test_a_code_that_may_not_be_sent(serve):
    """It is told, and the conversation goes on."""
    done = run("connect", serve().url, stdin="/close 1005\nhello\n")

    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert "1005" in done.stderr


def test_messages_are_escaped(serve):
    """A terminal is not told what to do, by no part of an answer."""
    done = run("connect", serve(once(EVIL)).url)

    check(done, 0)
    assert done.stdout == ESCAPED + "\n"


def test_verbose_tells_the_handshake_without_credentials(serve):
    """Of both sides."""
    arguments = ["--auth", "me:secret", "-H", "Cookie: secret", "-H", "X-Color: red"]
    done = run("connect", "-v", *arguments, "--exec", "x", serve().url)

    assert "> Authorization: ***\n" in done.stderr
    assert "> X-Color: red\n" in done.stderr
    assert "< HTTP/1.1 101\n" in done.stderr
    assert "secret" not in done.stderr
    assert "closed: sent 1000" in done.stderr


def test_very_verbose_tells_every_frame(serve):
    """From the log of the library; an escape in it stays one."""
    done = run("connect", "-vv", "--exec", EVIL, serve().url)

    assert "> TEXT" in done.stderr
    assert "\x1b" not in done.stderr


def test_what_is_asked_for_reaches_the_server(serve):
    """Headers, origin, subprotocol, compression and credentials."""
    requests = queue.SimpleQueue()

    def handler(ws):
        requests.put((ws.request, ws.subprotocol, ws.extensions))

    url = serve(handler, subprotocols=["chat"], origins=None).url
    arguments = ["-H", "X-A: b", "--origin", "http://x.example", "--subprotocol", "soap"]
    arguments += ["--subprotocol", "chat", "--no-compression", "--auth", "me:pass:word"]
    check(run("connect", *arguments, url), 0)
    request, subprotocol, extensions = requests.get(timeout=WATCHDOG)

    assert request.headers["X-A"] == "b"
    assert request.headers["Origin"] == "http://x.example"
    assert request.headers["Authorization"] == "Basic bWU6cGFzczp3b3Jk"
    assert (subprotocol, extensions) == ("chat", [])


# TLS


def test_tls_with_our_ca(serve):
    """--cacert names who may certify the server."""
    server = serve(once("safe"), host="localhost", ssl=server_context())
    url = f"wss://localhost:{server.server_address[1]}"

    done = run("dump", "--cacert", CA, url)
    check(done, 0)
    assert done.stdout == "safe\n"
    stranger = run("dump", url)
    assert stranger.returncode == 3
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.stderr


def test_insecure_is_loud(serve):
    """It works, and nobody can overlook it."""
    done = run("dump", "--insecure", serve(once("hello"), ssl=server_context("expired")).url)

    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert done.stderr.startswith("*** --insecure")


def test_a_client_certificate(serve):
    """--cert shows it to a server that asks."""
    context = server_context()
    context.load_verify_locations(CA)
    context.verify_mode = ssl.CERT_REQUIRED
    server = serve(once("hello"), host="localhost", ssl=context)
    url = f"wss://localhost:{server.server_address[1]}"

    done = run("dump", "--cacert", CA, "--cert", CERTS / "localhost.pem", url)

    check(done, 0)
    assert done.stdout == "hello\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cacert", "/nowhere.pem", "wss://127.0.0.1:1"],
        ["--cert", "/nowhere.pem", "wss://127.0.0.1:1"],
        ["--key", "/nowhere.pem", "wss://127.0.0.1:1"],
        ["--cacert", CA, "ws://127.0.0.1:1"],
        ["--insecure", "ws://127.0.0.1:1"],
        ["--digest", "ws://127.0.0.1:1"],
        ["--auth", "me", "ws://127.0.0.1:1"],
        ["--proxy", "ftp://me:secret@127.0.0.1", "ws://127.0.0.1:1"],
        ["-H", "X: a\nb", "ws://127.0.0.1:1"],
        ["-H", "secret", "ws://127.0.0.1:1"],
        ["http://me:secret@127.0.0.1:1"],
        [],
        ["--stdin", "--reconnect", "ws://127.0.0.1:1"],
        ["--count", "0", "ws://127.0.0.1:1"],
    ],
    ids=str,
)
def test_mistakes_on_the_command_line(arguments):
    """Exit code 2, a line that tells why, and no password."""
    done = run("dump", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "syncws" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


# dump


def test_dump_writes_one_message_a_line(serve):
    """Also those with line ends, and bytes."""
    done = run("dump", serve(once("one", "two\nlines", b"\x00\xff", EVIL)).url)

    check(done, 0)
    assert done.stdout.splitlines() == ["one", r"two\nlines", "0x00ff", ESCAPED]


def test_dump_json(serve):
    """Everything that happens, and nothing of it changed."""
    messages = [EVIL, "ü" * 3000, b"\x00\xff"]
    done = run("dump", "--json", "--timings", serve(once(*messages, code=1001, reason="bye")).url)
    told = [json.loads(line) for line in done.stdout.splitlines()]

    check(done, 0)
    assert [entry["kind"] for entry in told] == ["open", "text", "text", "binary", "close"]
    assert [entry["data"] for entry in told[1:4]] == [*messages[:2], "AP8="]
    assert (told[-1]["code"], told[-1]["data"]) == (1001, "bye")
    times = [entry["elapsed"] for entry in told]
    assert times == sorted(times)


def test_dump_json_tells_pings(serve):
    """They are no messages, and --count does not count them."""

    def handler(ws):
        ws.ping(b"there?")
        ws.send("yes")
        ws.wait_closed()

    done = run("dump", "--json", "--count", 1, serve(handler).url)

    check(done, 0)
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds == ["open", "ping", "text", "close"]


def test_dump_count(serve):
    """It closes after so many, whatever else comes."""
    done = run("dump", "--count", 2, serve(once(*"abcdef")).url)

    check(done, 0)
    assert done.stdout == "a\nb\n"


def test_dump_timeout(serve):
    """Silence has an exit code of its own; what came before is there."""

    def handler(ws):
        ws.send("hello")
        silent(ws)

    done = run("dump", "--timeout", 0.2, serve(handler).url)

    check(done, 6, "syncws: timeout: no message in 0.2 s\n")
    assert done.stdout == "hello\n"


def test_dump_sends_stdin(serve):
    """With --json both directions are told, also what is not UTF-8 on its way in."""
    done = run("dump", "--json", "--stdin", "--count", 2, serve().url, stdin="a\nb\n")
    told = [json.loads(line) for line in done.stdout.splitlines()]

    check(done, 0)
    for direction in ("sent", "received"):
        ours = [entry["data"] for entry in told if entry["direction"] == direction]
        assert [data for data in ours if data in ("a", "b")] == ["a", "b"]


def test_dump_ends_beside_an_open_stdin(serve):
    """The thread that reads standard input holds nothing up."""
    with running("dump", "--stdin", serve(once("hello")).url) as process:
        assert process.wait(WATCHDOG) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("hello\n", "")


def test_dump_abnormal_close(serve):
    """A code that is none of the good ones, and no code at all."""
    done = run("dump", serve(once("a", code=1011, reason=EVIL)).url)
    assert (done.returncode, done.stdout) == (5, "a\n")
    assert f"received 1011 (internal error) {ESCAPED}" in done.stderr

    lost = run("dump", "--json", serve(lambda ws: ws.abort()).url)
    assert lost.returncode == 5
    assert json.loads(lost.stdout.splitlines()[-1])["code"] == 1006


def test_dump_interrupted(serve):
    """Ctrl-C ends it at once, with no traceback."""
    with running("dump", serve(lambda ws: (ws.send("hello"), ws.wait_closed())).url) as process:
        assert process.stdout.readline() == "hello\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(WATCHDOG) == 130
        assert process.stderr.read() == ""


def test_nobody_reads_the_output(serve):
    """As behind ``| head``."""
    go_on = threading.Event()

    def handler(ws):
        ws.send("first")
        go_on.wait(WATCHDOG)
        with contextlib.suppress(ConnectionClosed):
            while True:
                ws.send("more")

    with running("dump", serve(handler).url) as process:
        assert process.stdout.readline() == "first\n"
        process.stdout.close()
        go_on.set()
        assert process.wait(WATCHDOG) == 141
        assert process.stderr.read() == ""


def test_dump_reconnects(serve):
    """After a loss it goes on with the next connection, and tells that it waits."""
    numbers = iter(range(100))

    def lose(ws):
        ws.send(str(next(numbers)), timeout=WATCHDOG)
        ws.ping(timeout=WATCHDOG)
        ws.abort()

    done = run("dump", "--reconnect", "--count", 2, serve(lose).url)

    assert (done.returncode, done.stdout) == (0, "0\n1\n")
    assert "attempt 1 follows in" in done.stderr


# No connection


def test_cannot_connect(listener):
    """Nobody listens there."""
    port = listener.getsockname()[1]
    listener.close()

    done = run("dump", f"ws://127.0.0.1:{port}")

    assert done.returncode == 3
    assert done.stderr.startswith("syncws: cannot connect: ")


def refuse(listener, answer):
    sock, _ = listener.accept()
    with sock:
        sock.recv(65536)
        sock.sendall(answer)


def test_refused(listener):
    """With -v the answer is told; its controls are escaped, its cookies left out."""
    answer = (
        b"HTTP/1.1 404 x\r\nX: \x9b2J\r\nSet-Cookie: secret\r\nContent-Length: 4\r\n\r\n\x1b[2J"
    )
    serving = Running(refuse, listener, answer)

    done = run("dump", "-v", f"ws://127.0.0.1:{listener.getsockname()[1]}")

    serving.result()
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        "< HTTP/1.1 404",
        r"< X: \x9b2J",
        "< Set-Cookie: ***",
        "< Content-Length: 4",
        r"< \x1b[2J",
        "syncws: refused: expected HTTP status 101, the server sent 404",
    ]


def test_not_http(listener):
    """What breaks the rules of the handshake is a refusal, too; it is quoted without controls."""
    serving = Running(refuse, listener, b"\x1b]0;owned\x07 SSH-2.0\r\n\r\n")

    done = run("dump", f"ws://127.0.0.1:{listener.getsockname()[1]}")

    serving.result()
    assert done.returncode == 4
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


def test_open_timeout(listener):
    """The server accepts and says nothing."""
    done = run("dump", "--open-timeout", 0.2, f"ws://127.0.0.1:{listener.getsockname()[1]}")

    assert done.returncode == 6
    assert done.stderr.startswith("syncws: timeout: ")


def test_a_proxy_that_is_not_there(listener):
    """--proxy is used; the target would answer."""
    port = listener.getsockname()[1]
    listener.close()

    done = run("dump", "--proxy", f"http://me:secret@127.0.0.1:{port}", "ws://192.0.2.1")

    assert done.returncode == 3
    assert "secret" not in done.stderr


# echo-server


def test_echo_server():
    """It tells where it listens, echoes, and says 1001 at its end."""
    with running("echo-server", "--port", 0, "--host", "127.0.0.1") as process:
        url = process.stdout.readline().split()[-1]
        with syncws.connect(url) as ws:
            ws.send("hello")
            assert ws.recv(WATCHDOG) == "hello"
            process.send_signal(signal.SIGINT)
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1001
        assert process.wait(WATCHDOG) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_echo_server_with_tls_and_sigterm():
    """--cert makes it wss; SIGTERM ends it as Ctrl-C does."""
    arguments = ["--port", 0, "--cert", CERTS / "localhost.pem", "--subprotocol", "chat"]
    with running("echo-server", *arguments) as process:
        url = process.stdout.readline().split()[-1]
        assert url.startswith("wss://localhost:")
        with syncws.connect(url, ssl=client_context(), subprotocols=["chat"]) as ws:
            assert ws.subprotocol == "chat"
            process.send_signal(signal.SIGTERM)
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1001
        assert process.wait(WATCHDOG) == 0


def test_echo_server_refuses_strangers_pages_unless_told():
    """As ThreadingServer does; --any-origin lets them in."""
    with running("echo-server", "--port", 0) as process:
        url = process.stdout.readline().split()[-1]
        with pytest.raises(syncws.InvalidStatus):
            syncws.connect(url, origin="http://elsewhere.example")
    with running("echo-server", "--port", 0, "--any-origin") as process:
        url = process.stdout.readline().split()[-1]
        syncws.connect(url, origin="http://elsewhere.example").close()


def test_echo_server_on_a_taken_port(listener):
    """The address is told."""
    port = listener.getsockname()[1]

    done = run("echo-server", "--host", "127.0.0.1", "--port", port)

    assert done.returncode == 2
    assert done.stderr.startswith(f"syncws: cannot listen on 127.0.0.1:{port}: ")


# bench


@pytest.mark.parametrize("arguments", [[], ["--binary", "--size", 5000]])
def test_bench(serve, arguments):
    """Plain text in a pipe, without a bar."""
    done = run("bench", "-n", 3, "--messages", 20, *arguments, serve().url)
    lines = done.stdout.splitlines()

    check(done, 0)
    assert lines[0].startswith("60 round trips in ")
    assert any(line.startswith("  99 %") for line in lines)
    histogram = lines[lines.index("") + 1 :]
    assert sum(int(line.split()[5]) for line in histogram) == 60


def test_bench_that_is_not_answered(serve):
    """It says so, and gives no figures of nothing."""
    done = run("bench", "--timeout", 0.1, serve(silent).url)

    assert (done.returncode, done.stdout) == (6, "")


def test_bench_that_is_closed(serve):
    """A normal close in the middle is none for a benchmark; the figures so far are told."""
    done = run("bench", serve(lambda ws: (ws.send("x"), ws.recv(), ws.send("x"), ws.recv())).url)

    assert done.returncode == 5
    assert done.stderr.startswith("syncws: closed: ")
    assert "round trips in" in done.stdout


def test_bench_interrupted(serve):
    """The figures of what was done are told."""
    stuck = threading.Event()

    def handler(ws):
        for _ in range(5):
            ws.send(ws.recv())
        ws.recv()
        stuck.set()
        ws.wait_closed()

    with running("bench", "--timeout", 3600, serve(handler).url) as process:
        assert stuck.wait(WATCHDOG)
        process.send_signal(signal.SIGINT)
        assert process.wait(WATCHDOG) == 130
        assert process.stdout.readline().startswith("5 round trips in ")
        assert process.stderr.read() == ""
