"""A real terminal: tmux, with a command in it; the test types and looks at the screen."""

from __future__ import annotations

import contextlib
import pathlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from peers.remotes import missing
from support.command import environment
from support.threads import eventually

# The shell stays, so that the last screen can be seen; Ctrl-C is for the command only.
_SCRIPT = 'trap : INT; {command}; code=$?; echo; echo "exit code $code"; exec sleep 3600'


class Terminal:
    """One terminal of 100 columns and 30 lines."""

    def __init__(self, socket: pathlib.Path) -> None:
        self._socket = socket

    def start(self, command: list[str], variables: dict[str, str]) -> None:
        """Run a command."""
        script = _SCRIPT.format(command=shlex.join(command))
        size = ["-x", "100", "-y", "30"]
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, "sh", "-c", script, env=variables)

    def tmux(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Tell tmux something; return what it answers."""
        command = ["tmux", "-u", "-S", str(self._socket), *arguments]
        done = subprocess.run(
            command, env=env, capture_output=True, encoding="utf-8", timeout=20, check=True
        )
        return done.stdout

    def type(self, text: str) -> None:
        """Type these characters."""
        self.tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by their names in tmux: "Enter", "Up", "C-c"."""
        self.tmux("send-keys", *keys)

    @property
    def lines(self) -> list[str]:
        """What the screen shows, without empty lines."""
        shown = self.tmux("capture-pane", "-p").splitlines()
        return [line.rstrip() for line in shown if line.strip()]

    def shows(self, *expected: str) -> None:
        """Wait until the screen has these lines, in this order and perhaps with others between."""

        def there() -> bool:
            lines = iter(self.lines)
            return all(line in lines for line in expected)

        self._eventually(there, f"the lines {expected}")

    def ends_with(self, *expected: str) -> None:
        """Wait until these are the last lines of the screen."""
        self._eventually(
            lambda: self.lines[-len(expected) :] == list(expected), f"the last lines {expected}"
        )

    def has(self, text: str) -> None:
        """Wait until this text is somewhere on the screen."""
        self._eventually(lambda: text in "\n".join(self.lines), repr(text))

    def _eventually(self, fact, what: str) -> None:
        try:
            eventually(fact, what)
        except AssertionError as exc:
            raise AssertionError("\n".join([f"{exc}; the screen:", *self.lines])) from None


@contextlib.contextmanager
def terminal(command: list[str], *first: object) -> Iterator[Terminal]:
    """Yield a terminal in which a command runs, with these folders before others on its path."""
    if shutil.which("tmux") is None:
        missing("tmux", "apt-get install tmux")
    # A short path: that of a socket has little room.
    with tempfile.TemporaryDirectory() as folder:
        made = Terminal(pathlib.Path(folder) / "tmux")
        variables = {**environment(*first), "LC_ALL": "C.UTF-8"}
        variables.pop("TMUX", None)
        made.start(command, variables)
        try:
            yield made
        finally:
            made.tmux("kill-server")


def without(folder: pathlib.Path, *modules: str) -> pathlib.Path:
    """Return a folder that hides these modules from a program that finds it on its path first."""
    for module in modules:
        text = f"raise ImportError('{module} is hidden by the test')\n"
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return folder
