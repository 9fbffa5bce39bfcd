"""``syncws echo-server``: every message goes back to who sent it."""

from __future__ import annotations

import argparse
import contextlib
import signal

from .. import SAME_ORIGIN, Connection, ThreadingServer
from .exits import Exit, UsageError
from .opening import as_usage, protocol_options, server_context
from .output import out


def run(args: argparse.Namespace) -> Exit:
    """
    Serve until Ctrl-C or SIGTERM, and return the exit code.

    Raises:
        UsageError: the arguments cannot be used, or the address cannot be listened on.
    """
    context = server_context(args)
    scheme = "ws" if context is None else "wss"
    shown = f"[{args.host}]" if ":" in args.host else args.host
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with as_usage():
            server = ThreadingServer(
                _echo,
                args.host,
                args.port,
                ssl=context,
                origins=None if args.any_origin else SAME_ORIGIN,
                **protocol_options(args),
            )
    except OSError as exc:
        raise UsageError(f"cannot listen on {shown}:{args.port}: {exc}") from exc
    with contextlib.suppress(KeyboardInterrupt), server:
        out(f"listening on {scheme}://{shown}:{server.server_address[1]}")
        server.serve_forever()
    return Exit.OK


def _echo(ws: Connection) -> None:
    for message in ws:
        ws.send(message)
