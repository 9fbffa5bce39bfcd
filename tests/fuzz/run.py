"""Fuzz the frame decoder in C, with the one in Python as its specification.

    python tests/fuzz/run.py                        a minute; what it finds goes into corpus/
    python tests/fuzz/run.py --seconds 3600 --jobs 4
    python tests/fuzz/run.py --minimize             only the seeds, and what covers more than they
    python tests/fuzz/run.py crash-...              try these inputs only

Needs clang with libFuzzer (Debian: apt-get install clang libclang-rt-14-dev), and a Python with its
headers and its library in which syncws's dependencies are installed. Exits with 0 where nothing was
found; with 1 where something was: the inputs are in the folder that --output names. Exits with 2
where the run could not be made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INTERRUPTED = 72  # libFuzzer's exit status after Ctrl-C

LIMITS = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=2048", "-detect_leaks=0"]
ASAN_OPTIONS = ":".join(
    [
        "max_allocation_size_mb=64",  # for a codec that allocates what a header declares
        "detect_leaks=0",  # Python never frees all it has; the harness looks for leaks itself
        "quarantine_size_mb=64",
        "malloc_context_size=6",
    ]
)

# The octets that headers are made of.
DICTIONARY = [
    *(bytes([first, second]) for first in (0x81, 0x82) for second in (0x7E, 0x7F, 0xFE, 0xFF)),
    *(bytes([opcode | fin]) for opcode in (0, 1, 2, 8, 9, 10) for fin in (0, 0x80)),
    b"\x00\x7e",
    b"\x01\x00",
    bytes(5) + b"\x01\x00\x00",
    b"\x7f" + b"\xff" * 7,
    b"\x80" + bytes(7),
]

SYSCONFIG = """
import json, sysconfig
names = "LIBDIR LIBPL LIBRARY LDVERSION LIBS SYSLIBS LINKFORSHARED Py_ENABLE_SHARED".split()
values = {name: sysconfig.get_config_var(name) for name in names}
print(json.dumps({**values, "include": sysconfig.get_path("include")}))
"""


class RunError(Exception):
    """The run could not be made."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("inputs", nargs="*", type=Path, help="try these only, with all that can be said about them")
    add("--seconds", type=int, default=60, help="default: %(default)s")
    add("--jobs", type=int, default=1, help="fuzzers side by side (default: %(default)s)")
    add("--minimize", action="store_true", help="do not fuzz, but drop what covers nothing new")
    add("--corpus", type=Path, default=HERE / "corpus", help="default: corpus, next to this file")
    add("--output", type=Path, default=Path("fuzz-findings"), help="default: %(default)s")
    add("--root", type=Path, default=ROOT, help="the folder that holds the package")
    add("--source", type=Path, help="default: syncws/sansio/_speedups.c below the root")
    add("--python", default=sys.executable, help="default: the one that runs this")
    add("--clang", default=os.environ.get("CLANG", "clang"), help="default: $CLANG, or clang")
    arguments = parser.parse_args()
    if arguments.seconds < 1 or arguments.jobs < 1:
        parser.error("--seconds and --jobs must be 1 or more")
    arguments.root = arguments.root.resolve()
    arguments.source = arguments.source or arguments.root / "syncws" / "sansio" / "_speedups.c"
    return arguments


def build(arguments: argparse.Namespace, folder: Path) -> Path:
    """Compile the harness, with the codec and sanitizers, and return it."""
    harness = folder / "fuzz_decoder"
    command = [
        arguments.clang,
        *("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-O1", "-g"),
        *(str(HERE / "fuzz_decoder.c"), str(arguments.source), "-o", str(harness)),
    ]
    try:
        subprocess.run([*command, *python_options(arguments.python)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunError(f"the harness cannot be built: {error}") from error
    return harness


def python_options(python: str) -> list[str]:
    """Return what clang must be told to embed this Python; `python3-config --embed` says the same.

    Raises:
        RunError: it is no Python.
    """
    try:
        output = subprocess.run(
            [python, "-c", SYSCONFIG], check=True, stdout=subprocess.PIPE
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunError(f"{python} cannot be asked how it was built: {error}") from error
    values = json.loads(output)
    if values["Py_ENABLE_SHARED"]:
        library = ["-L" + values["LIBDIR"], "-Wl,-rpath," + values["LIBDIR"]]
        library.append("-lpython" + values["LDVERSION"])
    else:
        library = [str(Path(values["LIBPL"]) / values["LIBRARY"])]
        library += values["LINKFORSHARED"].split()
    return ["-I" + values["include"], *library, *values["LIBS"].split(), *values["SYSLIBS"].split()]


class Fuzzer:
    """The harness and how to call it."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder
        self._harness = build(arguments, folder)
        self._env = {
            **os.environ,
            "ASAN_OPTIONS": ASAN_OPTIONS,
            "SYNCWS_FUZZ_PATH": os.pathsep.join([str(arguments.root), str(HERE)]),
            "SYNCWS_FUZZ_PYTHON": arguments.python,
        }

    def _start(self, *options: object) -> subprocess.Popen[bytes]:
        command = [self._harness, *LIMITS, *options]
        return subprocess.Popen([str(part) for part in command], env=self._env)

    def try_inputs(self, inputs: Sequence[Path]) -> bool:
        """Return whether nothing is wrong with these."""
        return all([self._start(path).wait() == 0 for path in inputs])

    def fuzz(self) -> bool:
        """Fuzz, add to the corpus, return whether nothing was found."""
        found = self._folder / "found"
        found.mkdir()
        dictionary = self._folder / "dictionary"
        dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in DICTIONARY))
        output = self._arguments.output
        output.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={self._arguments.seconds}",
            f"-artifact_prefix={output}{os.sep}",
            f"-dict={dictionary}",
            "-print_final_stats=1",
            "-reload=1",
            *(found, self._arguments.corpus),
        ]
        processes = [self._start(*options) for _ in range(self._arguments.jobs)]
        statuses = [_wait(process) for process in processes]
        if not any(output.iterdir()):
            output.rmdir()
        self.merge(found, self._arguments.corpus)
        return all(status in (0, INTERRUPTED) for status in statuses)

    def merge(self, source: Path, target: Path) -> None:
        """Add to the target what covers more than it does."""
        before = len(list(target.iterdir()))
        if self._start("-merge=1", "-verbosity=0", target, source).wait() != 0:
            raise RunError(f"{source} could not be merged into {target}")
        print(f"{target}: {before} inputs, now {len(list(target.iterdir()))}", flush=True)

    def minimize(self) -> None:
        """Make the corpus of the seeds, and what it holds that covers more than they do."""
        fresh = self._folder / "fresh"
        fresh.mkdir()
        python_path = {"PYTHONPATH": self._env["SYNCWS_FUZZ_PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(
            [self._arguments.python, str(HERE / "seeds.py"), str(fresh)],
            env={**os.environ, **python_path},
            check=True,
        )
        self.merge(self._arguments.corpus, fresh)
        for path in self._arguments.corpus.iterdir():
            path.unlink()
        shutil.copytree(fresh, self._arguments.corpus, dirs_exist_ok=True)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:  # it got the signal, too, and ends
        return process.wait()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in token)


def main() -> int:
    arguments = parse_arguments()
    arguments.corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="syncws-fuzz-") as folder:
        fuzzer = Fuzzer(arguments, Path(folder))
        if arguments.inputs:
            return 0 if fuzzer.try_inputs(arguments.inputs) else 1
        if arguments.minimize:
            fuzzer.minimize()
            return 0
        if fuzzer.fuzz():
            return 0
        print(f"something was found: see {arguments.output}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
