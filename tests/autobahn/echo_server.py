"""The server under test: sends every message back. Prints "port N" once it listens."""

from syncws import Connection, ConnectionClosed, Deflate, ThreadingServer

# Whatever the testsuite asks of compression, and all of it compressed.
DEFLATE = Deflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)


def echo(ws: Connection) -> None:
    try:
        for message in ws:
            ws.send(message)
    except ConnectionClosed:
        pass  # many cases end the connection in the middle of a message


def main() -> None:
    options = {
        "max_size": None,
        "ping_interval": None,
        "origins": None,
        "compression": DEFLATE,
    }
    with ThreadingServer(echo, "127.0.0.1", 0, **options) as server:
        print("port", server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
