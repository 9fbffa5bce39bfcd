"""
A wss server and its client. Usage: tls.py [PORT [HOST [CERTIFICATE [TRUSTED]]]]

CERTIFICATE is a file with key and certificate; this makes one for localhost:

    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \\
        -addext subjectAltName=DNS:localhost -keyout localhost.pem -out localhost.pem

TRUSTED is whom the client trusts: here the certificate itself, unless another file is given.
"""

import ssl
import sys

from syncws import ThreadingServer, connect


def echo(ws):
    for message in ws:
        ws.send(message)


def main(port=0, host="localhost", certificate="localhost.pem", trusted=None):
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate)
    client_context = ssl.create_default_context(cafile=trusted or certificate)
    with ThreadingServer(echo, host, int(port), ssl=server_context) as server:
        server.start()
        url = f"wss://{host}:{server.server_address[1]}"
        with connect(url, ssl=client_context) as ws:
            ws.send("nobody else can read this")
            print(ws.recv())


if __name__ == "__main__":
    main(*sys.argv[1:])
