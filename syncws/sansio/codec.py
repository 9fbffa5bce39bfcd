"""
The frame codec: FrameDecoder, encode_frame and encode_header.

The one place that chooses the implementation; the rest of ``sansio`` imports the codec from here.
"""

from __future__ import annotations

from ._pycodec import FrameDecoder, Item, apply_mask, encode_frame, encode_header

__all__ = ["FrameDecoder", "Item", "apply_mask", "encode_frame", "encode_header"]
