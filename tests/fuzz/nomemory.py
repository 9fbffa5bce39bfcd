"""
Try the codec in C with memory that runs out: at each allocation in turn, once or for good.

Run by test_codec_nomemory.py in a process of its own, since what is looked for ends the process.
Prints the name of each operation before it is tried.
"""

from __future__ import annotations

import _testcapi
import faulthandler
import gc
import sys
from functools import partial
from typing import Any, Callable

import replay
from seeds import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, frame, header

from syncws.sansio import _pycodec, _speedups

ENOUGH = 25  # in a row that worked: the allocation that should fail is never reached
ROUNDS = 6

# (expect_mask, max_size, what came before, what is fed). Short texts are unmasked on the stack.
FEEDS = {
    "text": (False, None, b"", frame(TEXT, b"text")),
    "masked text": (True, None, b"", frame(TEXT, b"text", KEY)),
    "long masked text": (True, None, b"", frame(TEXT, b"t" * 2000, KEY)),
    "text not UTF-8": (False, None, b"", frame(TEXT, b"te\xff")),
    "long masked text not UTF-8": (True, None, b"", frame(TEXT, b"t" * 2000 + b"\xff", KEY)),
    "binary": (False, None, b"", frame(BINARY, b"binary")),
    "masked binary": (True, None, b"", frame(BINARY, b"binary" * 200, KEY)),
    "ping": (False, None, b"", frame(PING, b"ping")),
    "masked pong": (True, None, b"", frame(PONG, b"pong", KEY)),
    "close": (True, None, b"", frame(CLOSE, b"\x03\xe8bye", KEY)),
    "fragment": (False, None, b"", frame(TEXT, b"part", fin=False)),
    "last fragment": (True, None, b"", frame(CONT, b"part", KEY)),
    "beginning of a frame": (True, None, b"", frame(TEXT, b"text" * 50, KEY)[:100]),
    "middle of a frame": (True, None, frame(TEXT, b"text" * 50, KEY)[:100], b"more"),
    "end of a frame": (False, None, frame(BINARY, bytes(9))[:5], bytes(6)),
    "rest of a header": (True, None, frame(TEXT, b"text", KEY)[:5], frame(TEXT, b"text", KEY)[5:]),
    "rest of a ping": (True, None, frame(PING, b"ping", KEY)[:8], frame(PING, b"ping", KEY)[8:]),
    "reserved opcode": (False, None, b"", frame(3)),
    "wrong masking": (True, None, b"", frame(TEXT, b"text")),
    "length not minimal": (False, None, b"", header(0x81, 126, 1, None)),
    "length over 63 bits": (False, None, b"", header(0x81, 127, 2**63, None)),
    "message too big": (True, 10, b"", frame(TEXT, b"t" * 11, KEY)),
    "many": (
        True,
        None,
        frame(TEXT, b"text", KEY)[:3],
        frame(TEXT, b"text", KEY)[3:] + b"".join(frame(op, b"x", KEY) for op in (2, 9, 1, 0, 3)),
    ),
}

CALLS = {
    "encode_frame": lambda codec: codec.encode_frame(TEXT, b"text" * 50, None),
    "encode_frame, masked": lambda codec: codec.encode_frame(TEXT, b"text", KEY, False, rsv1=True),
    "encode_frame of a bytearray": lambda codec: codec.encode_frame(BINARY, bytearray(600), KEY),
    "encode_header": lambda codec: codec.encode_header(TEXT, 2**40, KEY),
    "apply_mask": lambda codec: codec.apply_mask(b"text" * 50, KEY),
    "FrameDecoder": lambda codec: codec.FrameDecoder(True, 10).messages,
    "FrameDecoder, unlimited": lambda codec: codec.FrameDecoder(False, None).messages,
}

OUT_OF_MEMORY = object()


def try_with_little(operation: Callable[[], Any], start: int, stop: int) -> Any:
    """Run it with no memory from one allocation to another; 0 is the end of all."""
    gc.collect()  # Python keeps dead objects for reuse; now it must allocate them
    _testcapi.set_nomemory(start, stop)
    try:
        return operation()
    except MemoryError:
        return OUT_OF_MEMORY
    finally:
        _testcapi.remove_mem_hooks()


def exhaust(once: Callable[[int, int], bool]) -> int:
    """Let each allocation fail until none does any more; return how many did."""
    failed = 0
    for for_good in (False, True):
        worked = start = 0
        while worked < ENOUGH:
            if once(start, 0 if for_good else start + 1):
                worked += 1
            else:
                failed += 1
                worked = 0
            start += 1
    return failed


def call_once(operation: Callable[[Any], Any], start: int, stop: int) -> bool:
    result = try_with_little(partial(operation, _speedups), start, stop)
    if result is OUT_OF_MEMORY:
        result = None
    elif result != operation(_pycodec):
        raise AssertionError(f"{result!r} with allocations {start} to {stop} failing")
    # What failed leaves nothing behind that spoils the next call.
    if operation(_speedups) != operation(_pycodec):
        raise AssertionError(f"wrong after allocations {start} to {stop} failed")
    return result is not None


def feed_once(how: tuple[bool, int | None, bytes, bytes], start: int, stop: int) -> bool:
    """Feed once; a decoder that ran out of memory has taken nothing, or takes nothing any more."""
    expect_mask, max_size, before, data = how
    decoder, expected = (
        codec.FrameDecoder(expect_mask, max_size) for codec in (_speedups, _pycodec)
    )
    decoder.feed(before)
    expected.feed(before)
    wanted = describe(expected.feed(data), expected.messages)
    result = try_with_little(partial(decoder.feed, data), start, stop)
    if result is not OUT_OF_MEMORY:
        check(describe(result, decoder.messages), [wanted], start, stop)
        ping = frame(PING, b"on", KEY if expect_mask else None)
        check(
            describe(decoder.feed(ping), decoder.messages),
            [describe(expected.feed(ping), expected.messages)],
            start,
            stop,
        )
        return True
    dead = describe([], 0)
    again = describe(decoder.feed(data), decoder.messages)
    check(again, [dead, wanted], start, stop)
    if again == dead != wanted:
        check(describe(decoder.feed(data), decoder.messages), [dead], start, stop)
    return False


def describe(items: list[Any], count: int) -> Any:
    return [replay.describe(item) for item in items], count


def check(got: Any, allowed: list[Any], start: int, stop: int) -> None:
    if got not in allowed:
        raise AssertionError(f"{got!r} with allocations {start} to {stop} failing")


def blocks_left(once: Callable[[int, int], bool]) -> list[int]:
    """Return what each round left behind, in blocks of memory."""
    left = []
    for _ in range(ROUNDS):
        gc.collect()
        before = sys.getallocatedblocks()
        exhaust(once)
        gc.collect()
        left.append(sys.getallocatedblocks() - before)
    return left


def main() -> None:
    faulthandler.enable()
    operations = {name: partial(call_once, call) for name, call in CALLS.items()}
    operations.update((f"feed: {name}", partial(feed_once, how)) for name, how in FEEDS.items())
    gc.collect()
    gc.freeze()
    for name, once in operations.items():
        print(name, end="", flush=True)
        failed = exhaust(once)
        left = blocks_left(once)
        print(f": {failed} failed, left {left}", flush=True)
        if not failed:
            raise AssertionError(f"{name} allocates nothing, it seems")
        if all(count > 0 for count in left):
            raise AssertionError(f"each round of {name} leaves blocks of memory: {left}")


if __name__ == "__main__":
    main()
