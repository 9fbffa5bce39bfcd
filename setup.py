"""The optional C codec; everything else stands in pyproject.toml."""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# SYNCWS_PURE=1 builds without C; SYNCWS_REQUIRE_C=1 makes a failed build of it an error.
PURE = os.environ.get("SYNCWS_PURE") == "1"
REQUIRED = os.environ.get("SYNCWS_REQUIRE_C") == "1"


class BuildOptional(build_ext):
    """Build the C codec if that can be done here."""

    def run(self) -> None:
        self._attempt(super().run)

    def build_extension(self, ext: Extension) -> None:
        self._attempt(lambda: super(BuildOptional, self).build_extension(ext))

    def _attempt(self, build) -> None:
        try:
            build()
        except Exception as exc:
            if REQUIRED:
                raise
            print(f"syncws: built without its C codec, which makes it fast: {exc}", file=sys.stderr)
            self.extensions = []


codec = Extension("syncws.sansio._speedups", ["syncws/sansio/_speedups.c"])
setup(ext_modules=[] if PURE else [codec], cmdclass={"build_ext": BuildOptional})
