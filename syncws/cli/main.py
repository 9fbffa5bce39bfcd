"""The script ``syncws``: what to do, and with which exit code it ended."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Callable

from .arguments import parser
from .benching import run as bench
from .dumping import run as dump
from .echoing import run as echo_server
from .exits import Exit, refusal, verdict
from .opening import log_to_stderr
from .output import discard_output, notice, prepare_streams
from .talking import run as talk

_COMMANDS: dict[str, Callable[[argparse.Namespace], Exit]] = {
    "connect": talk,
    "dump": dump,
    "echo-server": echo_server,
    "bench": bench,
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Do what the command line says, and return the exit code; blocks until it is done.

    Args:
        argv: the arguments; those of the process if it is ``None``.

    Raises:
        SystemExit: the arguments cannot be used, or ask for help or the version only.
    """
    prepare_streams()
    args = parser().parse_args(argv)
    log_to_stderr(args.verbose, server=args.command == "echo-server")
    try:
        return _COMMANDS[args.command](args)
    except BaseException as exc:
        code, said = verdict(exc)
        for line in refusal(exc) if args.verbose else ():
            notice(line)
        if said:
            notice(f"syncws: {said}")
        if code is Exit.BROKEN_PIPE:
            discard_output()
        return code
