"""RFC 6455 by hand: as much as the raw ends of the benchmarks need."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import zlib

TEXT, BINARY, CLOSE = 1, 2, 8
MASK = b"\x37\xfa\x21\x3d"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
COMPRESSED = 0x40  # RSV1, in the first byte of a frame
# For all libraries that let one choose.
WINDOW_BITS, MEMORY_LEVEL, LEVEL = 12, 5, 6
EXTENSION = b"permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d" % (
    WINDOW_BITS,
    WINDOW_BITS,
)
DEFLATE_REQUEST = REQUEST[:-2] + b"Sec-WebSocket-Extensions: " + EXTENSION + b"\r\n\r\n"


def data_frame(message: str | bytes, masked: bool) -> bytes:
    """One message in one frame; a client's is masked."""
    if isinstance(message, str):
        return frame(TEXT, message.encode(), masked)
    return frame(BINARY, message, masked)


def frame(opcode: int, payload: bytes, masked: bool) -> bytes:
    """Write one unfragmented frame."""
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        header = struct.pack("!BB", 0x80 | opcode, bit | size)
    elif size < 2**16:
        header = struct.pack("!BBH", 0x80 | opcode, bit | 126, size)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, bit | 127, size)
    if not masked:
        return header + payload
    key = (MASK * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return header + MASK + mixed.to_bytes(size, "big")


def deflated(compressor: zlib._Compress, message: str) -> bytes:
    """The payload of a compressed message."""
    return (compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflated_frames(messages: list[str], masked: bool) -> tuple[bytes, bytes]:
    """
    Messages as frames of one stream with context takeover.

    Returns what is sent at first, and what may be sent from then on, again and again: as long as
    the messages are together longer than the window, they always refer to the same.
    """
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    first, again = (
        b"".join(frame(TEXT | COMPRESSED, deflated(compressor, m), masked) for m in messages)
        for _ in range(2)
    )
    return first, again


def close_frame(masked: bool) -> bytes:
    """A Close with 1000."""
    return frame(CLOSE, struct.pack("!H", 1000), masked)


def accept_client(sock: socket.socket, deflate: bool = False) -> None:
    """Do the server's half of the opening handshake."""
    request = read_head(sock)
    match = re.search(rb"^sec-websocket-key: *(\S+)", request, re.IGNORECASE | re.MULTILINE)
    if match is None:
        raise AssertionError(f"not an opening handshake: {request!r}")
    accept = base64.b64encode(hashlib.sha1(match[1] + GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: "
        + accept
        + (b"\r\nSec-WebSocket-Extensions: " + _granted(request) if deflate else b"")
        + b"\r\n\r\n"
    )


def _granted(request: bytes) -> bytes:
    """Answer the offer of compression: aiohttp's client knows no window of the server's."""
    return EXTENSION if b"server_max_window_bits" in request else b"permessage-deflate"


def read_response(sock: socket.socket) -> None:
    """Read the server's answer to REQUEST."""
    response = read_head(sock)
    if b" 101 " not in response.partition(b"\r\n")[0]:
        raise AssertionError(f"the server does not speak WebSocket: {response!r}")


def read_head(sock: socket.socket) -> bytes:
    """Read up to the empty line of an HTTP message; nothing may come behind it yet."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = sock.recv(8192)
        if not more:
            raise AssertionError(f"the stream ended in the opening handshake: {data!r}")
        data += more
    return data
