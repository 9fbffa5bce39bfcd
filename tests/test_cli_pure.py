"""The parts of the command line that wait for nothing: text in, text out."""

from __future__ import annotations

import argparse
import base64
import json
import socket
import ssl
import unicodedata

import pytest

import syncws
from syncws.cli import arguments, figures, records, shown
from syncws.cli.exits import MEANINGS, Exit, OutputGone, UsageError, refusal, verdict
from syncws.cli.typed import HELP, Close, Say, Send, SendPing, action_of
from syncws.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

EVIL = {
    "\x1b[2J": r"\x1b[2J",
    "a\nb\rc\td": r"a\nb\rc\td",
    "\x00\x07\x08\x7f": r"\x00\x07\x08\x7f",
    "\x9b31m": r"\x9b31m",
    "\u202egpj.exe": r"\u202egpj.exe",
    "\u2066\u2069\u200e\u200f\u061c": r"\u2066\u2069\u200e\u200f\u061c",
    "\u2028\u2029": r"\u2028\u2029",
    "\ud800": r"\ud800",
    "\U000e0041": r"\U000e0041",
    "\ufeff\u200b": r"\ufeff\u200b",
}


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_what_a_terminal_would_obey_is_written_down(text):
    """Controls, bidi overrides, invisible characters and lone surrogates are shown as escapes."""
    assert shown.escaped(text) == EVIL[text]


@pytest.mark.parametrize(
    "text", ["", "plain", "Grüße, 世界", "\\x1b stays", "👩\u200d🚀", "नि\u200cर्क"]
)
def test_what_is_visible_stays(text):
    """Letters of all languages stay as they are."""
    assert shown.escaped(text) == text


def test_no_control_of_all_characters_passes():
    """Whatever Unicode calls a control, a format or a surrogate does not get through."""
    passed = "".join(shown.escaped(chr(code)) for code in range(0x110000))

    dangerous = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = {char for char in set(passed) if unicodedata.category(char) in dangerous}
    assert found == {"\u200c", "\u200d"}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a\x1b", r"a\x1b"),
        (b"", "[binary, 0 bytes]"),
        (b"\xff", "[binary, 1 byte] ff"),
        (b"\x00\x1b", "[binary, 2 bytes] 00 1b"),
        (bytes(65), "[binary, 65 bytes] " + "00 " * 64 + "..."),
    ],
)
def test_message_line(data, line):
    """Bytes are hex, and not more than fit on a screen."""
    assert shown.message_line(data) == line


def test_handshake_lines_keep_secrets_and_escape():
    """What -v tells has neither credentials nor controls; Latin-1 has C1 controls."""
    request = syncws.Request("/\x9b", {"Authorization": "Basic c2VjcmV0"})
    response = syncws.Response(101, {"Set-Cookie": "secret", "X": "\x9b31m"}, b"")

    assert shown.handshake_lines(request, response) == [
        r"> GET /\x9b HTTP/1.1",
        "> Authorization: ***",
        "< HTTP/1.1 101",
        "< Set-Cookie: ***",
        r"< X: \x9b31m",
    ]


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("hello", Send("hello")),
        ("", Send("")),
        (" /ping", Send(" /ping")),
        ("//ping", Send("/ping")),
        ("/ping", SendPing()),
        ("/binary 00 ff C0ffee", Send(b"\x00\xff\xc0\xff\xee")),
        ("/binary", Send(b"")),
        ("/close", Close()),
        ("/close 4000", Close(4000)),
        ("/close 4000  out of coffee", Close(4000, "out of coffee")),
        ("/help", Say(HELP)),
    ],
)
def test_typed_lines(line, action):
    """What is typed is a message, unless it begins with a slash."""
    assert action_of(line) == action


@pytest.mark.parametrize("line", ["/binary 0", "/binary xy", "/close now", "/close ²", "/nothing"])
def test_typed_mistakes_are_answered(line):
    """A command that cannot be understood sends nothing, and names what can be typed."""
    action = action_of(line)

    assert isinstance(action, Say)
    assert action.text.count("/") >= 1


def test_json_lines_keep_everything():
    """The data comes out of the JSON as it came; the line itself is plain ASCII."""
    for text in EVIL:
        line = records.json_line(records.message_record(text, 0.0, 1.5), timings=True)
        assert line.isprintable()
        assert line.isascii()
        assert json.loads(line) == {
            "time": "1970-01-01T00:00:00.000000+00:00",
            "elapsed": 1.5,
            "direction": "received",
            "kind": "text",
            "size": len(text.encode(errors="surrogatepass")),
            "data": text,
        }


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (BytesMessage(b"\x00\xff"), {"kind": "binary", "size": 2, "data": "AP8="}),
        (TextMessage("ü"), {"kind": "text", "size": 2, "data": "ü"}),
        (Ping(b"p"), {"kind": "ping", "size": 1, "data": base64.b64encode(b"p").decode()}),
        (Pong(b""), {"kind": "pong", "size": 0, "data": ""}),
        (CloseConnection(1001, "bye"), {"kind": "close", "code": 1001, "size": 3, "data": "bye"}),
        (CloseConnection(1006), {"kind": "close", "code": 1006, "size": 0, "data": ""}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_event_has_a_json_line(event, expected):
    """Kind, size and data of each; base64 where it is bytes."""
    told = json.loads(records.json_line(records.record_of(event, 1.0, 2.0), timings=False))

    assert {**told, **expected} == told
    assert set(told) == {"time", "direction", *expected}


def test_an_unknown_event_is_an_error():
    """Nothing is left out in silence."""
    with pytest.raises(TypeError, match="not an event"):
        records.record_of(Event(), 0.0, 0.0)


def test_text_lines():
    """One line a message, whatever is in it."""
    assert records.text_line(records.message_record("a\nb", 0, 0), timings=False) == r"a\nb"
    assert records.text_line(records.message_record(b"\x00\xff", 0, 0), timings=False) == "0x00ff"
    assert records.text_line(records.message_record("a", 0, 1.25), timings=True) == "1.250000 a"


def test_percentiles_are_values_that_were_there():
    """By nearest rank."""
    ordered = [float(number) for number in range(1, 101)]

    found = [figures.percentile(ordered, part) for part in (0, 1, 50, 99, 99.9, 100)]

    assert found == [1, 1, 50, 99, 100, 100]
    assert figures.percentile([7.0], 50) == 7


@pytest.mark.parametrize(
    "values", [[0.001], [0.5] * 3, [1e-6, 1.0], [k / 1000 for k in range(1, 99)]]
)
def test_the_histogram_loses_nothing(values):
    """Every value is in one bucket, between its bounds."""
    found = figures.buckets(sorted(values))

    assert sum(bucket.size for bucket in found) == len(values)
    assert (found[0].low, found[-1].high) == pytest.approx((min(values), max(values)))
    for before, after in zip(found, found[1:]):
        assert before.high == after.low


@pytest.mark.parametrize("width", [20, 80, 200])
def test_the_histogram_fits(width):
    """Lines are as wide as the terminal at most, the longest bar fills it."""
    lines = figures.histogram([0.001 * 1.1**k for k in range(50)], width)

    assert max(map(len, lines)) == max(width, max(len(line.rstrip("# ")) for line in lines) + 11)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 µs"), (4.2e-5, "42.0 µs"), (0.00123, "1.23 ms"), (0.5, "500 ms"), (12.34, "12.3 s")],
)
def test_durations(seconds, text):
    """Three digits are enough."""
    assert figures.duration(seconds) == text


def test_report():
    """The figures that scripts and people look for."""
    lines = figures.report([0.001, 0.002, 0.003], 2.0, 60)

    assert lines[0] == "3 round trips in 2.00 s: 2 messages/s"
    assert lines[1:4] == [
        "  minimum   1.00 ms",
        "  mean      2.00 ms",
        "  50 %      2.00 ms",
    ]


def closed(code):
    return syncws.ConnectionClosedError(syncws.Close(code, "\x1b"), None)


@pytest.mark.parametrize(
    ("exc", "code", "said"),
    [
        (UsageError("wrong\x1b"), Exit.USAGE, r"wrong\x1b"),
        (socket.gaierror(-2, "unknown"), Exit.CANNOT_CONNECT, "cannot connect: [Errno -2] unknown"),
        (ssl.SSLError(1, "bad\x9b"), Exit.CANNOT_CONNECT, None),
        (syncws.ProxyError("no"), Exit.CANNOT_CONNECT, "cannot connect: no"),
        (syncws.InvalidStatus(404), Exit.REFUSED, None),
        (syncws.InvalidMessage("\x1b"), Exit.REFUSED, r"refused: \x1b"),
        (closed(4000), Exit.CLOSED, r"closed: received 4000 (private use) \x1b"),
        (syncws.ConnectionClosedOK(syncws.Close(1001), None), Exit.OK, None),
        (TimeoutError("late"), Exit.TIMEOUT, "timeout: late"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, ""),
        (OutputGone(), Exit.BROKEN_PIPE, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(exc, code, said):
    """Each kind of end has its code; what is said has no controls in it."""
    found = verdict(exc)

    assert found[0] is code
    assert found[1].isprintable()
    assert said is None or found[1] == said


def test_a_bug_is_no_exit_code():
    """What nobody expects stays a traceback."""
    with pytest.raises(ZeroDivisionError):
        verdict(ZeroDivisionError())


def test_refusals_are_told():
    """Status, headers and the beginning of the body, for -v."""
    exc = syncws.InvalidStatus(403, [("X", "y")], b"<p>\x1b[2J\r\nno" + bytes(1000))

    told = refusal(exc)

    assert told[:3] == ["< HTTP/1.1 403", "< X: y", r"< <p>\x1b[2J"]
    assert told[3].startswith(r"< no\x00\x00")
    assert len(told) == 4
    assert len(told[3]) < 4 * 300
    assert refusal(ValueError()) == []


def test_help_tells_all_exit_codes():
    """The codes stand in the help of each command."""
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (arguments.seconds, {"1": 1, "0.5": 0.5}, ["0", "-1", "x", "nan", "inf", ""]),
        (arguments.seconds_or_never, {"0": None, "2": 2}, ["-1", "nan"]),
        (arguments.count, {"1": 1, "20": 20}, ["0", "-1", "1.5", "²", ""]),
        (arguments.size, {"0": 0, "20": 20}, ["-1", "1k", ""]),
        (arguments.port, {"0": 0, "65535": 65535}, ["65536", "-1", "http"]),
        (arguments.header, {"A: b": ("A", "b"), "A:b:c": ("A", "b:c")}, ["A", ""]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_arguments_are_checked(read, good, bad):
    """What cannot be meant is refused by argparse, which tells which argument it was."""
    assert {text: read(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)


def test_a_header_that_is_refused_is_not_told():
    """It may be a password."""
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        arguments.header("Bearer secret")

    assert "secret" not in str(caught.value)
