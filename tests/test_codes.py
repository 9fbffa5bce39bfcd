"""The numbers of RFC 6455: each value, and which close codes may travel."""

from __future__ import annotations

import pytest

from syncws.codes import (
    NORMAL_CLOSE_CODES,
    CloseCode,
    Opcode,
    Role,
    State,
    describe,
    may_be_sent,
)

# Sections 7.4.1 and 7.4.2, and 1012-1014 of the IANA registry.
SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_opcodes_are_those_of_section_5_2():
    """The six opcodes have the values of section 5.2."""
    values = {opcode.name: opcode.value for opcode in Opcode}

    assert values == {"CONT": 0, "TEXT": 1, "BINARY": 2, "CLOSE": 8, "PING": 9, "PONG": 10}


def test_close_codes_are_those_of_the_registry():
    """The close codes are 1000 to 1015 without the reserved 1004."""
    assert sorted(CloseCode) == [1000, 1001, 1002, 1003, *range(1005, 1016)]


def test_states_are_those_of_the_rfc():
    """A connection has the RFC's four states, and two roles."""
    assert [state.value for state in State] == ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]
    assert [role.value for role in Role] == ["client", "server"]


def test_may_be_sent_accepts_exactly_the_codes_for_the_wire():
    """Of all 16-bit numbers only the codes of sections 7.4.1 and 7.4.2 may be sent."""
    accepted = {code for code in range(-1, 65537) if may_be_sent(code)}

    assert accepted == SENDABLE


def test_normal_close_codes_are_those_without_an_error():
    """Only 1000, 1001 and an absent code are a normal end."""
    assert {1000, 1001, 1005} == NORMAL_CLOSE_CODES


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1000, "1000 (normal closure)"),
        (1001, "1001 (going away)"),
        (1009, "1009 (message too big)"),
        (1015, "1015 (tls handshake)"),
        (999, "999 (unknown)"),
        (1004, "1004 (unknown)"),
        (2999, "2999 (unknown)"),
        (3000, "3000 (registered)"),
        (3999, "3999 (registered)"),
        (4000, "4000 (private use)"),
        (4999, "4999 (private use)"),
        (5000, "5000 (unknown)"),
    ],
)
def test_describe_names_the_code(code, words):
    """A close code is shown as its number with its meaning, whatever the number."""
    assert describe(code) == words
