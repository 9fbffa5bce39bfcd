"""The subprocesses of a measurement: a server and a client, both fresh."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO

from contestants import Contestant
from results import Figures
from scenarios import Scenario
from task import Task

WORKER = pathlib.Path(__file__).with_name("worker.py")
START_LIMIT = 30.0  # seconds


class MeasurementError(Exception):
    """A subprocess ended or did not answer; the text is its error."""


class Worker:
    """A running worker.py."""

    def __init__(self, task: Task, environment: Mapping[str, str], log: IO[str]) -> None:
        self._task = task
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), task.to_json()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
        )
        self.pid = self._process.pid

    def answer(self, limit: float) -> dict[str, float]:
        """Wait for the line it prints."""
        out = self._process.stdout
        if not select.select([out], [], [], limit)[0]:
            raise MeasurementError(f"{self._task.module}: no answer in {limit:g} s")
        line = out.readline()
        if not line:
            self._log.seek(0)
            last = (self._log.read().strip() or "no message").splitlines()[-1]
            raise MeasurementError(f"{self._task.module}: {last}")
        return json.loads(line)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def running(task: Task, environment: Mapping[str, str]) -> Iterator[Worker]:
    """Run a worker to the end of the block."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        worker = Worker(task, environment, log)
        try:
            yield worker
        finally:
            worker.stop()


def measure(scenario: Scenario, contestant: Contestant, common: Task) -> Figures:
    """Measure one library once."""
    server_task, client_task = scenario.tasks(contestant, common)
    environment = contestant.environment
    with running(server_task, environment) as server:
        port = int(server.answer(START_LIMIT)["port"])
        client_task = dataclasses.replace(client_task, port=port, pid=server.pid)
        with running(client_task, environment) as client:
            figures = client.answer(START_LIMIT + 20 * (common.seconds + common.warm_up))
    if "connections" in scenario.metrics:
        figures["connections"] = figures["rate"]
    return figures
