"""What the environment asks of the library when it is imported."""

from __future__ import annotations

import os

# Use the codec in Python, also where the one in C was built.
FORCE_PURE = os.environ.get("SYNCWS_PURE") == "1"
