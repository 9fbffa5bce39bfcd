"""
A server that answers health checks over HTTP: try http://localhost:8765/healthz

Usage: health_check.py [PORT [HOST]]
"""

import sys

from syncws import Response, ThreadingServer


def echo(ws):
    for message in ws:
        ws.send(message)


def health_check(request):
    return Response(200, body="OK\n") if request.path.partition("?")[0] == "/healthz" else None


def main(port=8765, host="localhost"):
    with ThreadingServer(echo, host, int(port), process_request=health_check) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
