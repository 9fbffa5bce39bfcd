"""Which proxy leads to a URL, what its own URL says, and what a CONNECT says: no sockets."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from syncws import Headers, InvalidProxy, InvalidProxyStatus, ProxyError, Response
from syncws.proxy import check_tunnel, connect_request
from syncws.sansio import redacted
from syncws.uri import parse_uri
from syncws.whichproxy import (
    Proxy,
    chosen_proxy,
    exempt,
    is_this_machine,
    parse_proxy,
    system_proxy,
)

WS, WSS = parse_uri("ws://example.com/"), parse_uri("wss://example.com/")

# The URL of a proxy.


@pytest.mark.parametrize(
    ("url", "text", "credentials"),
    [
        ("http://h", "http://h:80", None),
        ("https://h/", "https://h:443", None),
        ("h:3128", "http://h:3128", None),
        ("me:pw@h:3128", "http://h:3128", ("me", "pw")),
        ("HTTP://H.Example:3128/", "http://h.example:3128", None),
        ("socks4://me@h", "socks4://h:1080", ("me", "")),
        ("socks4a://h", "socks4a://h:1080", None),
        ("socks5://me:pw@h:1", "socks5://h:1", ("me", "pw")),
        ("socks5h://[::1]", "socks5h://[::1]:1080", None),
        ("socks://h:1080/", "socks5h://h:1080", None),
        ("http://m%40e:p%3Aw%2F@h", "http://h:80", ("m@e", "p:w/")),
        ("http://me@h", "http://h:80", ("me", "")),
        ("http://bücher.example:1", "http://xn--bcher-kva.example:1", None),
    ],
)
def test_parts_of_a_url(url, text, credentials):
    """Scheme and port may be missing; credentials are unescaped and stay out of the text."""
    proxy = parse_proxy(url)

    assert (str(proxy), proxy.credentials) == (text, credentials)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://me:hunter2@h", "scheme"),
        ("", "no host"),
        ("http://", "no host"),
        ("http://me:hunter2@h:99999", "port"),
        ("http://me:hunter2@h/wpad.dat", "more than"),
        ("http://me:hunter2@h?x", "more than"),
        ("http://me:hunter2@h#x", "more than"),
        ("http://me:hunter2@h x", "space"),
        ("http://me:hunter/2@h", "port"),
        ("http://me%3Ax:hunter2@h", "colon"),
        ("http://me:hunter2%0d%0a@h", "control"),
        ("socks4://me%00x@h", "control"),
        ("socks4://me:hunter2@h", "no password"),
        ("socks5://me@h", "both"),
        ("socks5://:hunter2@h", "both"),
        ("socks5://mé:hunter2@h", "ASCII"),
        ("socks5://me:hunter2" + "x" * 249 + "@h", "255"),
    ],
)
def test_bad_urls(url, problem):
    """What cannot be used is refused with the reason, and no password is told."""
    with pytest.raises(InvalidProxy, match=problem) as caught:
        parse_proxy(url)

    assert isinstance(caught.value, ValueError)
    assert "hunter" not in f"{caught.value!r} {caught.value} {caught.value.url}"
    assert caught.value.__cause__ is None


def test_no_repr_tells_the_credentials():
    """Those who log a proxy do not log its password."""
    proxy = parse_proxy("http://me:hunter2@h")

    assert "hunter2" not in f"{proxy} {proxy!r}"
    assert "'me'" not in repr(proxy)


# Which one.

ALL = {
    "ws": "ws:1",
    "wss": "wss:1",
    "socks": "socks5h://s",
    "https": "https:1",
    "http": "http:1",
    "all": "all:1",
}


def test_order_of_the_variables():
    """RFC 6455 section 4.1: its own one, then SOCKS, then that for HTTPS before that for HTTP."""
    found = {}
    for uri in (WS, WSS):
        settings = dict(ALL)
        found[uri.secure] = []
        while (proxy := chosen_proxy(uri, settings)) is not None:
            found[uri.secure].append(proxy.host)
            del settings["socks" if proxy.host == "s" else proxy.host]

    assert found == {
        False: ["ws", "s", "https", "http", "all"],
        True: ["wss", "s", "https", "all"],
    }


def test_macos_tells_socks_by_the_name_of_the_setting():
    """What getproxies() calls http:// there is SOCKS; elsewhere it is what it says."""
    assert str(chosen_proxy(WS, {"socks": "http://h:1"})) == "socks5h://h:1"
    assert str(chosen_proxy(WS, {"socks": "socks5://h:1"})) == "socks5://h:1"
    assert str(chosen_proxy(WS, {"http": "socks4://h:1"})) == "socks4://h:1"


@pytest.mark.parametrize(
    ("no_proxy", "covered", "not_covered"),
    [
        ("*", ["ws://a.example", "ws://1.2.3.4"], []),
        ("b.example, *", ["ws://a.example"], []),
        ("", [], ["ws://a.example"]),
        (" , ,", [], ["ws://a.example"]),
        ("a.example", ["ws://a.example", "ws://x.A.example", "wss://x.y.a.example:9"], []),
        ("a.example", [], ["ws://ba.example", "ws://example", "ws://a.example.com"]),
        (".a.example", ["ws://a.example", "ws://x.a.example"], ["ws://ba.example"]),
        ("*.a.example", ["ws://a.example", "ws://x.a.example"], ["ws://ba.example"]),
        ("A.Example.", ["ws://a.example", "ws://a.example."], []),
        ("b.example a.example", ["ws://a.example", "ws://b.example"], ["ws://c.example"]),
        ("a.example:81", ["ws://a.example:81"], ["ws://a.example", "ws://a.example:8"]),
        ("a.example:443", ["wss://a.example"], ["ws://a.example"]),
        ("1.2.3.4", ["ws://1.2.3.4"], ["ws://1.2.3.40", "ws://x.1.2.3.4.example"]),
        ("1.2.3.4:81", ["ws://1.2.3.4:81"], ["ws://1.2.3.4"]),
        ("10.0.0.0/8", ["ws://10.1.2.3"], ["ws://11.0.0.0", "ws://a10.example", "ws://[::a]"]),
        ("10.1.2.3/8", ["ws://10.9.9.9"], []),
        ("2001:db8::/32", ["ws://[2001:db8::1]"], ["ws://[2001:db9::1]", "ws://1.2.3.4"]),
        ("2001:db8:0::1", ["ws://[2001:db8::1]"], ["ws://[2001:db8::2]"]),
        ("[2001:db8::1]", ["ws://[2001:db8::1]"], []),
        ("[2001:db8::]/32", ["ws://[2001:db8::1]"], []),
        ("[2001:db8::1]:81", ["ws://[2001:db8::1]:81"], ["ws://[2001:db8::1]"]),
        ("a.example:x, 10.0.0.0/99, :, [, ]:1, .", [], ["ws://a.example", "ws://10.0.0.1"]),
    ],
)
def test_no_proxy(no_proxy, covered, not_covered):
    """Names with all below them, addresses, networks, ports and the star."""
    assert [exempt(*place(url), no_proxy) for url in covered] == [True] * len(covered)
    assert [exempt(*place(url), no_proxy) for url in not_covered] == [False] * len(not_covered)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("ws://localhost:8765", True),
        ("ws://LOCALHOST.", True),
        ("ws://app.localhost", True),
        ("ws://127.0.0.1", True),
        ("ws://127.9.9.9", True),
        ("ws://[::1]:81", True),
        ("ws://0.0.0.0", False),
        ("ws://192.168.0.1", False),
        ("ws://localhost.example", False),
        ("ws://notlocalhost", False),
    ],
)
def test_this_machine_is_reached_without_a_proxy(url, local):
    """As in browsers: for a proxy elsewhere it would be another machine."""
    assert is_this_machine(parse_uri(url).host) is local


def place(url):
    uri = parse_uri(url)
    return uri.host, uri.port


# The environment.


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        ({"WSS_PROXY": "h:1"}, None),
        ({"WS_PROXY": "h:1"}, "http://h:1"),
        ({"ws_proxy": "lower:1", "WS_PROXY": "upper:1"}, "http://lower:1"),
        ({"ws_proxy": "", "WS_PROXY": "upper:1"}, None),
        ({"https_proxy": "https://h:1", "HTTP_PROXY": "x:1"}, "https://h:1"),
        ({"ALL_PROXY": "socks5://h:1"}, "socks5://h:1"),
        ({"HTTP_PROXY": "h:1"}, "http://h:1"),
        ({"HTTP_PROXY": "h:1", "REQUEST_METHOD": "GET"}, None),
        ({"http_proxy": "h:1", "REQUEST_METHOD": "GET"}, "http://h:1"),
        ({"ws_proxy": "h:1", "NO_PROXY": "example.com"}, None),
        ({"ws_proxy": "h:1", "no_proxy": "", "NO_PROXY": "example.com"}, "http://h:1"),
        ({"ws_proxy": "h:1", "no_proxy": "example.org"}, "http://h:1"),
        ({"no_proxy": "example.org"}, None),
        ({"ws_proxy": "h:1", "no_proxy": "*"}, None),
    ],
)
def test_environment(monkeypatch, variables, found):
    """
    Lower case counts more than upper, and an empty one hides the other.

    HTTP_PROXY does not count in CGI, where it is a header of the client (httpoxy).
    """
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    proxy = system_proxy(WS)

    assert (proxy and str(proxy)) == found


def test_bad_url_in_the_environment(monkeypatch):
    """It is not passed over: the connection would go where it must not."""
    monkeypatch.setenv("ws_proxy", "ftp://me:hunter2@h")

    with pytest.raises(InvalidProxy, match=r"ftp://\*\*\*@h"):
        system_proxy(WS)


def test_the_system_has_exceptions(monkeypatch):
    """Where the environment says nothing, those of the system count."""
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://h:1"})
    asked = []
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: asked.append(host) or True)

    assert system_proxy(WS) is None
    assert asked == ["example.com"]


# CONNECT.


def test_connect_says_nothing_of_what_is_meant_for_the_server():
    """The proxy is told where to, and who asks."""
    proxy = parse_proxy("http://me:hunter2@h")
    uri = parse_uri("wss://you:secret@[2001:db8::1]/path?query")

    request = connect_request(proxy, uri, "agent")

    assert (request.method, request.path) == ("CONNECT", "[2001:db8::1]:443")
    assert request.headers == Headers(
        [
            ("Host", "[2001:db8::1]:443"),
            ("User-Agent", "agent"),
            ("Proxy-Authorization", "Basic bWU6aHVudGVyMg=="),
        ]
    )
    assert "bWU6" not in f"{request!r} {redacted(request.headers.items())}"


def refused(status, headers=(), url="http://h:1"):
    """Return the error for a refusal."""
    proxy = parse_proxy(url)
    with pytest.raises(InvalidProxyStatus) as caught:
        response = Response(status, headers, b"no")
        check_tunnel(proxy, connect_request(proxy, WS, None), response, b"")
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused(403), "refused to connect to example.com:80 with HTTP status 403"),
        (refused(101), "HTTP status 101"),
        (refused(407), r"wants a password .* http://user:password@h:1"),
        (refused(407, url="http://me:hunter2@h:1"), "does not take the user and password"),
        (refused(401, url="http://me:hunter2@h:1"), "does not take .* 401"),
        (
            refused(
                407,
                [("Proxy-Authenticate", "NTLM"), ("Proxy-Authenticate", 'Digest realm="x"')],
                url="http://me:hunter2@h:1",
            ),
            "wants NTLM or Digest",
        ),
        (refused(407, [("Proxy-Authenticate", 'BASIC realm="x"')]), "wants a password"),
        (refused(407, [("Proxy-Authenticate", "\x80?")]), "wants a password"),
    ],
)
def test_refusals(error, words):
    """The error has status, headers and body, and says what to do."""
    assert re.search(words, str(error))
    assert error.body == b"no"
    assert "hunter2" not in f"{error!r}"


def test_refusals_pass_between_processes():
    """They carry plain values."""
    error = refused(407, [("X", "y")])

    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(same), same.status, same.headers, same.body) == (
            str(error),
            407,
            [("X", "y")],
            b"no",
        )


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_opens_the_tunnel(status):
    """RFC 9110 section 9.3.6."""
    proxy = Proxy("http", "h", 1)
    request = connect_request(proxy, WS, None)

    check_tunnel(proxy, request, Response(status), b"")

    with pytest.raises(ProxyError, match="3 bytes"):
        check_tunnel(proxy, request, Response(status), b"xyz")
