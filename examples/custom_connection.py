"""
Connections with methods of one's own. Usage: custom_connection.py [PORT [HOST]]

Server and client both run here, on any free port unless one is given.
"""

import json
import sys

from syncws import Connection, ThreadingServer, connect


class JSONConnection(Connection):
    def send_json(self, value):
        self.send(json.dumps(value))

    def recv_json(self, timeout=None):
        return json.loads(self.recv(timeout))


def add(ws):
    ws.send_json({"sum": sum(ws.recv_json())})


def main(port=0, host="localhost"):
    with ThreadingServer(add, host, int(port), create_connection=JSONConnection) as server:
        server.start()
        url = f"ws://{host}:{server.server_address[1]}"
        with connect(url, create_connection=JSONConnection) as ws:
            ws.send_json([1, 2, 3])
            print(ws.recv_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
