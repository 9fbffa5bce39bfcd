"""The client of hello_server.py. Usage: hello_client.py [PORT [HOST]]"""

import sys

from syncws import connect


def main(port=8765, host="localhost"):
    with connect(f"ws://{host}:{port}") as ws:
        name = input("What is your name? ")
        ws.send(name)
        print(f"> {name}")
        print(f"< {ws.recv()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
