"""examples/live_stats in a browser: the numbers move, and the page comes back by itself."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import pytest

import syncws
from aio import programs
from peers.tabs import once, tab
from support.examples import HOST, Example, command
from support.threads import WATCHDOG

pytestmark = pytest.mark.peers

TEXT = "document.getElementById('{}').textContent"


@pytest.fixture
def page():
    """Return an empty page in the browser."""
    with tab() as opened:
        yield opened


@contextlib.contextmanager
def stats_server(port=0):
    """Run the example; Ctrl-C must end it without a word."""
    pipe = subprocess.PIPE
    name = command("live_stats/server.py", port, HOST)
    with Example(name, stdout=pipe, stderr=pipe, encoding="utf-8") as example:
        try:
            example.url = example.wait_for("listening on ").split()[-1]
            yield example
            example.send_signal(signal.SIGINT)
            errors = example.communicate(timeout=WATCHDOG)[1]
        finally:
            example.kill()
    assert (example.returncode, errors) == (0, "")


def shows(page, element, value):
    """Wait until an element of the page shows this."""
    assert once(page, f"{TEXT.format(element)} === {value!r}")


def is_more_than(page, element, number):
    assert once(page, f"parseFloat({TEXT.format(element)}.replace(',', '')) > {number}")


def test_the_numbers_move(page):
    """With clients that come, talk and go, of ours and of the page."""
    with stats_server() as server:
        page.visit(server.url)
        shows(page, "state", "live")
        shows(page, "clients", "0")
        shows(page, "viewers", "1")
        shows(page, "median", "\u2013")

        url = server.url.replace("http", "ws") + "echo"
        with syncws.connect(url) as one, syncws.connect(url):
            shows(page, "clients", "2")
            for _ in range(10):
                one.send("hello")
                assert one.recv(timeout=WATCHDOG) == "hello"
            shows(page, "total", "20")
            is_more_than(page, "median", 0)
            counts = "[...document.querySelectorAll('.count')].map(item => +item.textContent)"
            assert once(page, f"{counts}.reduce((sum, count) => sum + count) === 2")
        shows(page, "clients", "0")

        page.run("document.getElementById('more').click()")
        shows(page, "clients", "5")
        is_more_than(page, "rate", 20)
        label = "document.getElementById('clients-chart').getAttribute('aria-label')"
        assert page.run(label) == "Clients in the last minute: 0 to 5"
        page.run("document.getElementById('fewer').click()")
        shows(page, "clients", "0")
        shows(page, "own", "0")
        shows(page, "rate", "0")


def test_pause(page):
    """The numbers stand still until they go on."""
    with stats_server() as server:
        page.visit(server.url)
        shows(page, "clients", "0")
        page.run("document.getElementById('pause').click()")
        with syncws.connect(server.url.replace("http", "ws") + "echo"):
            assert page.run(
                "new Promise(resolve => setInterval(() => {"
                " if (samples[samples.length - 1].clients === 1) resolve(true); }, 10))"
            )
            assert page.run(TEXT.format("clients")) == "0"
            page.run("document.getElementById('pause').click()")
            assert page.run(TEXT.format("clients")) == "1"


def test_the_page_comes_back_by_itself(page):
    """The server ends, which is told, and starts again; so do the numbers."""
    with programs.free_port() as port:
        with stats_server(port) as server:
            page.visit(server.url)
            shows(page, "state", "live")
            with syncws.connect(server.url.replace("http", "ws") + "echo"):
                shows(page, "clients", "1")
        shows(page, "state", "connection lost, trying again")
        with stats_server(port):
            shows(page, "state", "live")
            shows(page, "clients", "0")
            shows(page, "viewers", "1")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_colours(page, scheme, dark):
    """The page is as dark as the system, and can be read: WCAG wants a contrast of 4.5."""
    page.call(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    with stats_server() as server:
        page.visit(server.url)
        shows(page, "state", "live")
        brightness, worst = page.run(CONTRAST)

    assert (brightness < 0.5) is dark
    assert worst >= 4.5


# Returns how bright the page is, and the lowest contrast of a text with what is behind it.
CONTRAST = """
    (() => {
        const parts = text => text.match(/[\\d.]+/g).map(Number);
        const luminance = ([red, green, blue]) => {
            const [r, g, b] = [red, green, blue].map(value => value / 255).map(
                value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = element => {
            const colour = parts(getComputedStyle(element).backgroundColor);
            return colour[3] === 0 ? behind(element.parentElement) : colour;
        };
        const texts = [...document.querySelectorAll("body *")].filter(element =>
            !element.disabled && element.closest("script, style, svg") === null &&
            [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
        const contrasts = texts.map(element => {
            const [one, other] = [luminance(parts(getComputedStyle(element).color)),
                                  luminance(behind(element))].sort((a, b) => b - a);
            return (one + 0.05) / (other + 0.05);
        });
        return [luminance(behind(document.body)), Math.min(...contrasts)];
    })()
"""


def test_it_fetches_nothing_from_elsewhere_and_fits_a_phone(page):
    """No script, font or picture of others; nothing has to be scrolled sideways."""
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=320,
        height=640,
        deviceScaleFactor=2,
        mobile=True,
    )
    with stats_server() as server:
        page.visit(server.url)
        shows(page, "state", "live")
        fetched = page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
        too_wide = page.run(
            "[...document.querySelectorAll('body *')].filter(element =>"
            " element.getBoundingClientRect().right > 321).map(element => element.outerHTML)"
        )
        unnamed = page.run(
            "[...document.querySelectorAll('button, input, svg')].filter(element =>"
            " !element.textContent.trim() && !element.getAttribute('aria-label')"
            " && !element.labels?.length).map(element => element.outerHTML)"
        )

    assert fetched == []
    assert too_wide == []
    assert unnamed == []
