"""What one subprocess of a measurement is told to do."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
import ssl

HOST = "127.0.0.1"
CERTS = pathlib.Path(__file__).parents[1] / "tests" / "support" / "certs"
ALPHABET = "0123456789abcdef"
MESSAGES = 64  # different ones
LONGEST_TEXT = 4096  # longer messages are binary


@dataclasses.dataclass(frozen=True)
class Task:
    """One end of a measurement, as it goes from run.py to worker.py."""

    module: str  # below this folder, e.g. "adapters.picows_uvloop"
    role: str  # "server" or "client"
    op: str  # what the client does; see README.md
    size: int = 32  # of a message, in bytes
    seconds: float = 1.0  # what the measured part should take, about
    warm_up: float = 0.1  # seconds of its last part; all of it takes about twice as long
    tls: bool = False
    deflate: bool = False  # agree on permessage-deflate, and compress every message
    cpu: int | None = None  # stay on this CPU
    connections: int = 0
    in_flight: int = 0  # messages that are on their way at the same time; 0: one per connection
    port: int = 0  # where the server is; for the client
    pid: int = 0  # which process it is

    @property
    def message(self) -> str | bytes:
        """The message to send."""
        text = (ALPHABET * (self.size // len(ALPHABET) + 1))[: self.size]
        return text if self.size <= LONGEST_TEXT else text.encode()

    @property
    def messages(self) -> list[str | bytes]:
        """The messages to send in turn: different ones like JSON if that makes a difference."""
        if not self.deflate:
            return [self.message]
        chance = random.Random(self.size)
        return [_json(chance, self.size) for _ in range(MESSAGES)]

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"{'wss' if self.tls else 'ws'}://{HOST}:{self.port}/"

    def client_context(self) -> ssl.SSLContext | None:
        """TLS for a client: the server's certificate is verified."""
        return ssl.create_default_context(cafile=str(CERTS / "ca.pem")) if self.tls else None

    def server_context(self) -> ssl.SSLContext | None:
        """TLS for a server."""
        if not self.tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTS / "localhost.pem")
        return context

    def to_json(self) -> str:
        """Write it as an argument for worker.py."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


def _json(chance: random.Random, size: int) -> str:
    """Text of a size that is like what programs tell each other."""
    records = []
    while len(records) * 80 < size + 80:
        records.append(
            {
                "id": chance.randrange(10**9),
                "user": chance.choice(["alice", "bob", "carol", "dave"]),
                "price": round(chance.uniform(1, 1000), 2),
                "tags": chance.sample(["new", "sale", "old", "hot", "top"], 2),
                "ok": chance.random() < 0.5,
            }
        )
    return json.dumps(records)[:size]


def expect(received: object, expected: object) -> None:
    """Stop a measurement of something that is not what was to be measured."""
    if received != expected or type(received) is not type(expected):
        raise AssertionError(f"received {received!r:.80}, expected {expected!r:.80}")
