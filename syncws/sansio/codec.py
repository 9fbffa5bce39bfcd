"""
The frame codec: FrameDecoder, encode_frame and encode_header.

The one place that chooses between C and Python; the rest of ``sansio`` imports the codec from here.
Both say the same of every byte: ``_pycodec`` is the specification, and easier to read.
"""

from __future__ import annotations

from ..environment import FORCE_PURE
from ._pycodec import FrameDecoder, Item, apply_mask, encode_frame, encode_header

__all__ = ["ACCELERATED", "FrameDecoder", "Item", "apply_mask", "encode_frame", "encode_header"]

ACCELERATED = False
if not FORCE_PURE:
    try:
        from ._speedups import FrameDecoder, apply_mask, encode_frame, encode_header

        ACCELERATED = True
    except ImportError:  # it was not built
        pass
