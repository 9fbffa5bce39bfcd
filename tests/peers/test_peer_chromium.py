"""What only a browser does: pages, origins, spare connections; and its own server, the DevTools."""

from __future__ import annotations

import contextlib
import datetime
import json
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

import syncws
from aio import early, programs
from peers.tabs import once, tab
from support.threads import WATCHDOG, Running

pytestmark = pytest.mark.peers

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
MIB = 2**20

# Sends what it is to have back, then closes, and says in the document how that was.
ECHO_PAGE = """
    <!DOCTYPE html>
    <meta charset="utf-8">
    <pre id="report"></pre>
    <script>
        const messages = ["κόσμε \U0001f600", "", new Uint8Array([0, 128, 255]),
                          "κ".repeat(2 ** 19), new Uint8Array(2 ** 20).fill(7)];
        const ws = new WebSocket("ws://" + location.host + "/echo", ["other", "echo"]);
        const same = [];
        const content = data => Array.from(data).join();
        ws.binaryType = "arraybuffer";
        ws.onopen = () => messages.forEach(message => ws.send(message));
        ws.onmessage = ({data}) => {
            const sent = messages[same.length];
            if (typeof sent !== "string") data = new Uint8Array(data);
            same.push(data.constructor === sent.constructor && content(data) === content(sent));
            if (same.length === messages.length) ws.close(4001, "genug");
        };
        ws.onclose = ({code, reason, wasClean}) => {
            document.getElementById("report").textContent = JSON.stringify(
                {same, subprotocol: ws.protocol, code, reason, wasClean});
        };
    </script>
"""


@pytest.fixture
def new_tab():
    """Return a function that opens an empty page in the browser."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(tab())


def pages(page):
    """Return a ``process_request`` that answers "/" with a page."""

    def process_request(request):
        if request.path == "/":
            return syncws.Response(200, {"Content-Type": "text/html"}, page)
        return None

    return process_request


def http(server):
    return server.url.replace("ws", "http", 1) + "/"


@pytest.mark.parametrize("name", ["show_time_server.py", "aio/show_time_server.py"])
def test_the_demo_page_shows_the_time_of_the_demo_server(name, new_tab):
    """The example serves the page and the times, and says goodbye."""
    tab = new_tab()
    command = [sys.executable, str(EXAMPLES / name), "0", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            url = server.stdout.readline().decode().split()[-1]
            tab.visit(url)
            shown = once(tab, "(document.querySelector('#times li') || {}).textContent")
            state = tab.run("document.getElementById('state').textContent")
            server.send_signal(signal.SIGINT)
            end = once(tab, "document.getElementById('state').textContent.match(/closed.*/)?.[0]")
        finally:
            server.kill()

    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(shown)
    assert abs(age) < datetime.timedelta(minutes=5)
    assert state == "open"
    assert end == "closed with 1001"


def test_the_page_of_early_websockets_shows_the_time(new_tab, tmp_path):
    """It is a file, which has no origin: the server must let such pages in."""
    tab = new_tab()
    program = early.SEND_TIME_TODAY.replace("8765)", "8765, origins=['null'])")
    page = tmp_path / "show_time.html"
    with programs.free_port() as port, programs.running(program, port) as server:
        programs.visit(server, port).close()
        page.write_text(early.SHOW_TIME.replace("8765", str(port)))
        tab.visit(page.as_uri())
        shown = once(tab, "(document.querySelector('li') || {}).textContent")

    datetime.datetime.fromisoformat(shown)


def test_a_page_of_our_server_talks_to_it(serve, new_tab):
    """HTTP and WebSocket on one port, with all defaults of the browser and of the server."""
    tab = new_tab()
    served = []

    def echo(ws):
        served.append(ws)
        for message in ws:
            ws.send(message)

    server = serve(echo, process_request=pages(ECHO_PAGE), subprotocols=["echo"])

    tab.visit(http(server))
    report = json.loads(once(tab, "document.getElementById('report').textContent"))

    assert report == {
        "same": [True] * 5,
        "subprotocol": "echo",
        "code": 4001,
        "reason": "",  # of our Close, which answers with the code only
        "wasClean": True,
    }
    assert served[0].wait_closed(WATCHDOG)
    assert (served[0].close_code, served[0].close_reason) == (4001, "genug")


def test_a_page_of_another_origin_is_let_in_only_if_we_say_so(serve, new_tab):
    """The browser sends the Origin, which is what ``origins`` checks."""
    tab = new_tab()
    home = serve(process_request=pages("<!DOCTYPE html><p></p>"))
    away = serve()
    friend = serve(origins=[http(home).rstrip("/")])
    script = """
        new Promise(resolve => {
            const ws = new WebSocket("URL");
            ws.onopen = () => resolve("open");
            ws.onclose = ({code}) => resolve(code);
        })
    """

    tab.visit(http(home))
    ends = [tab.run(script.replace("URL", f"{ws.url}/ws")) for ws in (home, away, friend)]

    assert ends == ["open", 1006, "open"]


def test_a_spare_connection_does_not_hold_up_the_end(serve):
    """Browsers open connections in advance and keep them; ``shutdown`` does not wait for these."""
    server = serve(open_timeout=60, close_timeout=60)

    with socket.create_connection(server.server_address) as spare:
        with syncws.connect(server.url):
            pass  # accepted behind the spare one
        Running(server.shutdown).result()
        spare.settimeout(WATCHDOG)
        with contextlib.suppress(ConnectionResetError):
            assert spare.recv(1) == b""


def test_our_client_talks_to_the_server_in_the_browser(new_tab):
    """The DevTools speak WebSocket; a message of 1 MiB goes there and back."""
    tab = new_tab()
    text = "".join(map(chr, range(32, 127))) * (MIB // 95)

    answer = tab.run(json.dumps(text))
    round_trip = tab.devtools.ping(timeout=WATCHDOG)
    tab.devtools.close()

    assert answer == text
    assert round_trip > 0
    assert tab.devtools.close_code == 1000
