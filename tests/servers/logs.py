"""What stands in a server's log that should not, and what should."""

from __future__ import annotations

import re
from collections import Counter

# What the handler does when it is told to: the whole traceback, and what servers say around it.
_ON_PURPOSE = re.compile(
    r"(?:^.*(?:the handler failed|Error handling request (?:GET )?/view|Error on request:"
    r"|Exception on /view \[GET\]|Internal Server Error: /view|ValueError\('on purpose'\))\n)?"
    r"^Traceback \(most recent call last\):\n(?:[ \t].*\n)+ValueError: on purpose\n"
    r"(?:.* failed with ValueError\n)?",
    re.MULTILINE,
)
# What servers say about themselves, and would without us; and what we say to refuse a client.
_EXPECTED = re.compile(
    r"INFO syncws\.server: opening handshake failed: .*"
    r"|WARNING django.request: Not Found: .*"
    r"|.*EventletDeprecationWarning.*"
    r"|.*DeprecationWarning: Using fork\(\) is a bad idea, and.*eventlet will work.*"
    r"|.*DeprecationWarning: This process \(pid=\d+\) is multi-threaded, use of fork\(\) may .*"
    r"|  warnings.warn\("
    # Its listening socket, when gunicorn ends.
    r"|(?:<sys>:0|sys:1): ResourceWarning: "
    r"unclosed <socket.socket fd=[3-6], [^>]*proto=0(, laddr=[^>]*)?>$"
    # mpm_event, when a child ends whose clients have not closed yet.
    r"|.*\[mpm_event:error\].*AH03092: process_lingering_close: apr_pollset_add failure"
    # gunicorn 23 repeats its signal while a worker is at its very end.
    r"|.*Worker \(pid:\d+\) was sent SIGTERM!"
    r"|ResourceWarning: Enable tracemalloc to get.*"
    r"|.*WARNING: This is a development server.*"
    r"|.*WARNING: you are running uWSGI as root.*",
    re.MULTILINE,
)
_ODD = re.compile(
    r"traceback|warning|error|exception|critical|broken pipe|bad file|ebadf|already registered"
    r"|failed|fatal|segfault|hijack|unclosed|mercy.*killed",
    re.IGNORECASE,
)
_ACCESS = re.compile(r"GET (/\S*)(?: HTTP/1\.\d\S*\"| => .*\(HTTP/1\.\d) (\d{3})")


def oddities(text: str) -> list[str]:
    """List the lines that speak of something that went wrong."""
    lines = _ON_PURPOSE.sub("", _EXPECTED.sub("", text)).splitlines()
    return [line for line in lines if _ODD.search(line)]


def tracebacks_on_purpose(text: str) -> int:
    """Count the tracebacks of handlers that were told to raise."""
    return len(_ON_PURPOSE.findall(text))


def accesses(text: str) -> Counter[tuple[str, str]]:
    """Count what the access log says, by path and status."""
    plain = re.sub(r"\x1b\[\d*m", "", text)
    return Counter(_ACCESS.findall(plain))
