"""When memory runs out, the codec in C raises MemoryError; it never ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "nomemory.py"


def test_the_codec_in_c_survives_without_memory(c_codec):
    """Each allocation of each operation fails in turn; what it is tried with is in nomemory.py."""
    if c_codec is None:
        pytest.skip("the codec in C is not built")
    testcapi = pytest.importorskip("_testcapi", reason="this Python comes without _testcapi")
    if not hasattr(testcapi, "set_nomemory") or sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python cannot be made to run out of memory")

    process = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=50,
    )

    assert process.returncode == 0, process.stdout.decode(errors="replace")
