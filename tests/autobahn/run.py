"""Run the Autobahn testsuite against syncws's server, its client, or both.

    python tests/autobahn/run.py both --quick       sections 1-7 and 10, some of 12 and 13
    python tests/autobahn/run.py both               all sections; takes long
    python tests/autobahn/run.py server --cases '7.*,9.1.?'
    python tests/autobahn/run.py setup              only make the tool's environment

Exits with 0 where every selected case was run and is OK, NON-STRICT or INFORMATIONAL; with 1 where
one is not; with 2 where the run could not be made.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Union

import cases
import report
from processes import HOST, Child, ChildError, free_port, running
from tools import AGENT, HERE, Kosoku, SetupError, Wstest, choose_tool

Tool = Union[Wstest, Kosoku]

REPORT_LIMIT = 20.0  # seconds for kosoku to write its report and end


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=["setup", "server", "client", "both"])
    add("--quick", action="store_true", help="leave out 9 and most of 12 and 13, the slow ones")
    add("--cases", metavar="IDS", help="these only, e.g. '7.*,9.1.?'; overrides --quick")
    add("--jobs", type=int, default=2, help="fuzzers side by side (default: %(default)s)")
    add("--tool", choices=["auto", "wstest", "kosoku"], default="auto")
    add("--limit", type=float, default=3600, help="seconds for each direction (%(default)s)")
    add("--reports", type=Path, default=Path("autobahn-reports"), help="default: %(default)s")
    add("--env-dir", type=Path, default=Path.home() / ".cache" / "syncws-autobahn")
    add("--server-script", type=Path, default=HERE / "echo_server.py", help="the echo server")
    add("--client-script", type=Path, default=HERE / "echo_client.py", help="the echo client")
    arguments = parser.parse_args()
    try:
        arguments.selected = selection(arguments.cases, arguments.quick)
    except ValueError as error:
        parser.error(str(error))
    if arguments.jobs < 1:
        parser.error(f"--jobs must be 1 or more, not {arguments.jobs}")
    return arguments


def selection(patterns: str | None, quick: bool) -> list[str]:
    if patterns:
        return cases.select([pattern.strip() for pattern in patterns.split(",")])
    return cases.quick() if quick else cases.select(["*"])


def prepare(tool: Tool) -> None:
    if not tool.is_ready():
        print(f"making the environment of {tool.name} in {tool.env} (about a minute, once)")
        tool.env.parent.mkdir(parents=True, exist_ok=True)
        tool.setup()
    print(f"{tool.name} is ready in {tool.env}", flush=True)


def split(selected: Sequence[str], jobs: int, folder: Path) -> dict[Path, Sequence[str]]:
    """A fresh report folder for each fuzzer, with its share of the cases."""
    shutil.rmtree(folder, ignore_errors=True)
    shares = {}
    for number in range(min(jobs, len(selected))):
        share = (folder / str(number)).resolve()
        share.mkdir(parents=True)
        shares[share] = selected[number::jobs]
    return shares


def fuzz_server(
    tool: Tool, shares: dict[Path, Sequence[str]], script: Path, deadline: float
) -> list[ChildError]:
    """Let fuzzing clients loose on one echo server. Returns what went wrong around the cases."""
    with ExitStack() as stack:
        log = next(iter(shares)).parent / "server.log"
        command = [sys.executable, str(script)]
        server = stack.enter_context(running("the echo server", command, log))
        port = server.wait_for_printed_port()
        fuzzers = []
        for folder, share in shares.items():
            command = tool.fuzz_server(share, port, folder)
            fuzzers.append(stack.enter_context(running(tool.name, command, folder / "log")))
        late = wait_for_all(fuzzers, deadline)
        if server.status is not None:
            late.append(server.failure(f"ended early with status {server.status}"))
    return late


def fuzz_client(
    tool: Tool, shares: dict[Path, Sequence[str]], script: Path, deadline: float
) -> list[ChildError]:
    """Give each fuzzing server its own echo client. Returns what went wrong around the cases."""
    with ExitStack() as stack:
        ports = {}
        fuzzers = []
        for folder, share in shares.items():
            ports[folder] = port = free_port()
            command = tool.fuzz_clients(share, port, folder)
            fuzzers.append(stack.enter_context(running(tool.name, command, folder / "log")))
        for fuzzer, port in zip(fuzzers, ports.values()):
            fuzzer.wait_until_listening(port)
        clients = []
        for folder, port in ports.items():
            command = [sys.executable, str(script), f"ws://{HOST}:{port}", AGENT]
            log = folder / "client.log"
            clients.append(stack.enter_context(running("the echo client", command, log)))
        problems = wait_for_all(clients, deadline)
        problems += [
            client.failure(f"ended with status {client.status}")
            for client in clients
            if client.status
        ]
        if isinstance(tool, Kosoku) and not problems:
            wait_for_all(fuzzers, time.monotonic() + REPORT_LIMIT)
    return problems


def wait_for_all(children: Sequence[Child], deadline: float) -> list[ChildError]:
    return [
        child.failure("did not end within the time limit (--limit)")
        for child in children
        if not child.wait(deadline)
    ]


def run_direction(arguments: argparse.Namespace, tool: Tool, what: str) -> bool:
    """One direction from start to verdict; True where all is well."""
    folder = arguments.reports / what
    shares = split(arguments.selected, arguments.jobs, folder)
    started = time.monotonic()
    deadline = started + arguments.limit
    if what == "server":
        problems = fuzz_server(tool, shares, arguments.server_script, deadline)
    else:
        problems = fuzz_client(tool, shares, arguments.client_script, deadline)
    seconds = time.monotonic() - started
    results = report.read(shares)
    print(f"\n{what} under test, {tool.name}, {seconds:.0f} s, reports in {folder}\n")
    print("\n".join(report.table(arguments.selected, results)), end="\n\n")
    print("\n".join(report.remarks(arguments.selected, results)))
    for problem in problems:
        print(problem)
    bad = [case for case in arguments.selected if not report.is_good(results.get(case))]
    passed = not bad and not problems
    print(f"{what}: {'passed' if passed else f'FAILED, {len(bad)} bad cases'}", flush=True)
    return passed


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the children end too
    arguments = parse_arguments()
    directions = {"setup": [], "both": ["server", "client"]}.get(arguments.what, [arguments.what])
    tool = choose_tool(arguments.tool, arguments.env_dir.expanduser().resolve())
    try:
        prepare(tool)
        passed = [run_direction(arguments, tool, what) for what in directions]
    except (SetupError, ChildError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
