"""A subprocess of run.py: one end of one measurement.

A server prints the port it listens on and serves until it is killed. A client prints its figures.
Both as one line of JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys

from task import HOST, Task

PR_SET_PDEATHSIG = 1
BACKLOG = 1024


def main() -> None:
    task = Task.from_json(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if task.cpu is not None:
        os.sched_setaffinity(0, {task.cpu})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    module = importlib.import_module(task.module)
    if task.role == "server":
        with socket.create_server((HOST, 0), backlog=BACKLOG) as sock:
            print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
            module.serve(sock, task)
    else:
        print(json.dumps(module.measure(task)), flush=True)
        # Not a normal exit: it would close connections, which takes long in the middle of a stream.
        os._exit(0)


if __name__ == "__main__":
    main()
