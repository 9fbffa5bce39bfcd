"""
Compression on real connections: what is sent arrives, whatever happens in between, and costs no
more than it may.
"""

from __future__ import annotations

import random
import threading
import tracemalloc
import zlib

import pytest

import syncws
from support.ends import both_roles, end_and_peer, linked, plain_and_tls, serving
from support.threads import WATCHDOG, Running, eventually
from syncws import Deflate

TEXT, BINARY, CONT, PING, CLOSE, PONG = 1, 2, 0, 9, 8, 10
RSV1 = 0x40
MIB = 2**20
ANSWER = "permessage-deflate; server_max_window_bits=12"  # to our client, and as an offer
TAKEOVERS = pytest.mark.parametrize(
    "settings",
    [
        Deflate(threshold=0),
        Deflate(True, True, 15, 15, threshold=0),
        Deflate(False, True, 8, 9, 1, 1, threshold=0),
    ],
    ids=["takeover", "no-takeover", "small"],
)


def raw(data, bits=12):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def messages(count, seed=1):
    """Return messages of many kinds and sizes, some that compress and some that do not."""
    chance = random.Random(seed)
    words = ["alpha", "beta", '{"key":', "γάμμα", "0.25}", "\N{GRINNING FACE}"]
    return [
        chance.choice(
            [
                " ".join(chance.choices(words, k=chance.choice([0, 1, 30, 3000]))),
                chance.randbytes(chance.choice([1, 100, 5000])),
                bytes(chance.choice([0, 1, 300, 70_000])),
            ]
        )
        for _ in range(count)
    ]


# What is agreed on.


def test_it_is_agreed_on_by_default(serve):
    with syncws.connect(serve().url) as ws:
        assert ws.extensions == [
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
        ]


@pytest.mark.parametrize("off", ["client", "server"])
def test_either_end_can_do_without(serve, off):
    server = serve(compression=None if off == "server" else "deflate")
    compression = None if off == "client" else "deflate"
    with syncws.connect(server.url, compression=compression) as ws:
        assert ws.extensions == []
        ws.send("x" * 10_000, compress=True)
        assert ws.recv() == "x" * 10_000
        assert ws.stats.bytes_sent > 10_000


@pytest.mark.parametrize("value", ["gzip", True, 9, ["deflate"], ""])
def test_a_setting_that_is_none(value):
    with pytest.raises(TypeError, match="compression="):
        syncws.connect("ws://localhost:1", compression=value)


# What is sent arrives.


@TAKEOVERS
@plain_and_tls
def test_messages_of_all_kinds_arrive(settings, secure):
    sent = messages(150)
    with linked(secure, compression=settings, max_queue_bytes=None) as (client, server):
        for one, other in ((client, server), (server, client)):
            sending = Running(lambda one=one: [one.send(message) for message in sent])
            assert [other.recv(WATCHDOG) for _ in sent] == sent
            sending.result()
            sending = Running(one.send_many, sent)
            assert [other.recv(WATCHDOG) for _ in sent] == sent
            sending.result()


@TAKEOVERS
def test_several_threads_send_at_once(settings):
    """Each chooses by itself whether to compress: one context serves them all."""
    count = 4
    with linked(compression=settings) as (client, server):

        def send(number):
            for at, message in enumerate(messages(60, number)):
                text = message if isinstance(message, str) else message.hex()
                client.send(f"{number} {at} {text}", compress=(None, True, False)[at % 3])

        threads = [Running(send, number) for number in range(count)]
        received = {number: [] for number in range(count)}
        for _ in range(count * 60):
            number, _, rest = server.recv(WATCHDOG).partition(" ")
            received[int(number)].append(rest)
        for thread in threads:
            thread.result()

    for number in range(count):
        expected = [
            f"{at} {message if isinstance(message, str) else message.hex()}"
            for at, message in enumerate(messages(60, number))
        ]
        assert received[number] == expected


@TAKEOVERS
@pytest.mark.parametrize("fragment_size", [1, 100, 2**20])
def test_fragments_and_streams(settings, fragment_size):
    parts = ["hello ", "", "κόσμε " * 2000, "end"]
    with linked(compression=settings, fragment_size=fragment_size) as (client, server):
        for one, other in ((client, server), (server, client)):
            for _ in range(2):
                one.send(iter(parts), compress=True)
                assert other.recv(WATCHDOG) == "".join(parts)
                one.send(iter(parts), compress=True)
                assert "".join(other.recv_stream(WATCHDOG)) == "".join(parts)
                one.send((part.encode() for part in parts), compress=True)
                assert b"".join(other.recv_stream(WATCHDOG)) == "".join(parts).encode()
                one.send("x" * 5000)
                assert other.recv(WATCHDOG) == "x" * 5000
                one.send(iter([]), compress=True)
                one.send("end")
                assert other.recv(WATCHDOG) == "end"


def test_the_threshold_and_the_word_of_the_caller():
    with linked(compression=Deflate(threshold=100)) as (client, _):

        def cost(message, **options):
            before = client.stats.bytes_sent
            client.send(message, **options)
            return client.stats.bytes_sent - before

        assert cost("x" * 99) == 6 + 99
        assert cost("x" * 99, compress=True) < 30
        assert cost("x" * 100) < 30
        assert cost("x" * 100, compress=False) == 6 + 100
        assert cost(random.Random(1).randbytes(1000), compress=True) == 8 + 1000
        assert cost(["x" * 1000]) > 1000
        assert cost(["x" * 1000], compress=True) < 50


@both_roles
def test_a_ping_passes_between_compressed_fragments(role):
    with end_and_peer(role, extensions=ANSWER, ping_interval=None) as (ws, peer):
        go_on = threading.Event()

        def parts():
            yield "x" * 1000
            go_on.wait(WATCHDOG)
            yield "y" * 1000

        sending = Running(ws.send, parts(), compress=True)
        assert peer.recv()[0] == TEXT
        peer.send(PING, b"now")
        assert peer.recv() == (PONG, b"now")  # also while the rest is still being made
        go_on.set()
        sending.result()


# When something goes wrong.


@both_roles
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(TEXT | RSV1, b"\xff\xff", True)], 1007),
        ([(TEXT | RSV1, raw(b"hello")[:-6], True)], 1007),
        ([(TEXT | RSV1, raw(b"\xff")[:-4], True)], 1007),
        ([(TEXT | RSV1, raw(b"abc\xce"), False), (CONT, b"\x00", True)], 1007),
        ([(BINARY | RSV1, raw(bytes(1001))[:-4], True)], 1009),
        ([(BINARY | RSV1, raw(bytes(1001)), False)], 1009),
        ([(BINARY | RSV1, raw(bytes(900)), False), (CONT, raw(bytes(101))[:-4], True)], 1009),
        ([(BINARY, bytes(1001), True)], 1009),
        ([(TEXT, b"a", False), (CONT | RSV1, b"\x00", True)], 1002),
        ([(PING | RSV1, b"", True)], 1002),
        ([(TEXT | RSV1, raw(b"a"), False), (TEXT | RSV1, raw(b"a")[:-4], True)], 1002),
        ([(TEXT | RSV1, b"", True)], 1007),
    ],
)
def test_what_breaks_a_rule_ends_the_connection_with_its_code(role, frames, code):
    options = {"extensions": ANSWER, "max_size": 1000, "ping_interval": None}
    with end_and_peer(role, **options) as (ws, peer):
        for opcode, payload, fin in [(TEXT | RSV1, raw(b"before")[:-4], True), *frames]:
            peer.send(opcode, payload, fin)

        assert peer.recv_until(CLOSE)[:2] == code.to_bytes(2, "big")
        assert ws.recv(WATCHDOG) == "before"
        peer.close()
        with pytest.raises(syncws.ConnectionClosedError):
            ws.recv(WATCHDOG)


@both_roles
def test_a_peer_that_was_granted_nothing_may_compress_nothing(role):
    with end_and_peer(role, ping_interval=None) as (_, peer):
        peer.send(TEXT | RSV1, raw(b"x")[:-4])

        assert peer.recv_until(CLOSE)[:2] == (1002).to_bytes(2, "big")


@both_roles
@pytest.mark.parametrize("way", ["send", "send_many"])
def test_a_message_that_was_not_sent_does_not_spoil_the_next(role, way):
    """It was compressed already, but the peer's decompressor will not see it."""
    options = {"extensions": ANSWER, "rcvbuf": 4096, "send_timeout": 0.05, "fragment_size": None}
    inflating = zlib.decompressobj(-15)
    with end_and_peer(role, **options) as (ws, peer):

        def inflated(payload):
            return inflating.decompress(payload + b"\x00\x00\xff\xff")

        text = "said before " * 50
        ws.send(text)
        assert inflated(peer.recv_until(TEXT)) == text.encode()
        noise = random.Random(2).randbytes(2**23)
        with pytest.raises(TimeoutError, match="whole message"):
            ws.send(noise, compress=False)
        with pytest.raises(TimeoutError, match="not sent"):
            if way == "send":
                ws.send("never sent " * 50)
            else:
                ws.send_many(["never sent " * 50] * 3)

        assert peer.recv_until(BINARY) == noise
        for message in ("never sent " * 50, text):
            ws.send(message, timeout=WATCHDOG)
            assert inflated(peer.recv_until(TEXT)) == message.encode()


def test_a_message_that_raises_in_the_middle_closes_the_connection():
    def parts():
        yield "x" * 1000
        raise KeyError("lost")

    with linked() as (client, server):
        with pytest.raises(KeyError):
            client.send(parts(), compress=True)
        with pytest.raises(syncws.ConnectionClosedError) as caught:
            server.recv(WATCHDOG)
        assert caught.value.code == 1011


# What it may cost.


def bomb(kind):
    """Return frames of about 1 MiB in all that inflate to 1 GiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    first, other = (
        compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)
    )
    if kind == "one frame":
        return [(BINARY | RSV1, (first + other * 1023)[:-4], True)]
    if kind == "fragments":
        return [(BINARY | RSV1, first, False), *[(CONT, other, False)] * 1023]
    start = compressor.compress(bytes(1000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return [
        (BINARY | RSV1, raw(bytes(1000))[:-4], True),
        (BINARY | RSV1, (start + other * 1023)[:-4], True),
    ]


@both_roles
@pytest.mark.parametrize("kind", ["one frame", "fragments", "context"])
@pytest.mark.parametrize("max_size", [1000, MIB])
def test_a_bomb_costs_max_size_and_little_more(role, kind, max_size):
    frames = bomb(kind)
    options = {"extensions": ANSWER, "max_size": max_size, "ping_interval": None}
    with end_and_peer(role, **options) as (ws, peer):
        data = b"".join(peer.frame(*frame) for frame in frames)
        tracemalloc.start()
        try:
            receiving = Running(list, ws)
            sending = Running(peer.sock.sendall, data)
            assert peer.recv_until(CLOSE)[:2] == (1009).to_bytes(2, "big")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        ws.abort()
        peer.close()
        eventually(lambda: not sending.alive)
        assert isinstance(receiving.error(), syncws.ConnectionClosedError)

    # What was inflated, and the next step of it; reads, and what the test itself needs.
    assert peak < max_size + 1.5 * MIB


@both_roles
@pytest.mark.parametrize("way", ["left", "taken", "streamed"])
def test_small_messages_that_inflate_to_large_ones_wait_compressed(role, way):
    """64 KiB of them, one read, would be 60 MiB at once."""
    size = MIB // 2
    data = raw(bytes(size))[:-4]
    count = 2**17 // len(data)
    options = {"extensions": ANSWER + "; server_no_context_takeover", "ping_interval": None}
    if role == "server":
        options["extensions"] += "; client_no_context_takeover"
    with end_and_peer(role, **options) as (ws, peer):
        tracemalloc.start()
        try:
            peer.sock.sendall(peer.frame(BINARY | RSV1, data) * count)
            peer.send(PING, b"behind")
            eventually(lambda: ws._queue.parked)
            if way == "taken":
                assert {len(ws.recv(WATCHDOG)) for _ in range(count)} == {size}
            elif way == "streamed":
                for _ in range(count):
                    assert sum(map(len, ws.recv_stream(WATCHDOG))) == size
            if way != "left":
                assert peer.recv() == (PONG, b"behind")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < 4 * MIB


@both_roles
def test_a_stream_without_a_limit_comes_in_pieces(role):
    """max_size=None and 128 MiB: what waits is bounded by the queue."""
    frames = bomb("fragments")[:128]
    options = {"extensions": ANSWER, "max_size": None, "ping_interval": None}
    with end_and_peer(role, **options) as (ws, peer):
        data = b"".join(peer.frame(*frame) for frame in frames) + peer.frame(CONT, b"\x00")
        tracemalloc.start()
        try:
            sending = Running(peer.sock.sendall, data)
            total = sum(len(piece) for piece in ws.recv_stream(WATCHDOG))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        sending.result()

    assert total == 2**27
    assert peak < 8 * MIB


@both_roles
def test_what_comes_in_pieces_is_counted_once(role):
    """Two such messages, and what is behind them, find room in the queue."""
    options = {"extensions": ANSWER, "ping_interval": None}
    data = raw(random.Random(1).randbytes(1000) * 240)[:-4]
    with end_and_peer(role, **options) as (ws, peer):
        frame = peer.frame(BINARY | RSV1, data)
        for at in range(0, len(frame), 500):
            peer.sock.sendall(frame[at : at + 500])
            eventually(lambda size=at: ws.stats.bytes_received > size)
        eventually(lambda: ws.stats.messages_received == 1)
        assert 240_000 <= ws._queue._bytes + ws._queue._pieces_bytes < 300_000


def test_an_idle_connection_keeps_no_context():
    """It is made for the first message that is compressed."""
    with serving() as (server, accepted):
        host, port = server.server_address
        with syncws.connect(f"ws://{host}:{port}") as client:
            server_end = accepted.get(timeout=WATCHDOG)
            client.send("short")
            assert server_end.recv(WATCHDOG) == "short"
            for ws in (client, server_end):
                assert ws._engine.sender._deflater._context is None
                assert ws._engine.protocol._inflater._inflating is None
