"""
Several threads on one connection: three send, a fourth pings, the main thread receives.

Each message arrives whole, those of one thread in their order. Usage: threads.py [PORT [HOST]]
"""

import sys
import threading

from syncws import ThreadingServer, connect


def echo(ws):
    for message in ws:
        ws.send(message)


def send_numbers(ws, name):
    for number in range(1000):
        ws.send(f"{name} {number}")


def main(port=0, host="localhost"):
    with ThreadingServer(echo, host, int(port)) as server:
        server.start()
        with connect(f"ws://{host}:{server.server_address[1]}") as ws:
            threads = [threading.Thread(target=send_numbers, args=[ws, name]) for name in "abc"]
            threads.append(threading.Thread(target=ws.ping))
            for thread in threads:
                thread.start()
            received = {"a": [], "b": [], "c": []}
            for _ in range(3000):
                name, number = ws.recv().split()
                received[name].append(int(number))
            for thread in threads:
                thread.join()
    in_order = all(numbers == list(range(1000)) for numbers in received.values())
    print(f"3000 messages came back, {'in order' if in_order else 'OUT OF ORDER'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
