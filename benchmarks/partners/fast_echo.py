"""The echo server that all clients talk to: picows on uvloop, which never looks at a message."""

from __future__ import annotations

import socket

from adapters import picows_uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSTransport
from task import Task


class Echo(WSListener):
    """Sends the bytes back, not even copied."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == picows_uvloop.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


def serve(sock: socket.socket, task: Task) -> None:
    picows_uvloop.serve(sock, task, Echo)
