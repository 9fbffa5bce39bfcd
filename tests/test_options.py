"""The knobs: their defaults, and values that cannot work."""

from __future__ import annotations

import dataclasses
import math

import pytest

from syncws.options import Deflate, Options, OptionsDict

TIMES = ["open_timeout", "ping_interval", "ping_timeout", "close_timeout", "send_timeout"]
LIMITS = ["max_size", "max_fragments", "max_queue", "max_queue_bytes", "fragment_size"]


def test_defaults_are_those_that_are_documented():
    """Nobody changes a default by accident."""
    assert dataclasses.asdict(Options()) == {
        "open_timeout": 10.0,
        "ping_interval": 20.0,
        "ping_timeout": 20.0,
        "close_timeout": 10.0,
        "send_timeout": None,
        "max_size": 1048576,
        "max_fragments": 131072,
        "max_queue": 4096,
        "max_queue_bytes": 524288,
        "fragment_size": 1048576,
        "compression": "deflate",
    }
    assert Options().deflate == Deflate()
    assert dataclasses.asdict(Deflate()) == {
        "server_no_context_takeover": False,
        "client_no_context_takeover": False,
        "server_max_window_bits": None,
        "client_max_window_bits": 12,
        "level": 6,
        "memory_level": 5,
        "threshold": 256,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"level": -1},
        {"level": 10},
        {"memory_level": 0},
        {"memory_level": 10},
        {"threshold": -1},
    ],
)
def test_settings_of_compression_that_cannot_work(settings):
    """They are refused by name, with the range."""
    ((name, value),) = settings.items()

    with pytest.raises(ValueError, match=f"{name}={value}; expected"):
        Deflate(**settings)
    for wrong in (9.0, "9", True, None)[: 3 if name == "server_max_window_bits" else 4]:
        with pytest.raises(TypeError, match=f"{name}={wrong!r}"):
            Deflate(**{name: wrong})


@pytest.mark.parametrize("value", ["gzip", "", True, 9, Deflate])
def test_compression_is_deflate_or_none(value):
    """Nothing else is known."""
    with pytest.raises(TypeError, match="compression="):
        Options(compression=value)
    assert Options(compression=None).deflate is None
    assert Options(compression=Deflate(level=1)).deflate == Deflate(level=1)


def test_defaults_admit_the_fragments_of_autobahn():
    """Its case 9.3.1 sends 4 MiB in 65,536 fragments."""
    assert Options().max_fragments >= 65536


def test_keyword_arguments_are_the_fields():
    """What a type checker lets pass is what there is."""
    fields = {field.name for field in dataclasses.fields(Options)}

    assert set(OptionsDict.__annotations__) == fields
    assert fields == {*TIMES, *LIMITS, "compression"}


def test_options_cannot_be_changed():
    """Connections share them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().max_size = 1


@pytest.mark.parametrize("name", [*TIMES, *LIMITS])
def test_none_means_no_limit(name):
    """Each of them can be turned off."""
    assert getattr(Options(**{name: None}), name) is None


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0.001, 1, 1e9, math.inf])
def test_times_are_positive_numbers(name, value):
    """Whole or not, in seconds."""
    assert getattr(Options(**{name: value}), name) == value


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0, 0.0, -1, -math.inf])
def test_times_of_nothing_are_refused_by_name(name, value):
    """A connection that may not take any time cannot work."""
    with pytest.raises(ValueError, match=f"{name}={value!r} seconds; expected more than 0"):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [*((name, 1) for name in LIMITS), ("max_size", 0), ("max_queue", 10**12)]
)
def test_limits_are_whole_numbers(name, value):
    """From 1, and a max_size of 0 admits empty messages."""
    assert getattr(Options(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, -1) for name in LIMITS), *((name, 0) for name in LIMITS if name != "max_size")],
)
def test_limits_below_one_are_refused_by_name(name, value):
    """Nothing could pass."""
    with pytest.raises(ValueError, match=f"{name}={value!r}; expected"):
        Options(**{name: value})


@pytest.mark.parametrize("name", LIMITS)
def test_limits_with_a_fraction_are_refused_by_name(name):
    """Half a byte is a mistake."""
    with pytest.raises(TypeError, match=f"{name}=1.5; expected an int or None"):
        Options(**{name: 1.5})


@pytest.mark.parametrize("name", [*TIMES, *LIMITS])
@pytest.mark.parametrize("value", ["1", True, math.nan, b"", [], 1j])
def test_what_is_no_number_is_refused_by_name(name, value):
    """The message says which one it was."""
    with pytest.raises(TypeError, match=f"{name}=.*; expected a number or None"):
        Options(**{name: value})


def test_unknown_names_are_refused():
    """A typing error does not pass silently."""
    with pytest.raises(TypeError, match="max_sise"):
        Options(max_sise=1)
