"""The plan of the house: imports go down the floors, the protocol is pure, files are short."""

from __future__ import annotations

import ast
import pathlib
from typing import NamedTuple

import syncws

ROOT = pathlib.Path(syncws.__file__).parent

# A module imports from lower floors only. Tools stand no higher than the face of sansio, so neither
# can see the other; who needs both stands above.
FLOORS = [
    {"codes", "deadline", "options", "version", "addresses", "environment", "forks", "stats"}
    | {"lazy", "arriving", "attempt", "backlog", "testing.line"},
    {"exceptions", "masking", "sockets", "threads", "testing.relay"},
    {"sansio.headers", "sansio.frames", "sansio.closing", "sansio.plainhttp", "workers"},
    {"sansio.http11", "sansio._pycodec", "sansio._speedups", "sansio.assembler", "mailbox"},
    {"sansio.deflate", "sansio.codec", "sansio.exchange"},
    {"sansio.handshake"},
    {"sansio.protocol"}
    | {
        "transport",
        "recvqueue",
        "housekeeper",
        "dial",
        "listening",
        "outgoing",
        "pings",
        "uri",
        "attempts",
    },
    {"sansio", "writer", "keepalive", "reader", "takeover", "piecebuffer", "tls", "whichproxy"}
    | {"cutter"},
    {"framing", "webstreams", "framelog", "intake", "event_types", "app_options", "proxy"},
    {"sender"},
    {"engine", "app_logic"},
    {"receiving"},
    {"connection"},
    {"handlers", "accepted", "forwarded", "webapp", "fragments", "callback_logic"},
    {"session", "basic_auth", "auth", "callback_streams", "callback_servers"}
    | {"testing.pairs", "testing.script"},
    {"client", "server", "wsgi", "broadcast", "waiting"},
    {"reconnect", "callbacks", "doors", "app", "testing.scripted"},
    {"events"},
    {"__init__", "aio.bridge", "aio.opening", "testing", "testing.pytest_plugin"},
    {"aio.trio_bridge", "aio.asyncio_bridge", "aio.attendant", "aio.sending", "aio.receiving"}
    | {"aio.mailbox"},
    {"aio.loops", "aio.fragments"},
    {"aio.connection"},
    {"aio.callback_streams"},
    {"aio.reconnect"},
    {"aio.client"},
    {"aio.server"},
    {"aio", "aio.callbacks", "aio.events"},
    {"cli.typed", "cli.figures", "cli.shown"},
    {"cli.exits", "cli.records"},
    {"cli.arguments", "cli.output"},
    {"cli.opening", "cli.terminal", "cli.progress"},
    {"cli.talking", "cli.echoing", "cli.benching"},
    {"cli.dumping"},
    {"cli.main"},
    {"cli", "__main__"},
]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
IN_C = {"sansio._speedups"}

KNOW_NOTHING_OF_WEBSOCKET = {
    "addresses",
    "transport",
    "recvqueue",
    "housekeeper",
    "dial",
    "tls",
    "listening",
    "writer",
    "reader",
    "masking",
    "forks",
    "keepalive",
    "lazy",
    "workers",
    "sockets",
    "threads",
    "arriving",
    "mailbox",
    "attempt",
    "cutter",
    "backlog",
    "testing.line",
    "testing.relay",
}
PROTOCOL = {"codes", "exceptions", "sansio"}
IMPURE = {
    "socket",
    "ssl",
    "threading",
    "queue",
    "time",
    "asyncio",
    "select",
    "selectors",
    "os",
    "random",
    "secrets",
    "concurrent",
    "subprocess",
    "signal",
}

MAX_FILE = 400  # lines
MAX_FUNCTION = 40  # lines of code
MAX_NESTING = 4


class Source(NamedTuple):
    """One file of the library; ``module`` is its name below ``syncws``."""

    module: str
    text: str
    tree: ast.Module


class Function(NamedTuple):
    """One function: where it stands, how many lines of code it has, how deep it is nested."""

    name: str
    lines: int
    nesting: int


def read(path: pathlib.Path) -> Source:
    """Parse one file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    module = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
    return Source(module, text, ast.parse(text))


SOURCES = [read(path) for path in sorted(ROOT.rglob("*.py"))]
EDGES = []  # (importing module, imported module of the library)
OUTSIDE = []  # (importing module, top-level name of an imported module that is not of the library)


def targets(module: str, node: ast.ImportFrom) -> list[str]:
    """Return what ``from ... import ...`` imports of the library, as names below ``syncws``."""
    base = f"syncws.{module}".split(".")
    package = base if module in ("sansio", "aio", "cli", "testing", "__init__") else base[:-1]
    package = ["syncws"] if module == "__init__" else package
    package = package[: len(package) - (node.level - 1)] if node.level else []
    full = ".".join([*package, *([node.module] if node.module else [])])
    below = full[len("syncws.") :] if full.startswith("syncws.") else ""
    if full == "syncws" and module.startswith("cli."):
        return ["__init__"]  # public names, some of which are also those of modules
    return [below] if below else [alias.name for alias in node.names]


def note_imports(source: Source) -> None:
    """Sort all imports of a file, wherever they stand, into EDGES and OUTSIDE."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                place = EDGES if alias.name.split(".")[0] == "syncws" else OUTSIDE
                place.append((source.module, alias.name.split(".")[0]))
        elif isinstance(node, ast.ImportFrom):
            if node.level or (node.module or "").split(".")[0] == "syncws":
                EDGES.extend((source.module, target) for target in targets(source.module, node))
            else:
                OUTSIDE.append((source.module, (node.module or "").split(".")[0]))


for _source in SOURCES:
    note_imports(_source)


def nesting(node: ast.AST) -> int:
    """Return how many compound statements lie within each other, at most."""
    deeper = isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try))
    inner = [
        # "elif" is an If in the else of an If, but reads as one step.
        nesting(child) - (isinstance(child, ast.If) and getattr(node, "orelse", None) == [child])
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef))
    ]
    return deeper + max(inner, default=0)


def functions(source: Source) -> list[Function]:
    """Measure every function of a file, without signature, docstring, comments and blank lines."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            text = source.text.splitlines()[body[0].lineno - 1 : node.end_lineno] if body else []
            code = [line for line in text if line.strip() and not line.strip().startswith("#")]
            found.append(Function(f"{source.module}.{node.name}", len(code), nesting(node)))
    return found


FUNCTIONS = [function for source in SOURCES for function in functions(source)]


def test_every_file_has_a_floor():
    """The plan shows every file, and no file that is not there."""
    assert {source.module for source in SOURCES} == set(FLOOR) - IN_C


def test_the_imports_were_read():
    """The tests below look at real imports: a few that are known are among them."""
    known = {
        ("client", "connection"),
        ("sansio", "sansio.protocol"),
        ("sansio.frames", "codes"),
        ("sansio.codec", "sansio._pycodec"),
        ("__init__", "sansio"),
    }

    assert known <= set(EDGES)
    assert ("sansio.http11", "h11") in OUTSIDE


def test_imports_go_down():
    """A file imports only from lower floors, so there is no ring; TYPE_CHECKING imports count."""
    upward = [edge for edge in EDGES if FLOOR[edge[1]] >= FLOOR[edge[0]]]

    assert upward == []


def test_only_the_face_of_sansio_is_seen_from_outside():
    """Nobody outside sansio imports a file inside it."""
    inside = [
        (importer, target)
        for importer, target in EDGES
        if target.startswith("sansio.") and not importer.startswith("sansio")
    ]

    assert inside == []


def test_sansio_knows_only_the_vocabulary():
    """Of the rest of the library the pure protocol imports the vocabulary only."""
    seen = {
        target
        for importer, target in EDGES
        if importer.startswith("sansio") and not target.startswith("sansio")
    }

    assert seen == {"codes", "environment", "exceptions", "options"}


def test_sansio_is_pure():
    """No socket, thread, clock, random number or operating system in the pure protocol."""
    impure = [
        (importer, name)
        for importer, name in OUTSIDE
        if importer.startswith("sansio") and name in IMPURE
    ]

    assert impure == []


def test_tools_know_nothing_of_the_protocol():
    """The blocking tools carry bytes, addresses and times; what they mean is not theirs."""
    known = [
        (importer, target)
        for importer, target in EDGES
        if importer in KNOW_NOTHING_OF_WEBSOCKET and target.split(".")[0] in PROTOCOL
    ]

    assert known == []


def test_only_two_files_know_h11():
    """HTTP is read and written in one place, its bodies in another."""
    knowing = {importer for importer, name in OUTSIDE if name == "h11"}

    assert knowing == {"sansio.http11", "sansio.exchange"}


def test_event_loops_are_known_to_their_bridges_only():
    """The library needs none; in the facade one file knows asyncio and one trio."""
    knowing = {(importer, name) for importer, name in OUTSIDE if name in ("asyncio", "trio")}

    assert knowing == {("aio.asyncio_bridge", "asyncio"), ("aio.trio_bridge", "trio")}


def test_nobody_needs_the_facade():
    """Blocking programs import no event loop, and nothing that does."""
    assert {target for importer, target in EDGES if not importer.startswith("aio")}.isdisjoint(
        module for module in FLOOR if module.startswith("aio")
    )


def test_nobody_needs_the_help_for_tests():
    """Programs do not load it, and in it one file knows pytest."""
    users = {importer for importer, target in EDGES if target.startswith("testing")}

    assert all(importer.startswith("testing") for importer in users)
    assert {importer for importer, name in OUTSIDE if name == "pytest"} == {"testing.pytest_plugin"}


def test_the_command_line_is_a_user_like_any_other():
    """It uses public names only, but for the one place that knows which headers are secret."""
    seen = {
        (importer, target)
        for importer, target in EDGES
        if importer.startswith("cli.") and not target.startswith("cli.")
    }

    assert {target for _, target in seen} == {"__init__", "events", "sansio"}
    assert [importer for importer, target in seen if target == "sansio"] == ["cli.shown"]


def test_nobody_needs_the_command_line():
    """Programs that import the library get nothing of it."""
    users = {importer for importer, target in EDGES if target.startswith("cli.")}

    assert {importer for importer in users if not importer.startswith("cli.")} == {"__main__"}


def test_terminal_libraries_are_an_extra():
    """Only two files know them, and import them when they are needed."""
    knowing = {(importer, name) for importer, name in OUTSIDE if name in ("prompt_toolkit", "rich")}

    assert knowing == {("cli.terminal", "prompt_toolkit"), ("cli.progress", "rich")}


def test_files_are_short():
    """No file has more than 400 lines."""
    lines = {source.module: len(source.text.splitlines()) for source in SOURCES}

    assert {module: count for module, count in lines.items() if count > MAX_FILE} == {}


def test_functions_are_short():
    """No function has more than 40 lines of code."""
    assert [function for function in FUNCTIONS if function.lines > MAX_FUNCTION] == []


def test_functions_are_flat():
    """No function nests compound statements deeper than 4."""
    assert [function for function in FUNCTIONS if function.nesting > MAX_NESTING] == []
