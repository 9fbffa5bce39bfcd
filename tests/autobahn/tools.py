"""The two programs that hold the Autobahn cases: how to install and how to start each.

wstest is the reference and needs Python 2.7. kosoku runs the same case files on Python 3 and is the
way out where there is no Python 2.7.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import HOST

HERE = Path(__file__).resolve().parent
AGENT = "syncws"  # names the peer under test in the reports

# More patient than wstest's defaults of one second, so that a busy machine does not make a clean
# close look unclean.
SERVER_OPTIONS = {"failByDrop": False, "closeHandshakeTimeout": 5}
CLIENT_OPTIONS = {**SERVER_OPTIONS, "serverConnectionDropTimeout": 5}

PYTHON3_FOR_KOSOKU = "import sys; assert sys.version_info >= (3, 10); print(sys.executable)"
PYTHON2_FOR_WSTEST = "import sys; assert sys.version_info[:2] == (2, 7); print(sys.executable)"


class SetupError(Exception):
    """A tool cannot be had on this machine; the text says why and what to do."""


class Wstest:
    """The Autobahn testsuite itself."""

    name = "wstest"

    def __init__(self, env_dir: Path) -> None:
        self.env = env_dir / "wstest-25.10.1"
        self.python = self.env / "bin" / "python"

    def is_ready(self) -> bool:
        return _answer([str(self.python), "-c", "import autobahntestsuite.wstest"]) is not None

    def setup(self) -> None:
        python2 = find_python2()
        if python2 is None:
            raise SetupError(
                "wstest needs Python 2.7, and there is none on PATH or in pyenv:"
                " install one, or use --tool kosoku"
            )
        boot = self.env.with_name("virtualenv")
        _make_venv(sys.executable, boot)
        # The last virtualenv that can make environments for Python 2.7.
        _install(boot / "bin" / "python", ["virtualenv==20.21.1"])
        shutil.rmtree(self.env, ignore_errors=True)
        _run([str(boot / "bin" / "virtualenv"), "-q", "-p", python2, str(self.env)])
        _install(self.python, ["-r", str(HERE / "requirements-py27.txt")])

    def fuzz_server(self, cases: Sequence[str], port: int, folder: Path) -> list[str]:
        """The command that runs `cases` against the echo server on `port`."""
        target = {"agent": AGENT, "url": f"ws://{HOST}:{port}"}
        spec = {"servers": [target], "options": CLIENT_OPTIONS}
        return self._command("fuzzingclient", spec, cases, folder)

    def fuzz_clients(self, cases: Sequence[str], port: int, folder: Path) -> list[str]:
        """The command that listens on `port` and runs `cases` against the client that comes."""
        spec = {"url": f"ws://{HOST}:{port}", "options": SERVER_OPTIONS}
        return self._command("fuzzingserver", spec, cases, folder)

    def _command(
        self, mode: str, spec: Mapping[str, object], cases: Sequence[str], folder: Path
    ) -> list[str]:
        common = {"outdir": str(folder), "cases": list(cases), "exclude-cases": []}
        path = folder / "spec.json"
        path.write_text(json.dumps({**spec, **common, "exclude-agent-cases": {}}, indent=2))
        launcher = str(HERE / "wstest_on_loopback.py")
        # --webport 0: no web server beside the WebSocket server.
        return [str(self.python), "-u", launcher, "-m", mode, "--webport", "0", "-s", str(path)]


class Kosoku:
    """A young port of the testsuite's runner; the cases are Autobahn's own."""

    name = "kosoku"

    def __init__(self, env_dir: Path) -> None:
        self.env = env_dir / "kosoku-0.1.0"
        self.python = self.env / "bin" / "python"

    def is_ready(self) -> bool:
        return _answer([str(self.python), "-c", "import kosoku"]) is not None

    def setup(self) -> None:
        python3 = find_python3_for_kosoku()
        if python3 is None:
            raise SetupError("kosoku needs Python 3.10 or newer on PATH: install one")
        _make_venv(python3, self.env)
        _install(self.python, ["kosoku==0.1.0"])

    def fuzz_server(self, cases: Sequence[str], port: int, folder: Path) -> list[str]:
        return self._command("fuzzingclient", cases, port, folder)

    def fuzz_clients(self, cases: Sequence[str], port: int, folder: Path) -> list[str]:
        return self._command("fuzzingserver", cases, port, folder)

    def _command(self, mode: str, cases: Sequence[str], port: int, folder: Path) -> list[str]:
        includes = [part for case in cases for part in ("-i", case)]
        kosoku = str(self.env / "bin" / "kosoku")
        return [kosoku, "-m", mode, *includes, "-o", str(folder), f"{HOST}:{port}"]


def choose_tool(choice: str, env_dir: Path) -> Wstest | Kosoku:
    """The tool that `--tool` asks for; "auto" prefers wstest where it can be had."""
    wstest = Wstest(env_dir)
    if choice == "wstest":
        return wstest
    if choice == "auto" and (wstest.is_ready() or find_python2() is not None):
        return wstest
    return Kosoku(env_dir)


def find_python2() -> str | None:
    found = _answer(["python2.7", "-c", PYTHON2_FOR_WSTEST])
    if found is not None or shutil.which("pyenv") is None:
        return found
    versions = (_answer(["pyenv", "versions", "--bare"]) or "").split()
    for version in versions:
        if version.startswith("2.7."):
            prefix = _answer(["pyenv", "prefix", version])
            return _answer([f"{prefix}/bin/python2.7", "-c", PYTHON2_FOR_WSTEST])
    return None


def find_python3_for_kosoku() -> str | None:
    names = [sys.executable, "python3", *(f"python3.{minor}" for minor in range(10, 20))]
    answers = (_answer([name, "-c", PYTHON3_FOR_KOSOKU]) for name in names)
    return next((answer for answer in answers if answer), None)


def _answer(command: list[str]) -> str | None:
    """What `command` prints, or None where it is missing or fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _make_venv(python: str, folder: Path) -> None:
    _run([python, "-m", "venv", "--clear", str(folder)])


def _install(python: Path, what: list[str]) -> None:
    _run([str(python), "-m", "pip", "install", "-qq", *what])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"a step of the set-up failed (its output is above): {error}") from error
