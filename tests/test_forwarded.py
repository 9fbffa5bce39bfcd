"""The client's address behind a reverse proxy: Forwarded (RFC 7239) and X-Forwarded-For."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.wire import cpu_seconds
from syncws import Headers, InvalidHeader
from syncws.forwarded import TrustedProxies

PROXY = ("10.0.0.1", 40000)
TRUSTED = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
MIB_16TH = 64 * 1024  # twice of what the headers of a request may have


def forwarded(*values, peer=PROXY, trusted=TRUSTED):
    """Return whom the peer speaks for with these Forwarded headers."""
    return trusted.client_address(peer, Headers([("Forwarded", value) for value in values]))


def x_forwarded_for(*values, peer=PROXY, trusted=TRUSTED):
    """Return whom the peer speaks for with these X-Forwarded-For headers."""
    return trusted.client_address(peer, Headers([("X-Forwarded-For", value) for value in values]))


def both(forwarded, x_forwarded_for):
    """Return whom the peer speaks for with both headers."""
    headers = Headers([("X-Forwarded-For", x_forwarded_for), ("Forwarded", forwarded)])
    return TRUSTED.client_address(PROXY, headers)


# Whom to trust.


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (["10.0.0.1"], PROXY),
        (["10.0.0.0/8"], PROXY),
        (["10.0.0.0/255.0.0.0"], PROXY),
        (("192.0.2.1", "10.0.0.1"), PROXY),
        (iter(["10.0.0.1"]), PROXY),
        ({ipaddress.ip_address("10.0.0.1")}, PROXY),
        ([ipaddress.ip_network("10.0.0.0/8")], PROXY),
        (["::1"], ("::1", 40000, 0, 0)),
        (["0::0001"], ("::1", 40000, 0, 0)),
        ([ipaddress.ip_address("::1")], ("::1", 40000, 0, 0)),
        (["fe80::/10"], ("fe80::1%eth0", 40000, 0, 2)),
        (["fe80::1"], ("fe80::1%eth0", 40000, 0, 2)),
        (["10.0.0.0/8"], ("::ffff:10.0.0.1", 40000, 0, 0)),
        (["::ffff:10.0.0.0/104"], PROXY),
        (["::ffff:10.0.0.1"], PROXY),
        (["::ffff:10.0.0.1"], ("::ffff:10.0.0.1", 40000, 0, 0)),
        (["unix"], ""),
        (["unix"], "/run/proxy.sock"),
        (["unix"], b"\0abstract"),
        (["10.0.0.1", "unix"], ""),
        (["10.0.0.1", "unix"], PROXY),
    ],
    ids=str,
)
def test_trusted_peers_are_believed(trusted, peer):
    """Addresses, networks, objects of ipaddress, "unix"; IPv4 also if it is wrapped in IPv6."""
    trusted = TrustedProxies(trusted)

    assert forwarded("for=192.0.2.7", peer=peer, trusted=trusted) == ("192.0.2.7", 0)
    assert x_forwarded_for("192.0.2.7", peer=peer, trusted=trusted) == ("192.0.2.7", 0)


@pytest.mark.parametrize(
    "peer",
    [
        ("192.0.2.1", 40000),
        ("11.0.0.1", 40000),
        ("::1", 40000, 0, 0),
        ("fe80::1%eth0", 40000, 0, 2),
        ("::ffff:192.0.2.1", 40000, 0, 0),
        ("", 40000),
        ("localhost", 40000),
        (2, 40000),  # of AF_VSOCK
        "",
        "/run/proxy.sock",
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("trusted", [TrustedProxies(), TRUSTED], ids=["nobody", "some"])
def test_others_are_not_believed(trusted, peer):
    """Their own address stays as it is, whatever they say."""
    assert forwarded("for=192.0.2.7", peer=peer, trusted=trusted) == peer
    assert x_forwarded_for("192.0.2.7", peer=peer, trusted=trusted) == peer
    assert x_forwarded_for("\\", peer=peer, trusted=trusted) == peer


@pytest.mark.parametrize("peer", [PROXY, ("fd00::1", 40000, 0, 0)], ids=str)
def test_without_headers_the_peer_is_the_client(peer):
    """A trusted peer that speaks for nobody is a client, too."""
    assert TRUSTED.client_address(peer, Headers()) == peer


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("10.0.0.0/8", "is a list"),
        (b"10.0.0.0/8", "is a list"),
        (ipaddress.ip_network("10.0.0.0/8"), "is a list"),
        (ipaddress.ip_address("10.0.0.1"), "is a list"),
        (None, "is a list"),
        (True, "is a list"),
        ([0x0A000001], "167772161 is neither"),
        ([b"\x0a\0\0\1"], "is neither"),
        ([None], "None is neither"),
    ],
    ids=str,
)
def test_of_another_type(given, says):
    """One str is a mistake that would be seen late; numbers and bytes are one, too."""
    with pytest.raises(TypeError, match=f"^trusted_proxies.* {says}"):
        TrustedProxies(given)


@pytest.mark.parametrize(
    "text", ["example.com", "localhost", "", "*", "10.0.0", "10.0.0.1:80", "[::1]", "10.0.0.0/33"]
)
def test_no_addresses(text):
    """A name is not looked up, and not ignored either."""
    with pytest.raises(ValueError, match=f"^trusted_proxies: {re.escape(repr(text))} is not an IP"):
        TrustedProxies([text])


@pytest.mark.parametrize(
    ("text", "network", "host"),
    [("10.0.0.1/8", "10.0.0.0/8", "10.0.0.1"), ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1")],
)
def test_a_host_in_a_network(text, network, host):
    """Either may be meant, so the error says how to write each."""
    with pytest.raises(ValueError) as caught:
        TrustedProxies([text])

    assert f"'{network}'" in str(caught.value)
    assert f"'{host}'" in str(caught.value)


# What the headers say.


@pytest.mark.parametrize(
    ("value", "address"),
    [
        # RFC 7239 section 4, and 6.
        ('for="_gazonk"', PROXY),
        ('For="[2001:db8:cafe::17]:4711"', ("2001:db8:cafe::17", 4711, 0, 0)),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", ("192.0.2.60", 0)),
        ("for=192.0.2.43, for=198.51.100.17", ("198.51.100.17", 0)),
        ('for="192.0.2.43:47011"', ("192.0.2.43", 47011)),
        ('for="[2001:db8:cafe::17]:47011"', ("2001:db8:cafe::17", 47011, 0, 0)),
        ("for=unknown", PROXY),
        ("for=_hidden, for=_SEVKISEK", PROXY),
        # The grammar.
        ("FOR=192.0.2.7", ("192.0.2.7", 0)),
        ('for="192.0.2.7"', ("192.0.2.7", 0)),
        (r'for="19\2.0.2\.7"', ("192.0.2.7", 0)),
        ('by=_a;proto="http";host="a,b;c=\\"d\\\\";for=192.0.2.7', ("192.0.2.7", 0)),
        ('for=192.0.2.7;host="a, for=198.51.100.1"', ("192.0.2.7", 0)),
        ('for=192.0.2.7;host=""', ("192.0.2.7", 0)),
        ("for=192.0.2.7 ; proto=http\t,\tfor=198.51.100.1", ("198.51.100.1", 0)),
        ('for="192.0.2.7:_port"', ("192.0.2.7", 0)),
        ('for="192.0.2.7:0"', ("192.0.2.7", 0)),
        ('for="192.0.2.7:65535"', ("192.0.2.7", 65535)),
        ('for="[2001:DB8:0::0017]"', ("2001:db8::17", 0, 0, 0)),
        ('for="[::ffff:192.0.2.7]:80"', ("192.0.2.7", 80)),
        # Not quite RFC 7239, but clear, and written by many.
        ("for=192.0.2.7:80", ("192.0.2.7", 80)),
        ("for=[2001:db8::17]:80", ("2001:db8::17", 80, 0, 0)),
        ("for=2001:db8::17", ("2001:db8::17", 0, 0, 0)),
    ],
)
def test_forwarded(value, address):
    """What RFC 7239 allows, and what proxies write in its place."""
    assert forwarded(value) == address


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.7", ("192.0.2.7", 0)),
        ("198.51.100.1, 192.0.2.7", ("192.0.2.7", 0)),
        ("198.51.100.1,192.0.2.7", ("192.0.2.7", 0)),
        (" \t192.0.2.7\t ", ("192.0.2.7", 0)),
        ("192.0.2.7:80", ("192.0.2.7", 80)),
        ("2001:db8::17", ("2001:db8::17", 0, 0, 0)),
        ("[2001:db8::17]", ("2001:db8::17", 0, 0, 0)),
        ("[2001:db8::17]:80", ("2001:db8::17", 80, 0, 0)),
        ("::ffff:192.0.2.7", ("192.0.2.7", 0)),
    ],
)
def test_x_forwarded_for(value, address):
    """There is no standard; this is what proxies write."""
    assert x_forwarded_for(value) == address


@pytest.mark.parametrize("tell", [forwarded, x_forwarded_for])
def test_from_proxy_to_proxy(tell):
    """Trusted addresses are proxies on the way; the first of another is the client."""
    way = "for=" if tell is forwarded else ""

    def told(*hosts):
        return tell(", ".join(f"{way}{host}" for host in hosts))

    assert told("198.51.100.1", "192.0.2.7", "10.0.0.2", "10.0.0.3") == ("192.0.2.7", 0)
    assert told("192.0.2.7", "::ffff:10.0.0.2", "fd00::2") == ("192.0.2.7", 0)
    assert told("10.0.0.4", "fd00::2", "10.0.0.3") == ("10.0.0.4", 0)  # all are: the leftmost


@pytest.mark.parametrize("tell", [forwarded, x_forwarded_for])
def test_several_header_lines_are_one(tell):
    """A proxy may add a line of its own instead of adding to the one that is there."""
    way = "for=" if tell is forwarded else ""

    assert tell(f"{way}198.51.100.1", f"{way}192.0.2.7") == ("192.0.2.7", 0)
    assert tell(f"{way}192.0.2.7", f"{way}10.0.0.2", f"{way}10.0.0.3") == ("192.0.2.7", 0)
    assert tell("", f"{way}192.0.2.7") == ("192.0.2.7", 0)


GARBAGE = [
    "",
    "unknown",
    "_hidden",
    "example.com",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.7:65536",
    "192.0.2.7:123456",
    "192.0.2.7:",
    "192.0.2.7:-1",
    "192.0.2.7:8²",
    "192.0.2.7 80",
    "[192.0.2.7]",
    "[2001:db8::17",
    "2001:db8::17]",
    "[2001:db8::17]80",
    "[]",
    ":",
    "2001:db8:::17",
    "fe80::1%eth0",
    "[fe80::1%eth0]:80",
    "192.0.2.7/32",
    "unix:",
    "127.1",
    "0x7f000001",
]


@pytest.mark.parametrize("node", GARBAGE)
def test_nothing_left_of_garbage_is_believed(node):
    """What is no address stops the walk; the last good one to the right of it counts."""
    assert x_forwarded_for(f"192.0.2.7, {node}") == PROXY
    assert x_forwarded_for(f"192.0.2.7, {node}, 10.0.0.2") == ("10.0.0.2", 0)
    assert x_forwarded_for("192.0.2.7", node) == PROXY
    for element in (f"for={node}", f'for="{node}"'):
        assert forwarded(f"for=192.0.2.7, {element}") == PROXY
        assert forwarded(f"for=192.0.2.7, {element}, for=10.0.0.2") == ("10.0.0.2", 0)


@pytest.mark.parametrize(
    "element",
    [
        "192.0.2.7",
        "for",
        "for=",
        "for =192.0.2.7",
        "for= 192.0.2.7",
        "for:192.0.2.7",
        "=192.0.2.7",
        "proto=http",  # does not say for whom
        "by=192.0.2.7",
        "for=192.0.2.7;for=192.0.2.7",
        "for=192.0.2.7;FOR=192.0.2.8",
        "for=192.0.2.7;",
        ";for=192.0.2.7",
        "for=192.0.2.7;proto",
        "for=192.0.2.7;pro to=http",
        'for=192.0.2.7;proto="http"s',
        'for=192.0.2.7;"proto"=http',
        'for="192.0.2.7',
        'for=192.0.2.7"',
        r'for="192.0.2.7\"',
        '"for=192.0.2.7"',
        "for='192.0.2.7'",
        'for="for=192.0.2.7"',
    ],
)
def test_elements_that_are_no_elements(element):
    """An element counts as a whole or not at all."""
    assert forwarded(element) == PROXY
    assert forwarded(f"for=198.51.100.1, {element}") == PROXY
    assert forwarded("for=198.51.100.1", element) == PROXY


ATTACKS = [
    "192.0.2.66",
    "for=192.0.2.66",
    "for=192.0.2.66, for=10.0.0.2",
    "for=192.0.2.66;",
    "for=192.0.2.66,",
    'for="',
    'for=192.0.2.66;x="',
    'for=192.0.2.66, for="',
    'for=192.0.2.66, x="\\',
    '"',
    '""',
    '"\\"',
    "\\",
    "192.0.2.66,",
    ", 192.0.2.66, 10.0.0.2,",
    "\x80\xff",
]
WRITTEN = [
    ("for=192.0.2.7", ("192.0.2.7", 0)),
    ('for="192.0.2.7:4711"', ("192.0.2.7", 4711)),
    ('for="[2001:db8::17]:4711"', ("2001:db8::17", 4711, 0, 0)),
    ('proto=https;host="a\\"b";for=192.0.2.7', ("192.0.2.7", 0)),
    ('for=192.0.2.7;host="\\\\", for="10.0.0.2:80";host="\\\\\\""', ("192.0.2.7", 0)),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_clients_send_does_not_change_what_the_proxy_wrote(attack):
    """Whether the proxy adds to the client's header or a header behind it; quotes do not help."""
    for written, address in WRITTEN:
        assert forwarded(f"{attack}, {written}") == address
        assert forwarded(attack, written) == address
    assert x_forwarded_for(f"{attack}, 192.0.2.7") == ("192.0.2.7", 0)
    assert x_forwarded_for(attack, "192.0.2.7") == ("192.0.2.7", 0)


LATIN_1 = st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f")
TEXTS = st.one_of(
    st.text(LATIN_1),
    st.lists(
        st.sampled_from([*'\\",;= []:%_', "for", "10.0.0.2", "192.0.2.66", "fd00::1", "1"])
    ).map("".join),
)


@given(TEXTS, st.sampled_from(WRITTEN))
def test_no_text_changes_what_the_proxy_wrote(attack, written):
    """The same for every text that a header can have."""
    text, address = written

    assert forwarded(f"{attack}, {text}") == address
    assert forwarded(attack, text) == address


@given(TEXTS)
def test_every_text_gives_an_address(text):
    """Never an exception, and a tuple as getpeername() makes them."""
    for address in (forwarded(text), x_forwarded_for(text)):
        host, port, *rest = address
        assert 0 <= port <= 65535
        assert rest == ([0, 0] if ipaddress.ip_address(host).version == 6 else [])


NODES = st.tuples(st.ip_addresses(), st.integers(0, 65535))


def quoted(text):
    """Write a quoted-string with a backslash before every second character."""
    return '"' + "".join(f"\\{char}" if at % 2 else char for at, char in enumerate(text)) + '"'


@given(st.lists(NODES, min_size=1), st.booleans())
def test_a_chain_as_the_rfc_has_it(nodes, escaped):
    """The client is the last address that is not trusted, or the first of all."""
    networks = [ipaddress.ip_network("0.0.0.0/1"), ipaddress.ip_network("::/1")]
    trusted = TrustedProxies([*networks, "unix"])
    texts = [f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}" for ip, port in nodes]
    values = [f"for={quoted(text)}" if escaped else f'for="{text}"' for text in texts]
    plain = [(getattr(ip, "ipv4_mapped", None) or ip, port) for ip, port in nodes]
    others = [node for node in plain if not any(node[0] in network for network in networks)]
    ip, port = others[-1] if others else plain[0]

    told = forwarded(", ".join(values), peer="", trusted=trusted)

    assert told == ((str(ip), port, 0, 0) if ip.version == 6 else (str(ip), port))
    assert x_forwarded_for(", ".join(texts), peer="", trusted=trusted) == told


# Both headers.


def test_both_headers_may_say_the_same():
    """Some proxies write both, and one of them without the port."""
    assert both("for=192.0.2.7", "192.0.2.7") == ("192.0.2.7", 0)
    assert both('for="192.0.2.7:80"', "192.0.2.7:80") == ("192.0.2.7", 80)
    assert both('for="192.0.2.7:80"', "192.0.2.7") == ("192.0.2.7", 0)
    assert both('for="[2001:db8::17]:80"', "2001:db8:0::17") == ("2001:db8::17", 0, 0, 0)
    assert both("for=192.0.2.7, for=10.0.0.2", "192.0.2.7") == ("192.0.2.7", 0)
    assert both("for=192.0.2.66, for=192.0.2.7", "192.0.2.7") == ("192.0.2.7", 0)
    assert both("for=unknown", "unknown") == PROXY


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("for=192.0.2.7", "192.0.2.66"),
        ("for=192.0.2.7", "10.0.0.2"),
        ("for=192.0.2.7", ""),
        ("for=192.0.2.7", "unknown"),
        ("", "192.0.2.7"),
        ('for="', "192.0.2.7"),
        ("for=unknown", "192.0.2.7"),
        ("for=10.0.0.1", "192.0.2.7"),
    ],
)
def test_both_headers_must_not_differ(ours, theirs):
    """One of them may be smuggled through a proxy that knows only the other: believe neither."""
    with pytest.raises(InvalidHeader, match="the proxy must remove the one it does not write"):
        both(ours, theirs)


# Time.


@pytest.mark.parametrize(
    "value",
    [
        "for=10.0.0.2," * (MIB_16TH // 13),
        '"' * MIB_16TH,
        "\\" * MIB_16TH,
        '"\\' * (MIB_16TH // 2),
        '\\"' * (MIB_16TH // 2) + '"',
        'for="' + "\\" * MIB_16TH + '"',
        'for="' + '\\"' * (MIB_16TH // 2),
        ";" * MIB_16TH,
        "," * MIB_16TH,
        "for=" * (MIB_16TH // 4),
        "for=" + "1" * MIB_16TH,
        "for=" + ":" * MIB_16TH,
        "1.1.1.1:" * (MIB_16TH // 8),
        "f" * MIB_16TH,
        " " * MIB_16TH + "x",
    ],
    ids=lambda value: value[:9],
)
def test_linear_time(value):
    """More than any request can have takes no time worth speaking of, whatever it is."""
    for tell in (forwarded, x_forwarded_for):
        assert cpu_seconds(lambda tell=tell: tell(f"x{value}")) < 1
        assert cpu_seconds(lambda tell=tell: tell(f"x{value}, for=10.0.0.2")) < 1
