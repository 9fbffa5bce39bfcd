"""A scripted peer: a plain socket that speaks WebSocket byte by byte, with no library in it."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer:
    """One end of a connection, driven by the test. ``masked`` is for the client's end."""

    def __init__(self, sock: socket.socket, masked: bool) -> None:
        self.sock = sock
        self.sock.settimeout(20)
        self.masked = masked
        self._buffer = b""

    # The opening handshake.

    @classmethod
    def accepting(cls, listener: socket.socket, extensions: bytes = b"") -> Peer:
        """Be the server: accept one client and its opening handshake, and grant extensions."""
        sock, _ = listener.accept()
        peer = cls(sock, masked=False)
        peer.accept_opening(extensions)
        return peer

    def accept_opening(self, extensions: bytes = b"") -> bytes:
        """Accept an opening handshake; return the request's head."""
        head = self.read_until(b"\r\n\r\n")
        key = next(
            line.split(b":", 1)[1].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: "
            + accept
            + (b"\r\nSec-WebSocket-Extensions: " + extensions if extensions else b"")
            + b"\r\n\r\n"
        )
        return head

    @classmethod
    def connecting(cls, address: tuple[str, int], path: str = "/", rcvbuf: int = 0) -> Peer:
        """Be the client: connect and do the opening handshake."""
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(20)
        sock.connect(address[:2])
        peer = cls(sock, masked=True)
        peer.sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = peer.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return peer

    # Frames.

    def frame(self, opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
        """Build a frame for this end."""
        mask = 0x80 if self.masked else 0
        first = bytes([(0x80 if fin else 0) | opcode])
        if len(payload) < 126:
            head = first + bytes([mask | len(payload)])
        elif len(payload) < 65536:
            head = first + bytes([mask | 126]) + struct.pack("!H", len(payload))
        else:
            head = first + bytes([mask | 127]) + struct.pack("!Q", len(payload))
        return head + (bytes(4) if mask else b"") + payload  # the key 0 changes nothing

    def send(self, opcode: int, payload: bytes = b"", fin: bool = True) -> None:
        """Send a frame."""
        self.sock.sendall(self.frame(opcode, payload, fin))

    def recv(self) -> tuple[int, bytes]:
        """Read a frame; return its opcode and payload. Raises EOFError at the end."""
        head = self.read(2)
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.read(8))[0]
        key = self.read(4) if head[1] & 0x80 else bytes(4)
        payload = bytearray(self.read(size))
        for index in range(len(payload)):
            payload[index] ^= key[index % 4]
        return head[0] & 0x0F, bytes(payload)

    def read(self, size: int) -> bytes:
        """Read so many bytes. Raises EOFError at the end."""
        while len(self._buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"{len(self._buffer)} of {size} bytes, then the end")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and including a mark."""
        while mark not in self._buffer:
            data = self.sock.recv(65536)
            assert data, f"{self._buffer!r}, then the end"
            self._buffer += data
        end = self._buffer.index(mark) + len(mark)
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data

    def at_eof(self) -> bool:
        """Wait for the end of the stream; return False if more bytes come instead."""
        try:
            return not self._buffer and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
