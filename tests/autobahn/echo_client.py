"""The client under test: asks the fuzzing server for its cases and sends every message back.

    echo_client.py ws://127.0.0.1:PORT AGENT

Exits with 1 where a case raised what it should not; the fuzzing server judges the rest.
"""

import sys
import traceback

from syncws import ConnectionClosed, Deflate, connect

# Whatever the testsuite asks of compression, and all of it compressed.
DEFLATE = Deflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)
OPTIONS = {"max_size": None, "ping_interval": None, "compression": DEFLATE}


def run_case(url: str) -> bool:
    try:
        with connect(url, **OPTIONS) as ws:
            for message in ws:
                ws.send(message)
    except ConnectionClosed:
        pass  # many cases end the connection in the middle of a message
    except Exception:
        traceback.print_exc()
        return False
    return True


def main() -> int:
    url, agent = sys.argv[1:]
    with connect(f"{url}/getCaseCount", **OPTIONS) as ws:
        count = int(ws.recv())
    failures = 0
    for number in range(1, count + 1):
        print(f"case {number} of {count}", flush=True)
        failures += not run_case(f"{url}/runCase?case={number}&agent={agent}")
    if not run_case(f"{url}/updateReports?agent={agent}"):
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
