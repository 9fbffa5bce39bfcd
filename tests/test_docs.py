"""What README.md and docs/ say must be true: their code is run, their tables are compared."""

from __future__ import annotations

import ast
import contextlib
import inspect
import logging
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

import syncws
from aio import programs
from support.threads import WATCHDOG, Running, eventually
from support.tls import CERTS
from syncws.cli.exits import MEANINGS
from syncws.sansio import render_table

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest"
MARKER = "<!-- close table: the output of syncws.sansio.render_table() -->"


FOR_EVENT_LOOPS = "asyncio and trio"


def sections():
    """List (heading, its Python snippets) for each section of README that has some."""
    found = []
    headings = re.split(r"^##+ (.+)\n", README, flags=re.MULTILINE)[1:]
    for heading, text in zip(headings[::2], headings[1::2]):
        snippets = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if snippets:
            found.append(pytest.param(heading, snippets, id=heading))
    return found


def echo(ws):
    for message in ws:
        ws.send(message)


def talk(url):
    """Visit a server that has no client's snippet beside it."""
    with syncws.connect(url) as ws:
        ws.send("hello")
        assert ws.recv(timeout=10) == "hello"


def terminate(url):
    """End the process as the system does, and see the server say good-bye."""
    with syncws.connect(url) as ws:
        os.kill(os.getpid(), signal.SIGTERM)
        assert ws.wait_closed(10)
        assert ws.close_code == 1001


# Where a section needs something else than an echo server or ``talk``.
HANDLERS = {"Keep a connection open": lambda ws: ws.send("hello")}
VISITORS = {"Graceful shutdown on SIGTERM": terminate}


class VisitedServer(syncws.ThreadingServer):
    """Listens on a free port. Serving, it gets a visitor in another thread, then it shuts down."""

    visit = staticmethod(talk)

    def __init__(self, handler, **options):
        super().__init__(handler, port=0, **options)

    def serve_forever(self):
        visit = Running(self._be_visited)
        try:
            super().serve_forever()
        finally:
            visit.result()

    def _be_visited(self):
        try:
            self.visit(self.server_address)
        finally:
            self.shutdown(timeout=10)


@pytest.fixture
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Give snippets the files that they need, and undo what they do to the process."""
    for name in ("localhost.pem", "ca.pem"):
        shutil.copy(CERTS / name, tmp_path)
    (tmp_path / "large.bin").write_bytes(os.urandom(300_000))
    monkeypatch.chdir(tmp_path)
    handler, level = signal.getsignal(signal.SIGTERM), logging.getLogger("syncws").level
    yield
    signal.signal(signal.SIGTERM, handler)
    logging.getLogger("syncws").setLevel(level)


@pytest.fixture
def play(monkeypatch, serve):
    """Return a function that runs the snippets of a section; see test_readme_snippets_run."""
    connect, reconnect = syncws.connect, syncws.reconnect
    urlopen = urllib.request.urlopen

    def run(code, heading, port=8765):
        def there(opened):
            return lambda url, **options: opened(url.replace(":8765", f":{port}"), **options)

        monkeypatch.setattr(syncws, "connect", there(connect))
        monkeypatch.setattr(syncws, "reconnect", there(reconnect))
        monkeypatch.setattr(urllib.request, "urlopen", there(urlopen))
        exec(compile(code, f"README.md, {heading}", "exec"), {})

    def play_section(heading, snippets):
        def visit(address):
            port = address[1]
            if not clients:
                VISITORS.get(heading, talk)(f"ws://localhost:{port}")
            for client in clients:
                run(client, heading, port)

        servers = [code for code in snippets if "ThreadingServer" in code]
        clients = [code for code in snippets if code not in servers]
        if servers:
            monkeypatch.setattr(syncws, "ThreadingServer", VisitedServer)
            monkeypatch.setattr(VisitedServer, "visit", staticmethod(visit))
            run(*servers, heading)
        else:
            visit(serve(HANDLERS.get(heading, echo), host="localhost").server_address)

    return play_section


def of_threads(section):
    return section.id != FOR_EVENT_LOOPS


@pytest.mark.usefixtures("in_a_folder_of_its_own")
@pytest.mark.parametrize(("heading", "snippets"), list(filter(of_threads, sections())))
def test_readme_snippets_run(heading, snippets, play):
    """Snippets run as they stand, but for the port: the clients of a section visit its server."""
    expected = pytest.raises(SystemExit) if heading in VISITORS else contextlib.nullcontext()
    with expected:
        play(heading, snippets)


def faces_snippets(in_event_loops):
    """Those of docs/faces.md: a server with callbacks, then clients of an echo server."""
    text = (ROOT / "docs" / "faces.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [code for code in snippets if ("asyncio.run" in code) == in_event_loops]


def test_faces_snippets_run(serve):
    """Those that block, here."""
    callbacks, *clients = faces_snippets(in_event_loops=False)
    names = {}
    serving = Running(exec, compile(callbacks.replace("8765", "0"), "faces.md", "exec"), names)
    server = eventually(lambda: names.get("server"))
    eventually(lambda: server.port)
    talk(f"ws://localhost:{server.port}")
    server.stop()
    serving.result()
    port = str(serve(echo, host="localhost").server_address[1])
    for code in clients:
        exec(compile(code.replace("8765", port), "faces.md", "exec"), {})
    assert len(clients) == 2


def test_faces_snippets_for_event_loops_run():
    """The client visits the server, until it hears its own words."""
    server, client = faces_snippets(in_event_loops=True)
    with programs.free_port() as port, programs.running(server, port) as serving:
        programs.visit(serving, port).close()
        with programs.running(client, port) as talking:
            assert talking.process.communicate(timeout=WATCHDOG) == ("", "")
            assert talking.process.returncode == 0


def test_readme_snippets_for_event_loops_run():
    """Each is a process, since each has a loop; the clients visit the server."""
    (section,) = (section for section in sections() if section.id == FOR_EVENT_LOOPS)
    server, *clients = section.values[1]
    with programs.free_port() as port, programs.running(server, port) as serving:
        programs.visit(serving, port).close()
        for client in clients:
            with programs.running(client, port) as talking:
                talking.line()
                assert talking.process.communicate(timeout=WATCHDOG)[1] == ""
                assert talking.process.returncode == 0


def test_testing_snippets_run(tmp_path):
    """Those of docs/testing.md: each is a file of tests."""
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for number, code in enumerate(snippets):
        (tmp_path / f"test_{number}.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)

    assert f"{len(snippets) + 1} passed" in done.stdout, done.stdout + done.stderr


def test_readme_has_both_commands():
    """The two commands that a newcomer types; .ci/run looks for the second, too."""
    demo = (
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python examples/demo.py"
    )
    assert f"    {demo}\n" in README
    assert f"    {TEST_COMMAND}\n" in README
    ci_run = ROOT / ".ci" / "run"
    if ci_run.exists():
        assert f'readme_test="{TEST_COMMAND}"' in ci_run.read_text(encoding="utf-8")


def defaults():
    """Return the default of every option, by name: of Options, connect() and ThreadingServer."""
    found = {}
    for function in (syncws.connect, syncws.ThreadingServer, syncws.Options):
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is not parameter.empty:
                found[parameter.name] = parameter.default
    return found


def plain(value):
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def rows():
    """Return (option, default) of each row in README's tables of options."""
    for table in re.findall(r"^\| option \|.*\n(?:\|.*\n)+", README, re.MULTILINE):
        for row in table.splitlines()[2:]:
            name, default = row.strip("|").split("|")[:2]
            yield name.strip().strip("`"), default.strip().replace(",", "")


def test_readme_tables_tell_the_defaults():
    """Each option that is a number stands in a table, with the default that the code has."""
    told = dict(rows())

    assert told == {name: plain(defaults()[name]) for name in told}
    assert set(syncws.Options().__dict__) <= set(told)


@pytest.mark.parametrize(
    ("call", "method"),
    [
        ("recv", syncws.Connection.recv),
        ("recv_stream", syncws.Connection.recv_stream),
        ("send", syncws.Connection.send),
        ("send_many", syncws.Connection.send_many),
        ("ping", syncws.Connection.ping),
        ("close", syncws.Connection.close),
        ("wait_closed", syncws.Connection.wait_closed),
        ("ThreadingServer.shutdown", syncws.ThreadingServer.shutdown),
    ],
)
def test_readme_table_of_calls_tells_the_defaults(call, method):
    """Each timeout of a call stands in README as its signature has it."""
    row = re.search(rf"^\|.*`{re.escape(call)}\(timeout=\)`.*?\| (\w+)", README, re.MULTILINE)

    assert row is not None
    assert row[1] == str(inspect.signature(method).parameters["timeout"].default)


def tree(cls, depth=0):
    """Write the tree of exceptions as README shows it."""
    lines = ["    " * (depth + 1) + cls.__name__]
    for child in cls.__subclasses__():
        lines += tree(child, depth + 1)
    return lines


def test_readme_tree_of_exceptions():
    """README shows all exceptions of the library, and which is which."""
    assert "\n".join(tree(syncws.WebSocketException)) + "\n" in README


def test_readme_tells_the_exit_codes():
    """README says about them what --help does."""
    table = "".join(f"| {code.value} | {text} |\n" for code, text in MEANINGS.items())

    assert f"| exit code | |\n|---|---|\n{table}\n" in README


def test_design_shows_the_close_table():
    """The close table in the docs is the one that the code walks."""
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    regenerate = "python -c 'import syncws.sansio; print(syncws.sansio.render_table())'"

    assert f"{MARKER}\n\n{render_table()}\n\n" in design, (
        f"docs/design.md: replace the table below {MARKER!r} by the output of: {regenerate}"
    )


def test_design_lists_the_files_in_layers():
    """The map of the library in the docs is complete, and imports go down in it."""
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    layers = design[design.index("## Layers") : design.index("## The way of a message")]
    listed = re.findall(r"^ {8}([\w/]+\.py) ", layers, re.MULTILINE)
    package = ROOT / "syncws"

    assert sorted(listed) == sorted(
        p.relative_to(package).as_posix() for p in package.rglob("*.py")
    )
    for name in listed:
        for imported in imports(package / name):
            assert listed.index(imported) > listed.index(name), f"{name} imports {imported}"


def imports(path):
    """Return the files of the library that a file imports, as design.md lists them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                module = folder.joinpath(*name.split("."))
                file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
                if file.is_file():  # not so one in C
                    found.add(file.relative_to(ROOT / "syncws").as_posix())
    return found


def test_links_lead_somewhere():
    """Every relative link in our pages names a file that is there."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
