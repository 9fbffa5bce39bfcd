"""WebSocket URLs: what is in them, and what is none (RFC 6455 section 3)."""

from __future__ import annotations

import dataclasses

import pytest

from syncws.exceptions import InvalidURI
from syncws.uri import URI, parse_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("ws://example.com", URI(False, "example.com", 80, "/")),
        ("wss://example.com", URI(True, "example.com", 443, "/")),
        ("ws://example.com:8765/", URI(False, "example.com", 8765, "/")),
        ("wss://example.com:/", URI(True, "example.com", 443, "/")),
        ("WS://Example.COM/Path", URI(False, "example.com", 80, "/Path")),
        ("ws://example.com./", URI(False, "example.com.", 80, "/")),
        ("ws://a_b.example/", URI(False, "a_b.example", 80, "/")),
        ("ws://127.0.0.1/", URI(False, "127.0.0.1", 80, "/")),
        ("ws://[::1]:8765/", URI(False, "::1", 8765, "/")),
        ("ws://[2001:DB8::1]/", URI(False, "2001:db8::1", 80, "/")),
        ("ws://h/a/b;c?d=e&f=g", URI(False, "h", 80, "/a/b;c?d=e&f=g")),
        ("ws://h?query", URI(False, "h", 80, "/?query")),
        ("ws://h/path?a?b/c", URI(False, "h", 80, "/path?a?b/c")),
        ("ws://h/%20%zz?%C3%A4", URI(False, "h", 80, "/%20%zz?%C3%A4")),
        ("ws://h/ä?ö=€", URI(False, "h", 80, "/%C3%A4?%C3%B6=%E2%82%AC")),
        ('ws://h/<"\\^`{|}>?[x]', URI(False, "h", 80, "/%3C%22%5C%5E%60%7B%7C%7D%3E?[x]")),
        ("ws://bücher.example/", URI(False, "xn--bcher-kva.example", 80, "/")),
        ("ws://日本語.example/", URI(False, "xn--wgv71a119e.example", 80, "/")),
        ("ws://h/#", URI(False, "h", 80, "/")),
    ],
)
def test_a_url_is_taken_apart(text, uri):
    """Scheme, host, port, path and query, with what is left out filled in."""
    assert parse_uri(text) == uri


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("ws://h/", None),
        ("ws://user:password@h/", ("user", "password")),
        ("ws://user@h/", ("user", "")),
        ("ws://user:@h/", ("user", "")),
        ("ws://:password@h/", ("", "password")),
        ("ws://u%40x:p%2Fw%3A%20@h/", ("u@x", "p/w: ")),
        ("ws://u:p:w@h/", ("u", "p:w")),
        ("ws://u:p@w@h/", ("u", "p@w")),
        ("ws://%C3%BC:%E2%82%AC@h/", ("ü", "€")),
    ],
)
def test_credentials_are_taken_from_the_url(text, credentials):
    """User and password may be escaped."""
    uri = parse_uri(text)

    assert uri.credentials == credentials
    assert (uri.host, uri.target) == ("h", "/")


def test_credentials_are_not_shown():
    """A log may show a URI."""
    uri = parse_uri("ws://user:secret@h/")

    assert "secret" not in repr(uri)
    assert "secret" not in str(uri)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("ws://h/", "h"),
        ("ws://h:80/", "h"),
        ("ws://h:443/", "h:443"),
        ("wss://h:443/", "h"),
        ("wss://h:80/", "h:80"),
        ("ws://u:p@h:8765/", "h:8765"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[::1]:8765/", "[::1]:8765"),
        ("ws://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_the_host_header_names_the_port_only_if_it_is_unusual(text, header):
    """RFC 6455 section 4.1, point 4."""
    assert parse_uri(text).host_header == header


def test_the_origin_is_scheme_host_and_port():
    """Two URLs lead to the same server, or they do not."""
    same = {parse_uri(text).origin for text in ("ws://h/a", "ws://H:80/b?c", "ws://u:p@h")}
    others = {
        parse_uri(text).origin for text in ("wss://h/", "ws://h:81/", "ws://i/", "wss://h:80")
    }

    assert len(same) == 1
    assert len(others | same) == 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "scheme"),
        ("example.com", "scheme"),
        ("http://h/", "scheme"),
        ("//h/", "scheme"),
        ("ws:h", "no host"),
        ("ws://", "no host"),
        ("ws:///path", "no host"),
        ("ws://:80/", "no host"),
        ("ws://h/#fragment", "fragment"),
        ("ws://h#fragment", "fragment"),
        ("ws://h:0/", "port"),
        ("ws://h:65536/", "port"),
        ("ws://h:-1/", "port"),
        ("ws://h:http/", "port"),
        ("ws://[::1/", "host"),
        ("ws://[/", "host"),
        ("ws://[name]/", "host"),
        ("ws://[127.0.0.1]/", "host"),
        ("ws://a..b/", "host"),
        ("ws://./", "host"),
        (f"ws://{'a' * 64}/", "host"),
        (f"ws://{'ä' * 64}/", "host"),
        ("ws://a\u2100b/", "host"),
        ("ws://h /", "space"),
        ("ws://h/a b", "space"),
        (" ws://h/", "space"),
        ("ws://h/\r\nX: y", "control"),
        ("ws://h/\0", "control"),
        ("ws://h/\x7f", "control"),
        ("ws://h/\ud800", "surrogates"),
        ("ws://h/?\udfff", "surrogates"),
    ],
)
def test_what_is_no_websocket_url_is_refused(text, problem):
    """The message says what is wrong with it."""
    with pytest.raises(InvalidURI, match=f"not a WebSocket URL: .*{problem}"):
        parse_uri(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret@h/",
        "ws://user:secret@h:0/",
        "ws://user:secret@h:port/",
        "ws://user:secret/word@h/",
        "ws://user:secret?word@h/",
        "ws://user:secret#word@h/",
        "ws://user:a@secret@h/#x",
        "ws://user:secret@[h/",
        "ws://user:secret@h/a b",
        "ws://user:secret word@h/",
        "user:secret@h",
    ],
)
def test_a_refusal_does_not_show_the_password(text):
    """A message may end up in a log."""
    with pytest.raises(InvalidURI) as caught:
        parse_uri(text)

    assert "secret" not in str(caught.value)
    assert "secret" not in caught.value.uri
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, b"ws://h/", 1])
def test_what_is_no_str_is_refused(value):
    """A URL in bytes is a mistake."""
    with pytest.raises(TypeError, match="a URL is a str"):
        parse_uri(value)


def test_a_uri_cannot_be_changed():
    """A redirect makes a new one."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse_uri("ws://h/").host = "other"
