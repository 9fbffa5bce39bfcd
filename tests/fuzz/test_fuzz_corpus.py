"""What fuzzing began with and what it found goes through the codecs, which must agree."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import replay
import seeds

from syncws.exceptions import ProtocolError
from syncws.sansio import _pycodec

INPUTS = sorted((Path(__file__).parent / "corpus").iterdir())
MAX_INPUTS = 500
MAX_BYTES = 300_000


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_the_codecs_agree(path, c_codec):
    """
    The codec in Python keeps its promises, and that in C does the same.

    See replay.check: an error comes last, ``whole`` is true, the same frames come out however the
    stream is cut. Where there is no codec in C, that is all.
    """
    replay.check(path.read_bytes(), c_codec)


def test_the_codec_in_c_is_there(c_codec):
    """To say so where the tests above are of the codec in Python only."""
    if c_codec is None:
        pytest.skip("the codec in C is not built: only that in Python was tried")


def test_the_corpus_holds_the_seeds():
    """What seeds.py makes is there, as it makes it."""
    there = {path.name: path.read_bytes() for path in INPUTS}
    made = seeds.seeds()

    assert {name: there.get(name) for name in made} == made


def test_the_corpus_is_small():
    """The suite reads all of it; `run.py --minimize` drops what covers nothing new."""
    assert len(INPUTS) <= MAX_INPUTS
    assert sum(path.stat().st_size for path in INPUTS) <= MAX_BYTES


# The net has no holes: codecs that are wrong in one place.


class LosesTheLast(_pycodec.FrameDecoder):
    def feed(self, data):
        return super().feed(data)[:-1]


class CountsOneTooMany(_pycodec.FrameDecoder):
    def feed(self, data):
        items = super().feed(data)
        self.messages += 1
        return items


class WrongCode(_pycodec.FrameDecoder):
    def feed(self, data):
        items = super().feed(data)
        for item in items:
            if isinstance(item, ProtocolError):
                item.code = 1000
        return items


class OtherWords(_pycodec.FrameDecoder):
    def feed(self, data):
        items = super().feed(data)
        for item in items:
            if isinstance(item, ProtocolError):
                item.args = (str(item).upper(),)
        return items


class OtherBytes(_pycodec.FrameDecoder):
    def feed(self, data):
        return [bytearray(item) if type(item) is bytes else item for item in super().feed(data)]


class ForgetsTheLimit(_pycodec.FrameDecoder):
    def __init__(self, expect_mask, max_size, rsv1):
        super().__init__(expect_mask, None, rsv1)


def without_mask(opcode, payload, mask_key, fin=True, rsv1=False):
    return _pycodec.encode_frame(opcode, payload, mask_key and bytes(4), fin, rsv1)


def without_rsv1(opcode, size, mask_key, fin=True, rsv1=False):
    return _pycodec.encode_header(opcode, size, mask_key, fin)


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"FrameDecoder": decoder}
            for decoder in (
                LosesTheLast,
                CountsOneTooMany,
                WrongCode,
                OtherWords,
                OtherBytes,
                ForgetsTheLimit,
            )
        ),
        {"encode_frame": without_mask},
        {"encode_header": without_rsv1},
        {"apply_mask": lambda data, key: bytes(data)},
    ],
    ids=lambda changes: getattr(*changes.values(), "__name__"),
)
def test_a_wrong_codec_is_noticed(changes):
    """The corpus tells it from the right one."""
    codec = types.SimpleNamespace(**{**vars(_pycodec), **changes})

    with pytest.raises(replay.Difference):
        for data in seeds.seeds().values():
            replay.check(data, codec)


def test_the_specification_passes():
    """The codec that changes nothing agrees with itself."""
    for data in seeds.seeds().values():
        replay.check(data, _pycodec)
