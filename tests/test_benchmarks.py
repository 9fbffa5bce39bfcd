"""The benchmarks run: how fast anything is, is not for a test to say."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

RUN = pathlib.Path(__file__).parents[1] / "benchmarks" / "run.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks need Linux")


def test_smoke_run_writes_tables_and_plot(tmp_path):
    """One client and one server scenario of syncws alone, without any other library."""
    command = [sys.executable, str(RUN), "--smoke", "--output", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=50)

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    for text in ("| syncws (pure Python)", "(`receive-32`)", "(`roundtrip-server-32`)"):
        assert text in done.stdout
        assert text in page
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    assert set(results["rounds"]) == {"receive-32", "roundtrip-server-32"}
    plot = xml.etree.ElementTree.parse(tmp_path / "results.svg")
    assert "Receive a stream of 32 B, client" in "".join(plot.getroot().itertext())


def test_every_library_is_known_by_its_name():
    """--list shows what can be chosen."""
    listed = subprocess.run(
        [sys.executable, str(RUN), "--list"], capture_output=True, encoding="utf-8", check=True
    )

    names = listed.stdout.rpartition("libraries: ")[2].split()
    assert {"syncws-c", "syncws-pure", "websockets-sync", "picows"} <= set(names)
