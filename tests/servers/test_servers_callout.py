"""Views that call out to a WebSocket server, in every WSGI server."""

from __future__ import annotations

import pytest

from servers.callout_servers import NAMES, calling_server, ends_at_once, view, views
from support.threads import WATCHDOG, eventually

pytest_plugins = ("servers.callout_backend",)
pytestmark = pytest.mark.peers

REQUESTS = 50
REPEATED = 10_000  # by the view, so that a message takes several writes
with_every_server = pytest.mark.parametrize("caller", NAMES, indirect=True)


@pytest.fixture(scope="module")
def caller(request, tmp_path_factory):
    """Return a running WSGI server, the same for all tests of this file."""
    with calling_server(request.param, tmp_path_factory.mktemp("server")) as server:
        yield server


@with_every_server
def test_a_connection_for_each_request(caller, backend):
    """Each view gets the answer to its own question."""
    paths = [f"ask/question {index}" for index in range(REQUESTS)]

    answers = views(caller, paths, backend.url("/echo"))

    assert answers == [f"answer to question {index}" for index in range(REQUESTS)]


@with_every_server
def test_a_connection_that_all_requests_share(caller, backend):
    """Each message arrives whole and once, on one connection, while others measure round trips."""
    texts = [f"message {index}" for index in range(REQUESTS)]
    paths = [f"push/{text}" for text in texts]
    paths[::5] = ["ping/"] * len(paths[::5])
    del texts[::5]

    answers = views(caller, paths, backend.url("/shared"))

    assert all(0 < float(answer) < WATCHDOG for answer in answers[::5])
    eventually(lambda: len(backend.pushed) >= len(texts), "all messages")
    assert sorted(backend.pushed) == sorted(REPEATED * text for text in texts)
    assert backend.arrivals.qsize() == 1


@with_every_server
def test_the_end_with_a_connection_open(caller, backend):
    """The server ends at once, and the backend learns of it."""
    view(caller, "push/hello", backend.url("/shared"))
    # Answered by the thread that reads when nobody else does: that one is there at the end, too.
    assert backend.arrivals.get(timeout=WATCHDOG).ping(timeout=WATCHDOG)

    ends_at_once(caller)

    assert backend.ends.get(timeout=WATCHDOG) == 1006
