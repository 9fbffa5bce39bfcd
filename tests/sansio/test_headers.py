"""Header fields: an ordered multi-map that nothing can be smuggled through, and its grammar."""

from __future__ import annotations

import string

import pytest

from support import wire
from syncws.sansio.headers import Headers, is_token, parse_token_list, redacted

# RFC 9110 section 5.6.2.
TOKEN_CHARACTERS = set("!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters)

# CR, LF and NUL end a header for somebody; the other control characters have no place either.
CONTROLS = [chr(number) for number in range(32) if chr(number) != "\t"] + ["\x7f"]

SECRETS = ["Authorization", "proxy-authorization", "COOKIE", "Set-Cookie"]


@pytest.fixture
def headers():
    return Headers([("Host", "example.com"), ("Accept", "a"), ("X-Other", "x"), ("accept", "b")])


# The map.


@pytest.mark.parametrize(
    "source",
    [
        [("Host", "a"), ("Accept", "b")],
        {"Host": "a", "Accept": "b"},
        Headers([("Host", "a"), ("Accept", "b")]),
        iter([("Host", "a"), ("Accept", "b")]),
    ],
    ids=["pairs", "mapping", "headers", "iterator"],
)
def test_headers_are_made_of_pairs_or_a_mapping(source):
    """Headers can be made of pairs, of a mapping or of other Headers."""
    assert Headers(source).items() == [("Host", "a"), ("Accept", "b")]


def test_headers_of_nothing_are_empty():
    """Without an argument there are no fields."""
    headers = Headers()

    assert (len(headers), list(headers), headers.items()) == (0, [], [])


def test_headers_made_of_headers_are_their_own():
    """A copy does not change with the original."""
    original = Headers({"Host": "a"})
    copy = Headers(original)

    original.add("Accept", "b")

    assert copy.items() == [("Host", "a")]


def test_headers_keep_order_spelling_and_repetition(headers):
    """Fields come out as they went in."""
    assert list(headers) == ["Host", "Accept", "X-Other", "accept"]
    assert len(headers) == 4


def test_headers_are_found_in_any_case(headers):
    """Names compare without regard to case, and all values of a name belong together."""
    assert headers.get_all("ACCEPT") == ["a", "b"]
    assert headers.get("host") == headers["HOST"] == "example.com"


def test_headers_join_what_is_repeated(headers):
    """Several values of one name are one list (RFC 9110 section 5.3)."""
    assert headers.get("Accept") == headers["Accept"] == "a, b"


def test_headers_without_a_name(headers):
    """A missing name gives the default, no values, or a KeyError."""
    assert headers.get("Missing") is None
    assert headers.get("Missing", "x") == "x"
    assert headers.get_all("Missing") == []
    with pytest.raises(KeyError, match="Missing"):
        headers["Missing"]


def test_headers_know_what_they_contain(headers):
    """``in`` asks for a name in any case, and nothing but a str is one."""
    assert "hOST" in headers
    assert "Missing" not in headers
    assert 1 not in headers


def test_setting_a_header_replaces_all_its_values(headers):
    """Assignment leaves one field of the name, at the end."""
    headers["ACCEPT"] = "c"

    assert headers.items() == [("Host", "example.com"), ("X-Other", "x"), ("ACCEPT", "c")]


def test_setting_a_bad_value_changes_nothing(headers):
    """A refused assignment leaves the field as it was."""
    before = headers.items()

    with pytest.raises(ValueError, match="control character"):
        headers["Accept"] = "c\r\nX: y"

    assert headers.items() == before


def test_discarding_a_header_removes_all_its_values(headers):
    """A name is discarded in any case; one that is missing is no error."""
    headers.discard("aCCEPT")
    headers.discard("Missing")

    assert list(headers) == ["Host", "X-Other"]


def test_headers_are_equal_in_any_case_of_names():
    """Headers are equal if their fields are, in order, names in any case."""
    headers = Headers({"Host": "a", "Accept": "b"})

    assert headers == Headers({"HOST": "a", "accept": "b"})
    assert headers != Headers({"Accept": "b", "Host": "a"})
    assert headers != Headers({"Host": "A", "Accept": "b"})
    assert headers != [("Host", "a"), ("Accept", "b")]


def test_headers_cannot_be_hashed():
    """Headers can change, so they are no key of a dict."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


# What goes in.


@pytest.mark.parametrize("character", CONTROLS, ids=lambda character: f"{ord(character):02x}")
@pytest.mark.parametrize("value", ["{}", "a{}b", "a{}"])
def test_headers_refuse_control_characters(character, value):
    """No control character but the tab gets into a value, wherever it stands."""
    with pytest.raises(ValueError, match="value of header X-Test has a control character"):
        Headers().add("X-Test", value.format(character))


def test_headers_take_everything_else_of_latin_1():
    """Tabs and spaces within a value stay, those around it go; the rest of Latin-1 is text."""
    value = "".join(map(chr, [9, *range(32, 127), *range(128, 256)]))

    headers = Headers([("X-Test", f" \t{value}\t ")])

    assert headers["X-Test"] == value.strip(" \t")


@pytest.mark.parametrize("value", ["€", "a\u0100", "\U0001f600", "\ud800"])
def test_headers_refuse_what_is_not_latin_1(value):
    """A character that no header can carry is refused."""
    with pytest.raises(ValueError, match="value of header X-Test is not Latin-1"):
        Headers().add("X-Test", value)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", "a\r\nb", "a\x00", "ä", "a\t", "(a)", '"a"']
)
def test_headers_refuse_names_that_are_no_tokens(name):
    """A name must be a token, so that it can end nowhere but at its colon."""
    with pytest.raises(ValueError, match="is not an HTTP token"):
        Headers().add(name, "x")


# Credentials.


@pytest.mark.parametrize("name", SECRETS)
def test_repr_shows_no_credentials(name):
    """The repr of headers replaces credentials by stars, whatever the case of the name."""
    headers = Headers([("Host", "a"), (name, "Basic c2VjcmV0")])

    assert repr(headers) == f"Headers([('Host', 'a'), ('{name}', '***')])"


def test_redacted_replaces_only_credentials():
    """Pairs come back in order, with stars for credentials and all else as it is."""
    pairs = [("Host", "a"), ("cookie", "session=1"), ("X-Cookie", "b")]

    assert redacted(pairs) == [("Host", "a"), ("cookie", "***"), ("X-Cookie", "b")]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["geheim\n", "geheim€"])
def test_refusing_a_value_shows_no_credentials(name, value):
    """The error for a bad value shows the value of a common header, but no credentials."""
    with pytest.raises(ValueError, match="geheim"):
        Headers().add("X-Test", value)
    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        Headers().add(name, value)

    assert "geheim" not in str(caught.value)


def test_refusing_a_value_shows_only_its_beginning():
    """A long value is cut in the error."""
    with pytest.raises(ValueError, match="xxx") as caught:
        Headers().add("X-Test", "x" * 10000 + "\0")

    assert len(str(caught.value)) < 200


# Grammar.


def test_is_token_knows_every_character():
    """Of all characters exactly those of RFC 9110 section 5.6.2 make a token."""
    accepted = {chr(number) for number in range(0x200) if is_token(chr(number))}

    assert accepted == TOKEN_CHARACTERS


def test_is_token_wants_one_character_at_least():
    """Nothing is no token, and one bad character spoils it."""
    assert not is_token("")
    assert is_token("Sec-WebSocket-Key")
    assert not is_token("Sec WebSocket")


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        ([], []),
        ([""], []),
        (["a"], ["a"]),
        (["a,b"], ["a", "b"]),
        ([" a \t,\tb "], ["a", "b"]),
        ([",a,,b , ,"], ["a", "b"]),
        (["keep-alive, Upgrade", "x"], ["keep-alive", "Upgrade", "x"]),
        (["a", "a"], ["a", "a"]),
    ],
)
def test_parse_token_list_reads_all_fields_as_one_list(values, tokens):
    """Tokens are separated by commas or fields; white space and empty elements are skipped."""
    assert parse_token_list(values) == tokens


@pytest.mark.parametrize(
    "value", ["a b", "a/1", '"a"', "a;q=1", "é", "a, b c", "a\x00", "a,\x0bb", "a\u00a0"]
)
def test_parse_token_list_refuses_what_is_no_token(value):
    """An element that is not a token is named."""
    with pytest.raises(ValueError, match="is not a token"):
        parse_token_list(["ok", value])


def refusal(text):
    """Return the words in which a list is refused."""
    try:
        return f"accepted: {parse_token_list([text])}"
    except ValueError as exc:
        return str(exc)


@pytest.mark.parametrize(
    ("start", "unit", "end"),
    [("a", " ", "x"), ("", "a,", "a b"), ("", ",", "("), ("", "\t ", "\x00"), ('b;a="', "\\c", "")],
    ids=["spaces", "tokens", "commas", "tabs", "unterminated string"],
)
def test_parse_token_list_is_linear(start, unit, end):
    """Twice the text is at most about twice the work, and the error stays short."""
    text = start + unit * 2**15 + end
    double = start + unit * 2**16 + end

    work = wire.calls(lambda: refusal(text))
    double_work = wire.calls(lambda: refusal(double))
    seconds = wire.cpu_seconds(lambda: refusal(double))

    assert double_work < 3 * work
    assert seconds < 0.5
    assert refusal(double).endswith("is not a token")
    assert len(refusal(double)) < 400
