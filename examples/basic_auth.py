"""
A server that asks for a password, and its client. Usage: basic_auth.py [PORT [HOST]]

Without TLS everybody on the way can read the password: combine it with tls.py.
"""

import sys

from syncws import InvalidStatus, ThreadingServer, basic_auth, connect


def whoami(ws):
    ws.send(f"you are {ws.request.username}")


def main(port=0, host="localhost"):
    check = basic_auth(realm="example", credentials=("alice", "secret"))
    with ThreadingServer(whoami, host, int(port), process_request=check) as server:
        server.start()
        url = f"ws://{host}:{server.server_address[1]}"
        with connect(url, auth=("alice", "secret")) as ws:
            print(ws.recv())
        try:
            connect(url, auth=("alice", "wrong"))
        except InvalidStatus as exc:
            print(f"refused with {exc.status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
