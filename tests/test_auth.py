"""Answers to a 401: functions of the user's own, and Digest (RFC 7616)."""

from __future__ import annotations

import logging
import re
import shutil
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import syncws
from support import wire
from support.peer import Peer
from support.threads import Running
from syncws.auth import Challenge, DigestAuth, digest
from syncws.sansio import Headers, parse_challenges

# RFC 2617 section 3.5.
RFC = {
    "realm": "testrealm@host.com",
    "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
    "qop": "auth,auth-int",
}
ALGORITHMS = ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"]
OFFER = 'Digest realm="r", nonce="n", qop="auth"'
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


def fields_of(answer):
    """Take the value of an Authorization header apart."""
    [(scheme, fields)] = parse_challenges([answer])
    assert scheme == "Digest"
    return fields


def challenge(*offers, target="/", refused=None):
    """Return what a server asks with these WWW-Authenticate headers."""
    headers = Headers([("WWW-Authenticate", offer) for offer in offers])
    return Challenge(401, headers, "GET", target, refused)


def asking(*offers):
    """Return a response of status 401."""
    lines = [f"WWW-Authenticate: {offer}\r\n" for offer in offers]
    return UNAUTHORIZED + "".join(lines).encode() + b"\r\n"


def authorization(head):
    """Return the Authorization header of a request, or None."""
    found = re.findall(rb"(?im)^authorization: (.*)\r$", head)
    assert len(found) <= 1
    return found[0].decode() if found else None


@pytest.fixture
def talk(listener):
    """Return a function: connect() meets these answers; returns (error, Authorization headers)."""

    def run(*answers, path="/", **options):
        def serve():
            heads = []
            for answer in answers:
                with Peer(listener.accept()[0], masked=False) as peer:
                    heads.append(peer.read_until(b"\r\n\r\n"))
                    peer.sock.sendall(answer)
            return heads

        server = Running(serve)
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}{path}"
        with pytest.raises(Exception) as caught:
            syncws.connect(url, **options)
        return caught.value, [authorization(head) for head in server.result()]

    return run


# What servers ask.


@pytest.mark.parametrize(
    ("values", "challenges"),
    [
        ([], []),
        ([""], []),
        ([", ,"], []),
        (["Negotiate"], [("Negotiate", {})]),
        (['Basic realm="x"'], [("Basic", {"realm": "x"})]),
        (['Basic REALM = "x"'], [("Basic", {"realm": "x"})]),
        (["Basic realm=x, charset=UTF-8"], [("Basic", {"realm": "x", "charset": "UTF-8"})]),
        ([r'Basic realm="a, \"b\" \\ c=d"'], [("Basic", {"realm": r'a, "b" \ c=d'})]),
        (["A x=1, B y=2, z=3"], [("A", {"x": "1"}), ("B", {"y": "2", "z": "3"})]),
        (["A x=1", "B y=2"], [("A", {"x": "1"}), ("B", {"y": "2"})]),
        (["NTLM TlRM", "Basic realm=x"], [("NTLM", {}), ("Basic", {"realm": "x"})]),
        (["A x=1, x=2"], [("A", {"x": "1"})]),
        (['A x="1', "B y=2"], [("A", {"x": '"1'}), ("B", {"y": "2"})]),
        (["A x=1, a b c=2, @=3"], [("A", {"x": "1"})]),
        (["x=1, A y=2"], [("A", {"y": "2"})]),
    ],
)
def test_challenges_are_read(values, challenges):
    """Commas stand between challenges and within them; a quote ends with its header."""
    assert parse_challenges(values) == challenges


@given(st.lists(st.text(alphabet='aA1 ,="\\\t@é', max_size=60), max_size=5))
def test_challenges_of_anything(values):
    """No header makes it fail."""
    for scheme, parameters in parse_challenges(values):
        assert scheme
        assert all(name == name.lower() for name in parameters)


@pytest.mark.parametrize(
    ("start", "unit", "end"),
    [
        ("A ", "x=1,", ""),
        ('A x="', "\\\\", ""),
        ("", ",", ""),
        ("", " ", "x"),
        ("", "A,", ""),
        ("A x=", '"', ""),
        ("A ", "=", ""),
    ],
)
def test_challenges_are_read_in_linear_time(start, unit, end):
    """Twice the text is at most about twice the work."""
    short, long = start + unit * 2**14 + end, start + unit * 2**15 + end

    work, double = (
        wire.calls(lambda text=text: parse_challenges([text])) for text in (short, long)
    )

    assert double < 3 * work + 100
    assert wire.cpu_seconds(lambda: parse_challenges([long])) < 0.5


def test_challenge_shows_no_secret():
    """Its repr may stand in a log."""
    assert "hunter2" not in repr(challenge(OFFER, refused="Bearer hunter2"))


# Digest.


def test_digest_of_the_rfc():
    """RFC 2617 section 3.5, as it stands there; RFC 7616 hashes the same things."""
    answer = digest(RFC, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", 1, "0a4f113b")

    assert fields_of(answer) == {
        "username": "Mufasa",
        "realm": RFC["realm"],
        "uri": "/dir/index.html",
        "algorithm": "MD5",
        "nonce": RFC["nonce"],
        "nc": "00000001",
        "cnonce": "0a4f113b",
        "qop": "auth",
        "response": "6629fae49393a05397450978507c4ef1",
        "opaque": RFC["opaque"],
    }


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("realm", ["plain", "gr\u00fcn"])
def test_digest_of_curl(listener, algorithm, realm):
    """curl answers the same challenges in the same way."""
    offer = f'Digest realm="{realm}", nonce="n/+=", qop="auth", algorithm={algorithm}, opaque="o"'
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/a?b=c"
    curl = subprocess.Popen(["curl", "-s", "--digest", "-u", "me:h\u00fcnter2", url])
    with curl:
        for answer in (asking(offer), NO):
            with Peer(listener.accept()[0], masked=False) as peer:
                head = peer.read_until(b"\r\n\r\n")
                peer.sock.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    theirs = re.search(rb"(?im)^authorization: (.*)\r$", head)[1].decode("latin-1")

    [(_, fields)] = parse_challenges([theirs])
    [offered] = challenge(offer.encode().decode("latin-1")).parameters("digest")
    ours = digest(
        offered, "me", "h\u00fcnter2", "GET", "/a?b=c", int(fields["nc"], 16), fields["cnonce"]
    )

    assert fields_of(ours) == fields


def test_digest_of_a_hidden_user():
    """RFC 7616 section 3.9.2 hashes the user's name; there it is SHA-512-256, here SHA-256."""
    offer = {**RFC, "algorithm": "SHA-256", "userhash": "true"}
    fields = fields_of(digest(offer, "Mufasa", "x", "GET", "/", 1, "c"))

    assert re.fullmatch("[0-9a-f]{64}", fields["username"])
    assert fields["userhash"] == "true"


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ('a"b\\c', r'username="a\"b\\c"'),
        ("J\u00e4s\u00f8n Doe", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),
        ("a\r\nX: y", "username*=UTF-8''a%0D%0AX%3A%20y"),
    ],
)
def test_digest_of_a_strange_user(user, field):
    """Nothing in a name ends its field or its header."""
    answer = digest(RFC, user, "x", "GET", "/", 1, "c")

    assert answer.startswith(f"Digest {field}, ")
    Headers([("Authorization", answer)])


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=30), st.text())
def test_digest_of_anything(text, user):
    """Whatever server and user are called, it is a header, and says back what was said."""
    text = text.replace("\x7f", "")
    offer = {**RFC, "realm": text, "nonce": text, "opaque": text}
    user = user.encode("utf-8", "ignore").decode()
    answer = digest(offer, user, user, "GET", "/", 1, "c")
    Headers([("Authorization", answer)])

    fields = fields_of(answer)
    assert (fields["realm"], fields["nonce"], fields["opaque"]) == (text, text, text)


def test_the_best_digest_is_taken():
    """SHA-256 before MD5, whatever comes first; what is unknown is passed over."""
    offers = [f"{OFFER}, algorithm={name}" for name in ("SHA-512-256", "MD5", "sha-256")]

    answer = DigestAuth("me", "pw")(challenge("Basic realm=x", *offers))

    assert fields_of(answer)["algorithm"] == "sha-256"


@pytest.mark.parametrize(
    "offer",
    [
        "Basic realm=x",
        "Digest",
        'Digest realm="r", qop="auth"',
        'Digest realm="r", nonce="n"',
        'Digest realm="r", nonce="n", qop="auth-int"',
        f"{OFFER}, algorithm=SHA-1",
        f"{OFFER}, algorithm=-sess",
    ],
)
def test_what_digest_does_not_answer(offer):
    """No Digest, or none that it knows."""
    assert DigestAuth("me", "pw")(challenge(offer)) is None


def test_uses_of_a_nonce_are_counted():
    """RFC 7616 section 3.4: the server sees a replay by the count; a new nonce begins with 1."""
    auth = DigestAuth("me", "pw")
    other = OFFER.replace('"n"', '"m"')

    answers = [fields_of(auth(challenge(offer))) for offer in (OFFER, OFFER, other, OFFER)]

    assert [fields["nc"] for fields in answers] == ["00000001", "00000002", "00000001", "00000003"]
    assert len({fields["cnonce"] for fields in answers}) == 4


def test_nonces_are_forgotten():
    """A server that has a new nonce for each connection costs no memory."""
    auth = DigestAuth("me", "pw")
    for number in range(1000):
        auth(challenge(OFFER.replace('"n"', f'"{number}"')))

    assert len(auth._uses) < 20


def test_a_refused_password_is_not_tried_again():
    """Unless only the nonce was too old, or it was for another target."""
    auth = DigestAuth("me", "pw")
    refused = auth(challenge(OFFER))

    assert auth(challenge(OFFER, refused=refused)) is None
    assert auth(challenge(f"{OFFER}, stale=TRUE", refused=refused)) is not None
    assert auth(challenge(OFFER, refused=refused, target="/there")) is not None
    assert auth(challenge(OFFER, refused="Bearer x")) is not None


# connect().


def test_digest_opens_a_connection(serve):
    """One 401, one answer, and the WebSocket is open; each connection counts on."""
    seen = []

    def check(request):
        given = request.headers.get("Authorization")
        if given is None:
            return syncws.Response(401, [("WWW-Authenticate", f"{OFFER}, algorithm=SHA-256")])
        fields = fields_of(given)
        seen.append(fields["nc"])
        [offer] = challenge(f"{OFFER}, algorithm=SHA-256").parameters("Digest")
        count, cnonce = int(fields["nc"], 16), fields["cnonce"]
        right = digest(offer, "me", "hunter2", "GET", request.path, count, cnonce)
        return None if given == right else syncws.Response(403)

    url = serve(process_request=check).url + "/room?a=b"
    auth = DigestAuth("me", "hunter2")

    for _ in range(2):
        with syncws.connect(url, auth=auth) as ws:
            ws.send("hello")
            assert ws.recv(timeout=10) == "hello"
    with pytest.raises(syncws.InvalidStatus, match="403"):
        syncws.connect(url, auth=DigestAuth("me", "wrong"))
    assert seen[:2] == ["00000001", "00000002"]


def test_stale_nonce_is_renewed(talk):
    """The server's nonce was too old: one more, with the new one."""
    renewed = asking(OFFER.replace('"n"', '"m"') + ", stale=true")

    exc, sent = talk(asking(OFFER), renewed, NO, auth=DigestAuth("me", "pw"))

    assert exc.status == 403
    assert [value and fields_of(value)["nonce"] for value in sent] == [None, "n", "m"]


def test_function_is_told_what_the_server_said(talk):
    """It gets the facts, and what it returns is sent."""
    challenges = []

    def refresh(challenge):
        challenges.append(challenge)
        return f"Bearer {len(challenges)}"

    exc, sent = talk(
        asking('Bearer error="invalid_token"'),
        NO,
        path="/a?b=c",
        additional_headers={"Authorization": "Bearer 0"},
        auth=refresh,
    )

    [told] = challenges
    assert exc.status == 403
    assert sent == ["Bearer 0", "Bearer 1"]
    assert (told.status, told.method, told.target) == (401, "GET", "/a?b=c")
    assert told.parameters("bearer") == [{"error": "invalid_token"}]
    assert told.refused == "Bearer 0"


def test_function_gives_up(talk):
    """None leaves the refusal as it is."""
    exc, sent = talk(asking("Bearer"), auth=lambda challenge: None)

    assert (exc.status, sent) == (401, [None])


@pytest.mark.parametrize("limit", [0, 5])
def test_answers_are_limited(talk, limit):
    """A server that is never content gets three answers, however many redirects are allowed."""
    exc, sent = talk(
        *[asking("Bearer")] * 4, auth=lambda challenge: "Bearer x", max_redirects=limit
    )

    assert (exc.status, sent) == (401, [None, "Bearer x", "Bearer x", "Bearer x"])


def test_only_401_is_answered(talk):
    """Another refusal is one, whatever it asks."""
    asked = []
    exc, _ = talk(NO.replace(b"\r\n\r\n", b"\r\nWWW-Authenticate: A\r\n\r\n"), auth=asked.append)

    assert (exc.status, asked) == (403, [])


def test_function_that_returns_something_else(talk):
    """It is told what was expected; the value is not shown."""
    exc, _ = talk(asking("Bearer"), auth=lambda challenge: b"hunter2")

    assert isinstance(exc, TypeError)
    assert "bytes; expected str or None" in str(exc)
    assert "hunter2" not in str(exc)


def test_function_that_raises(talk):
    """What it raises comes out."""
    exc, _ = talk(asking("Bearer"), auth=lambda challenge: {}["token"])

    assert isinstance(exc, KeyError)


def test_function_is_not_asked_elsewhere(talk, serve):
    """After a redirect to another origin the answer is nobody's business."""
    asked = []
    other = serve(process_request=lambda request: syncws.Response(401, [("WWW-Authenticate", "A")]))
    moved = f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()

    exc, _ = talk(moved, auth=asked.append)

    assert (exc.status, asked) == (401, [])


def test_answer_is_not_sent_elsewhere(talk, serve):
    """What was sent to the first origin is not sent to the next."""
    seen = []

    def look(request):
        seen.append(request.headers.get("Authorization"))
        return syncws.Response(403)

    other = serve(process_request=look)
    moved = f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()

    _, sent = talk(asking("Bearer"), moved, auth=lambda challenge: "Bearer hunter2")

    assert (sent, seen) == ([None, "Bearer hunter2"], [None])


def test_answers_share_the_deadline(listener):
    """open_timeout is for all attempts together."""

    def serve():
        with Peer(listener.accept()[0], masked=False) as peer:
            peer.read_until(b"\r\n\r\n")
            peer.sock.sendall(asking("Bearer"))
        with Peer(listener.accept()[0], masked=False) as peer:
            peer.read_until(b"\r\n\r\n")
            return peer.at_eof()

    server = Running(serve)
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"

    with pytest.raises(TimeoutError):
        syncws.connect(url, auth=lambda challenge: "Bearer x", open_timeout=0.15)

    assert server.result()  # the second request came, and waited in vain


def test_a_given_socket_is_used_once():
    """With sock= there is no second attempt."""
    ours, theirs = socket.socketpair()
    with Peer(theirs, masked=False) as peer:
        client = Running(
            syncws.connect, "ws://localhost/", sock=ours, auth=lambda challenge: "Bearer x"
        )
        peer.read_until(b"\r\n\r\n")
        peer.sock.sendall(asking("Bearer"))
        assert client.error().status == 401


def test_answers_are_not_logged(talk, caplog):
    """Nothing that was answered is in a log, though everything is logged."""
    caplog.set_level(logging.DEBUG)

    exc, sent = talk(asking(OFFER), NO, auth=lambda challenge: "Bearer hunter2")

    assert sent[1] == "Bearer hunter2"
    assert "Authorization" in caplog.text
    assert "hunter2" not in caplog.text + str(exc) + repr(exc)


def test_password_is_nowhere_in_the_answer(talk, caplog):
    """Neither in the header nor in the object's repr."""
    caplog.set_level(logging.DEBUG)
    auth = DigestAuth("me", "hunter2")

    _, sent = talk(asking(OFFER), NO, auth=auth)

    assert "hunter2" not in "".join([repr(auth), sent[1], caplog.text])
