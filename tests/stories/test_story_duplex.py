"""Both sides send at the same time, and TLS with a thread for each direction."""

from __future__ import annotations

import os
import random
import threading
import zlib

import pytest

from support.ends import connect_to, linked, plain_and_tls, serving
from support.threads import WATCHDOG, Running

MIB = 2**20


@plain_and_tls
@pytest.mark.parametrize("count", [64, 1], ids=["64-messages", "1-message"])
def test_64_mib_each_way_at_once(secure, count):
    """More than all the buffers between them: whoever does not read while it writes hangs here."""
    size = 64 * MIB // count
    payload = os.urandom(size)

    def send(ws):
        for number in range(count):
            ws.send(number.to_bytes(4, "big") + payload)

    def receive(ws):
        for number in range(count):
            message = ws.recv()
            assert message[:4] == number.to_bytes(4, "big")
            assert message[4:] == payload

    with linked(secure, max_size=None) as ends:
        calls = [Running(call, ws) for ws in ends for call in (send, receive)]
        for call in calls:
            call.result()


def numbered(number: int, rng: random.Random) -> bytes:
    """A message of random length that tells its number and its checksum."""
    body = number.to_bytes(4, "big") + rng.getrandbits(8000).to_bytes(1000, "big")[
        : rng.choice([0, 1, 40, 130, 1000])
    ] * rng.choice([1, 1, 1, 70])
    return zlib.crc32(body).to_bytes(4, "big") + body


def check(message: bytes, number: int) -> None:
    """Raise unless this is that message, undamaged."""
    assert zlib.crc32(message[4:]).to_bytes(4, "big") == message[:4]
    assert message[4:8] == number.to_bytes(4, "big")


def converse(ws, messages: int, seed: int) -> None:
    """Send and receive so many messages at the same time."""

    def receive() -> None:
        for number in range(messages):
            check(ws.recv(), number)

    rng = random.Random(seed)
    receiver = Running(receive)
    for number in range(messages):
        ws.send(numbered(number, rng))
    receiver.result()


def test_hammer_tls_with_a_sender_and_a_receiver():
    """OpenSSL forbids two threads in one connection; thousands of messages find out who obeys."""
    connections, messages, at_once = 48, 200, 4
    with serving(secure=True) as (server, accepted):

        def client(worker):
            for turn in range(connections // at_once):
                with connect_to(server.server_address[1], secure=True) as ws:
                    seed = worker * 1000 + turn
                    converse(ws, messages, seed)
                    assert ws.recv() == "done"

        def serve():
            def one(ws):
                converse(ws, messages, 1)
                ws.send("done")

            for call in [Running(one, accepted.get(timeout=WATCHDOG)) for _ in range(connections)]:
                call.result()

        calls = [Running(serve)] + [Running(client, worker) for worker in range(at_once)]
        for call in calls:
            call.result(40)


@plain_and_tls
def test_many_senders_and_receivers_on_one_connection(secure):
    """Messages of several threads arrive whole, each sender's in order, each exactly once."""
    senders, receivers, messages = 4, 3, 250
    got: list[list[bytes]] = [[] for _ in range(receivers)]
    lock = threading.Lock()
    missing = senders * messages

    def send(ws, sender):
        rng = random.Random(sender)
        for number in range(messages):
            body = bytes([sender]) + numbered(number, rng)
            ws.send([body[:5], body[5:]] if number % 10 == 0 else body)

    def receive(ws, into):
        nonlocal missing
        while True:
            with lock:
                if not missing:
                    return
                missing -= 1
            into.append(ws.recv())

    with linked(secure) as (client, server):
        calls = [Running(receive, server, into) for into in got]
        calls += [Running(send, client, sender) for sender in range(senders)]
        for call in calls:
            call.result()
    everything = [message for into in got for message in into]
    for sender in range(senders):
        mine = [message[1:] for message in everything if message[0] == sender]
        assert len(mine) == messages
        for number, message in enumerate(sorted(mine, key=lambda message: message[4:8])):
            check(message, number)
    for into in got:
        for sender in range(senders):
            numbers = [message[5:9] for message in into if message[0] == sender]
            assert numbers == sorted(numbers)
