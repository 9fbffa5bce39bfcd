"""From arguments to the options of connect() and ThreadingServer."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import logging
import ssl
import sys
from collections.abc import Iterator
from typing import Any

from .. import Connection, DigestAuth, connect
from ..events import WebSocket
from .exits import UsageError
from .output import EscapingFormatter, notice, warn
from .shown import handshake_lines

_INSECURE = """
*** --insecure: the server's certificate is not checked. Whoever answers is taken for the
*** server, and anybody on the way can read and change everything, passwords included."""


@contextlib.contextmanager
def as_usage() -> Iterator[None]:
    """
    Take what connect() and ThreadingServer say about arguments for mistakes on the command line.

    Raises:
        UsageError: instead of them.
    """
    try:
        yield
    except ssl.SSLError:  # some of them are ValueErrors
        raise
    except (ValueError, ImportError) as exc:
        raise UsageError(str(exc)) from exc


def open_connection(args: argparse.Namespace) -> Connection:
    """
    Connect as the arguments say, and take events from the first on. Blocks as ``connect()`` does.

    Raises:
        UsageError: they cannot be used.
        Exception: as ``connect()``.
    """
    options = client_options(args)
    with as_usage():
        connection = connect(args.url, create_connection=WebSocket, **options)
    tell_handshake(args, connection)
    return connection


def tell_handshake(args: argparse.Namespace, connection: Connection) -> None:
    """Tell who asks for it what was agreed on."""
    if args.verbose:
        for line in handshake_lines(connection.request, connection.response):
            notice(line)


def client_options(args: argparse.Namespace) -> dict[str, Any]:
    """
    Return the arguments of connect(). Asks for a password that is missing.

    Raises:
        UsageError: they cannot be used.
    """
    return {
        "additional_headers": args.headers,
        "origin": args.origin,
        "auth": _auth(args),
        "ssl": _client_context(args),
        "proxy": None if args.no_proxy else args.proxy or True,
        **protocol_options(args),
    }


def protocol_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that connect() and ThreadingServer share."""
    return {
        "subprotocols": args.subprotocols,
        "compression": None if args.no_compression else "deflate",
        "max_size": args.max_size or None,
        "open_timeout": args.open_timeout,
        "close_timeout": args.close_timeout,
        "ping_interval": args.ping_interval,
    }


def server_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """
    Return the TLS settings of a server, if it has a certificate.

    Raises:
        UsageError: a file cannot be used.
    """
    if args.cert is None:
        _need(args.key is None, "--key needs --cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load_certificate(context, args)
    return context


def log_to_stderr(verbose: int, server: bool) -> None:
    """Show the library's log: with -v what a server does, with -vv every frame."""
    level = (logging.ERROR, logging.INFO if server else logging.ERROR, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(name)s: %(message)s"))
    logging.getLogger("syncws").addHandler(handler)
    logging.getLogger("syncws").setLevel(level[min(verbose, 2)])


def _auth(args: argparse.Namespace) -> Any:
    if args.auth is None:
        _need(not args.digest, "--digest needs --auth")
        return None
    user, colon, password = args.auth.partition(":")
    if not colon:
        _need(sys.stdin.isatty(), "--auth without a password asks for it, which needs a terminal")
        password = getpass.getpass(f"Password of {user}: ")
    return DigestAuth(user, password) if args.digest else (user, password)


def _client_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    asked = [f"--{name}" for name in ("cacert", "cert", "key", "insecure") if getattr(args, name)]
    if not asked:
        return None
    _need(args.url.lower().startswith("wss:"), f"{asked[0]} is for TLS: use a wss:// URL")
    _need(args.cert is not None or args.key is None, "--key needs --cert")
    with _files(args.cacert):
        context = ssl.create_default_context(cafile=args.cacert)
    context.set_alpn_protocols(["http/1.1"])
    if args.cert is not None:
        _load_certificate(context, args)
    if args.insecure:
        warn(_INSECURE.strip())
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_certificate(context: ssl.SSLContext, args: argparse.Namespace) -> None:
    with _files(args.cert, args.key):
        context.load_cert_chain(args.cert, args.key)


@contextlib.contextmanager
def _files(*names: str | None) -> Iterator[None]:
    """Take what is wrong with PEM files for a mistake on the command line, and name them."""
    try:
        yield
    except OSError as exc:  # ssl.SSLError, too
        shown = " or ".join(name for name in names if name is not None)
        raise UsageError(f"cannot use {shown}: {exc.strerror or exc}") from exc


def _need(fact: bool, otherwise: str) -> None:
    if not fact:
        raise UsageError(otherwise)
