"""The codec in C calls Python code, which may do anything meanwhile: no memory must suffer."""

from __future__ import annotations

import pytest
from seeds import PING, frame

from syncws.sansio import frames


@pytest.fixture
def meanwhile(monkeypatch, c_codec):
    """Return a function that sets what is done, once, while the codec asks check_header()."""
    if c_codec is None:
        pytest.skip("the codec in C is not built")
    actions = []

    def check_header(first, second, expect_mask):
        if _actions:  # noqa: F821  # a name of frames.py, for now
            _actions.pop()()  # noqa: F821

    monkeypatch.setattr(frames, "_actions", actions, raising=False)
    monkeypatch.setattr(frames.check_header, "__code__", check_header.__code__)
    return actions.append


def test_feed_within_feed_is_refused(c_codec, meanwhile):
    """As when two threads share a decoder, which they must not."""
    decoder = c_codec.FrameDecoder(False, None)
    ping = frame(PING, b"p" * 125)
    refused = []

    def feed():
        with pytest.raises(RuntimeError, match="feed") as caught:
            decoder.feed(ping[60:] + b"\x82\x05")
        refused.append(caught.value)

    decoder.feed(ping[:50])
    meanwhile(feed)

    assert decoder.feed(ping[50:60]) == []
    assert refused
    assert decoder.feed(ping[60:]) == [frames.Frame(PING, b"p" * 125)]


def test_a_buffer_may_change_while_it_is_read(c_codec, meanwhile):
    """The header that was checked is the header that counts."""
    decoder = c_codec.FrameDecoder(False, None)
    data = bytearray(frame(PING, b"first") + bytes(2000))

    def change():
        data[1:10] = b"\x7f" + (2**20).to_bytes(8, "big")

    meanwhile(change)
    item = decoder.feed(data)[0]

    assert (item.opcode, len(item.payload)) == (PING, 5)
