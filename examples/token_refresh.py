"""
A server whose tokens expire, and a client that gets new ones. Usage: token_refresh.py [PORT [HOST]]

A real client would ask its login server for a token, over TLS.
"""

import itertools
import sys

from syncws import Response, ThreadingServer, connect

VALID = set()
NUMBERS = itertools.count(1)


def new_token():
    VALID.add(token := f"token-{next(NUMBERS)}")
    return token


def check(request):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or token not in VALID:
        return Response(401, [("WWW-Authenticate", 'Bearer error="invalid_token"')])
    request.username = token
    return None


class Tokens:
    """Keeps a token for as long as the server likes it."""

    def __init__(self):
        self.token = new_token()

    def header(self):
        return {"Authorization": f"Bearer {self.token}"}

    def refresh(self, challenge):
        print(f"refused with {challenge.status}: {challenge.parameters('Bearer')}")
        self.token = new_token()
        return f"Bearer {self.token}"


def whoami(ws):
    ws.send(f"welcome with {ws.request.username}")


def main(port=0, host="localhost"):
    tokens = Tokens()
    with ThreadingServer(whoami, host, int(port), process_request=check) as server:
        server.start()
        url = f"ws://{host}:{server.server_address[1]}"
        for _ in range(2):
            with connect(url, additional_headers=tokens.header(), auth=tokens.refresh) as ws:
                print(ws.recv())
            VALID.clear()  # it has expired


if __name__ == "__main__":
    main(*sys.argv[1:])
