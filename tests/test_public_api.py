"""The public names: which there are, and that each says what it does and how it fails."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
import textwrap
from typing import Any, NamedTuple

import pytest

import syncws

PUBLIC = [
    "SAME_ORIGIN",
    "Block",
    "Attempts",
    "Backoff",
    "Challenge",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Connections",
    "Deflate",
    "DigestAuth",
    "Headers",
    "InheritedConnection",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidProxy",
    "InvalidProxyStatus",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "MessageTooBig",
    "NegotiationError",
    "Opcode",
    "Options",
    "PreparedMessage",
    "ProtocolError",
    "ProxyError",
    "Request",
    "Response",
    "Role",
    "State",
    "Stats",
    "ThreadingServer",
    "TooManyConnections",
    "TooManyRedirects",
    "UnsupportedServer",
    "WebSocketApp",
    "WebSocketException",
    "__version__",
    "basic_auth",
    "broadcast",
    "callbacks",
    "connect",
    "is_transient",
    "reconnect",
    "events",
    "serve",
    "wait",
    "wsgi",
]

# What raises by way of others, which no look at its own code can tell.
RAISING = [
    syncws.connect,
    syncws.reconnect,
    syncws.Connections.close,
    syncws.basic_auth,
    syncws.broadcast,
    syncws.PreparedMessage,
    syncws.wait,
    syncws.ThreadingServer,
    syncws.ThreadingServer.serve_forever,
    syncws.Connection.recv,
    syncws.Connection.recv_stream,
    syncws.Connection.send,
    syncws.Connection.send_many,
    syncws.Connection.ping,
    syncws.Connection.ping_nowait,
    syncws.Connection.pong,
    syncws.Connection.close,
    syncws.Headers.add,
]


class Documented(NamedTuple):
    """A function, method, property or class that is public somewhere in the library."""

    name: str
    doc: str
    raises: bool


def raises(function: Any) -> bool:
    """Tell whether the code of a function makes an exception and raises it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def has_raises(doc: str) -> bool:
    """Tell whether a docstring has the section "Raises"."""
    return doc.strip().startswith("Raise ") or "Raises:" in inspect.cleandoc(doc).splitlines()


def members(owner: Any, prefix: str) -> list[Documented]:
    """List a class and its public methods and properties, or a function."""
    if inspect.isfunction(owner):
        return [Documented(prefix, owner.__doc__ or "", raises(owner))]
    found = [Documented(prefix, owner.__doc__ or "", False)]
    for name, value in vars(owner).items():
        function = value.fget if isinstance(value, property) else value
        function = getattr(function, "__func__", function)  # of a classmethod
        if not name.startswith("_") and inspect.isfunction(function):
            # What overrides a method does what that one says.
            doc = inspect.getdoc(getattr(owner, name)) or ""
            found.append(Documented(f"{prefix}.{name}", doc, raises(function)))
    return found


def modules() -> list[Any]:
    """Import all modules of the library; one needs trio, an extra."""
    names = [info.name for info in pkgutil.walk_packages(syncws.__path__, "syncws.")]
    if importlib.util.find_spec("trio") is None:
        names.remove("syncws.aio.trio_bridge")
    return [syncws, *map(importlib.import_module, names)]


def documented() -> list[Documented]:
    """List all public classes, functions, methods and properties, where they are defined."""
    return [
        item
        for module in modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        for item in members(value, f"{module.__name__}.{name}")
    ]


ALL = documented()


def test_public_names_are_exactly_these():
    """``__all__`` changes only on purpose."""
    assert set(syncws.__all__) == set(PUBLIC)


def test_public_names_are_sorted():
    """``__all__`` has constants first, then the rest in order, each once."""
    in_order = sorted(set(syncws.__all__), key=lambda name: (not name.isupper(), name))

    assert syncws.__all__ == in_order


def test_public_names_exist():
    """Every name in ``__all__`` is there, and ``from syncws import *`` brings just these."""
    namespace: dict[str, object] = {}

    exec("from syncws import *", namespace)

    assert set(namespace) - {"__builtins__"} == set(syncws.__all__)


def test_nothing_else_looks_public():
    """What else can be seen in the package are its modules."""
    others = {
        name
        for name, value in vars(syncws).items()
        if not name.startswith("_") and name not in syncws.__all__ and not inspect.ismodule(value)
    }

    assert others <= {"annotations"}


def test_version_stands_in_one_place():
    """The version of the package is the one that is packaged."""
    source = pathlib.Path(syncws.__file__).with_name("version.py").read_text(encoding="utf-8")

    assert f'__version__ = "{syncws.__version__}"' in source


def test_types_are_shipped():
    """The marker that lets type checkers use our annotations lies beside the package."""
    assert pathlib.Path(syncws.__file__).with_name("py.typed").exists()


def test_every_module_has_a_docstring():
    """Every file says what it is."""
    assert [module.__name__ for module in modules() if not module.__doc__] == []


def test_everything_public_has_a_docstring():
    """Every class, function, method and property says in a sentence what it is or does."""
    assert [item.name for item in ALL if not item.doc.strip()] == []


def test_what_raises_says_so():
    """What makes an exception and raises it has a section on that in its docstring."""
    assert [item.name for item in ALL if item.raises and not has_raises(item.doc)] == []


def test_what_raises_by_others_says_so():
    """The calls that users make have a section on what can go wrong."""
    assert [call.__qualname__ for call in RAISING if not has_raises(inspect.getdoc(call))] == []


@pytest.mark.parametrize(
    "made",
    [syncws.connect, syncws.reconnect, syncws.ThreadingServer.__init__],
    ids=["connect", "reconnect", "ThreadingServer"],
)
def test_arguments_are_documented(made):
    """Every argument of the two doors stands in the docstring."""
    doc = made.__doc__ or syncws.ThreadingServer.__doc__
    arguments = [name for name in inspect.signature(made).parameters if name != "self"]
    arguments = [name for name in arguments if not name.startswith("_")]

    missing = [name for name in arguments if f"{name}:" not in doc and f"{name}, " not in doc]

    assert missing == []


def test_every_option_is_documented():
    """Every field of Options stands in its docstring and in that of connect()."""
    fields = list(inspect.signature(syncws.Options).parameters)

    undocumented = [name for name in fields if f"{name}: " not in syncws.Options.__doc__]
    unmentioned = [name for name in fields if f"``{name}``" not in syncws.connect.__doc__]

    assert (undocumented, unmentioned) == ([], [])


def test_serve_passes_all_on():
    """serve() takes what ThreadingServer takes, in the same order."""
    ours = list(inspect.signature(syncws.serve).parameters.values())
    theirs = list(inspect.signature(syncws.ThreadingServer).parameters.values())

    assert [(p.name, p.default) for p in ours[:3]] == [(p.name, p.default) for p in theirs[:3]]
