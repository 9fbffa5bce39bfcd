"""
A chat with events, on sockets that the program accepts itself.

Usage: events_chat.py [PORT [HOST [ORIGIN...]]], with the Origins of pages that may connect.
"""

import contextlib
import socket
import sys
import threading

from syncws import SAME_ORIGIN, ConnectionClosed, InvalidHandshake
from syncws.events import CloseConnection, Message, open_websocket_server

connected = []
lock = threading.Lock()


def send_to_all(message):
    with lock:
        everybody = list(connected)
    for websocket in everybody:
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            websocket.send(message, timeout=1)


def chat(websocket):
    with lock:
        connected.append(websocket)
    try:
        for event in websocket:
            if isinstance(event, Message):  # TextMessage or BytesMessage
                send_to_all(event.data)
            elif isinstance(event, CloseConnection):
                print(f"closed with {event.code}", flush=True)
    finally:
        with lock:
            connected.remove(websocket)


def serve_client(sock, origins):
    try:
        with open_websocket_server(sock, origins=origins) as websocket:
            chat(websocket)
    except (InvalidHandshake, OSError) as exc:
        print(f"not opened: {exc}", flush=True)


def main(port=8765, host="localhost", *origins):
    with socket.create_server((host, int(port))) as listener:
        print(f"listening on ws://{host}:{listener.getsockname()[1]}", flush=True)
        while True:
            sock, _ = listener.accept()
            arguments = sock, origins or SAME_ORIGIN
            threading.Thread(target=serve_client, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
