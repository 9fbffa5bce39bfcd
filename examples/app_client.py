"""
Show what a chat says, and come back when the server was gone. Usage: app_client.py [PORT [HOST]]

What is typed goes to the chat; the end of the input ends the program.
"""

import sys
import threading

from syncws import ConnectionClosed, WebSocketApp


def read_input(app):
    for line in sys.stdin:
        try:
            app.send(line.rstrip("\n"))
        except ConnectionClosed:
            print("not connected")
    app.close()


def show_error(app, error):
    print(f"error: {error}", flush=True)


def start(app):
    print("connected", flush=True)
    threading.Thread(target=read_input, args=[app], daemon=True).start()


def main(port=8765, host="localhost"):
    app = WebSocketApp(
        f"ws://{host}:{port}",
        on_open=start,
        on_reconnect=lambda app: print("connected again", flush=True),
        on_message=lambda app, message: print(f"< {message}", flush=True),
        on_error=show_error,
        on_close=lambda app, code, reason: print(f"closed with {code}"),
    )
    app.run_forever(reconnect=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
