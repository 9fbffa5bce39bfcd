"""The command line's arguments, and what ``--help`` says about them."""

from __future__ import annotations

import argparse
import textwrap

from .. import __version__
from .exits import MEANINGS

_WIDTH = 88


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the name of the command in ``command``."""
    top = argparse.ArgumentParser(
        prog="syncws",
        description="Talk WebSocket: by hand, in scripts, as an echo server, or with a stopwatch.",
        epilog=_epilog("""
            examples:
              syncws connect ws://localhost:8765
              syncws connect --exec hello wss://example.com/
              syncws dump --json --count 10 wss://example.com/feed | jq .data
              syncws echo-server --port 8765
              syncws bench -n 10 ws://localhost:8765

            syncws COMMAND --help tells the rest.
        """),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"syncws {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _connect(commands)
    _dump(commands)
    _echo_server(commands)
    _bench(commands)
    return top


def _connect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(
        commands,
        "connect",
        "talk to a server by hand",
        """
        Type a line to send it; what comes appears above the prompt. /help tells the commands.
        From a pipe each line is sent, and at its end the answers are waited for. What a server
        could use to trick a terminal is written down as \\x1b and the like.
        """,
    )
    made.add_argument(
        "--exec",
        action="append",
        metavar="TEXT",
        dest="lines",
        help="do as if TEXT was typed, wait for an answer, and leave; repeatable",
    )
    made.add_argument(
        "--timeout",
        type=seconds_or_never,
        default=10.0,
        metavar="S",
        help="with --exec, and at the end of a pipe: wait at most S seconds for as many answers as "
        "there were messages (default: 10); 0: do not wait",
    )
    _client_options(made)


def _dump(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(
        commands,
        "dump",
        "write what a server sends, for scripts",
        """
        One message a line, at once. Line ends and other controls in a message are written as
        \\n and \\x1b, bytes as 0x00ff; --json keeps everything exactly as it came.
        """,
    )
    made.add_argument(
        "--json",
        action="store_true",
        help="a JSON object a line, also for Pings, Pongs, the opening and the end: time, "
        "direction, kind, size, data (base64 if binary), code (of a close)",
    )
    made.add_argument(
        "--timings", action="store_true", help="tell the seconds since the connection was opened"
    )
    made.add_argument("--count", type=count, metavar="N", help="leave after N messages")
    made.add_argument(
        "--timeout", type=seconds, metavar="S", help="leave after S seconds without a message"
    )
    made.add_argument(
        "--stdin", action="store_true", help="send each line of standard input as a message"
    )
    made.add_argument(
        "--reconnect", action="store_true", help="connect again whenever the connection is lost"
    )
    _client_options(made)


def _echo_server(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(
        commands,
        "echo-server",
        "send every message back",
        "Ctrl-C ends it: clients are told 1001 (going away).",
    )
    made.add_argument("--host", default="localhost", help="where to listen (default: localhost)")
    made.add_argument(
        "--port", type=port, default=8765, help="default: 8765; 0 takes one that is free"
    )
    made.add_argument("--cert", metavar="FILE", help="PEM file with the certificate; makes it wss")
    made.add_argument("--key", metavar="FILE", help="PEM file with its key, if that is apart")
    made.add_argument(
        "--any-origin", action="store_true", help="let pages of any website connect, not ours only"
    )
    _protocol_options(made)


def _bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = _command(
        commands,
        "bench",
        "measure round trips",
        """
        Each connection sends a message, waits for the answer, and so on. The server has to
        answer each message with one, as syncws echo-server does.
        """,
    )
    made.add_argument(
        "-n", "--connections", type=count, default=1, metavar="N", help="at a time (default: 1)"
    )
    made.add_argument(
        "--messages",
        type=count,
        default=1000,
        metavar="N",
        help="round trips of each connection (default: 1000)",
    )
    made.add_argument(
        "--size", type=size, default=32, metavar="BYTES", help="of a message (default: 32)"
    )
    made.add_argument(
        "--binary", action="store_true", help="send Binary messages instead of Text ones"
    )
    made.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="S",
        help="for each round trip (default: 10)",
    )
    _client_options(made)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code.value:<4} {text}" for code, text in MEANINGS.items())
    made = commands.add_parser(
        name,
        help=summary,
        description="\n".join(textwrap.wrap(" ".join(description.split()), _WIDTH)),
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="tell the opening handshake (without passwords) and what goes on; -vv: every frame",
    )
    return made


def _client_options(made: argparse.ArgumentParser) -> None:
    """Add the arguments that all clients share."""
    made.add_argument("url", metavar="URL", help="ws://HOST:PORT/PATH or wss://...")
    asked = made.add_argument_group("the request")
    asked.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=header,
        metavar="'NAME: VALUE'",
        dest="headers",
        help="a header field; repeatable",
    )
    asked.add_argument("--origin", help="the Origin header, as a browser would send it")
    asked.add_argument(
        "--auth",
        metavar="USER[:PASSWORD]",
        help="for Basic authentication; a password that is not given is asked for",
    )
    asked.add_argument(
        "--digest", action="store_true", help="use --auth for Digest authentication instead"
    )
    secure = made.add_argument_group("TLS, for wss://")
    secure.add_argument("--cacert", metavar="FILE", help="PEM file with who may certify the server")
    secure.add_argument("--cert", metavar="FILE", help="PEM file with our certificate")
    secure.add_argument("--key", metavar="FILE", help="PEM file with its key, if that is apart")
    secure.add_argument(
        "--insecure", action="store_true", help="DANGER: talk to anybody who answers"
    )
    way = made.add_argument_group("the way").add_mutually_exclusive_group()
    way.add_argument(
        "--proxy",
        metavar="URL",
        help="http://, https:// or socks5://..., also with USER:PASSWORD@; by default the one of "
        "the environment or the system",
    )
    way.add_argument("--no-proxy", action="store_true", help="use no proxy")
    _protocol_options(made)


def _protocol_options(made: argparse.ArgumentParser) -> None:
    """Add the arguments of both ends."""
    spoken = made.add_argument_group("the protocol")
    spoken.add_argument(
        "--subprotocol",
        action="append",
        metavar="NAME",
        dest="subprotocols",
        help="a subprotocol; repeatable, in order of preference",
    )
    spoken.add_argument("--no-compression", action="store_true", help="do not compress")
    spoken.add_argument(
        "--max-size",
        type=size,
        default=2**20,
        metavar="BYTES",
        help="of a received message (default: 1048576); 0: no limit",
    )
    spoken.add_argument(
        "--open-timeout",
        type=seconds,
        default=10.0,
        metavar="S",
        help="for the opening handshake, with DNS, TCP, proxy and TLS (default: 10)",
    )
    spoken.add_argument(
        "--close-timeout",
        type=seconds,
        default=10.0,
        metavar="S",
        help="for the closing handshake (default: 10)",
    )
    spoken.add_argument(
        "--ping-interval",
        type=seconds_or_never,
        default=20.0,
        metavar="S",
        help="between the Pings that ask whether the peer is alive (default: 20); 0: never",
    )


def seconds(text: str) -> float:
    """
    Read a time limit.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = seconds_or_never(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text} is no time limit; give more than 0 seconds")
    return value


def seconds_or_never(text: str) -> float | None:
    """
    Read a time limit, with 0 for none.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value or None


def count(text: str) -> int:
    """
    Read how many.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def size(text: str) -> int:
    """
    Read a number of bytes.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes")
    return int(text)


def port(text: str) -> int:
    """
    Read a port.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def header(text: str) -> tuple[str, str]:
    """
    Read a header field.

    Raises:
        argparse.ArgumentTypeError: it has no colon. The text is not told, it may be a password.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("a header field is written 'NAME: VALUE', with a colon")
    return name.strip(), value.strip()


def _epilog(text: str) -> str:
    return textwrap.dedent(text).strip()
