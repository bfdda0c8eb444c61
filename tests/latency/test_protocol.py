"""Protocols: their looks, when they stop, and their JSON form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from elat.core.errors import ArtefactError, ConfigError, UnknownNameError
from elat.latency.protocol import PROTOCOLS, REFERENCE, SCREEN, STANDARD, Protocol, find_protocol


def test_protocols_grow_stricter():
    assert SCREEN.target > STANDARD.target > REFERENCE.target
    assert SCREEN.min_launches < STANDARD.min_launches < REFERENCE.min_launches


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=str)
def test_a_protocol_is_found_by_name_and_survives_json(protocol):
    assert find_protocol(protocol.name) is protocol
    assert Protocol.from_json(json.loads(json.dumps(protocol.to_json()))) == protocol


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=str)
def test_reading_the_clock_is_under_a_thousandth_of_a_slice(protocol):
    thread_clock_ms = 0.45e-3
    assert thread_clock_ms < 1e-3 * min(protocol.slice_ms, protocol.sentinel_ms)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'standard'"):
        find_protocol("standart")


def test_it_stops_at_looks_only():
    assert not STANDARD.is_finished(4, 0.001)
    assert STANDARD.is_finished(5, 0.001)
    assert not STANDARD.is_finished(5, 0.021)
    assert not STANDARD.is_finished(6, 0.001)
    assert not STANDARD.is_finished(12, 0.5)
    assert STANDARD.is_finished(14, 0.5)


def test_it_never_stops_before_the_minimum():
    protocol = replace(SCREEN, looks=(1, 2, 3, 5))
    assert not protocol.is_finished(2, 0.0)
    assert protocol.is_finished(3, 0.0)


@pytest.mark.parametrize(("launches", "look"), [(0, 5), (4, 5), (5, 9), (13, 14), (14, None)])
def test_the_next_look(launches, look):
    assert STANDARD.next_look(launches) == look


@pytest.mark.parametrize(
    "change",
    [
        {"min_launches": 0},
        {"min_launches": 6},
        {"looks": (3, 4)},
        {"looks": (5, 3)},
        {"target": 0.0},
        {"passes": 0},
        {"max_passes": 1},
    ],
)
def test_nonsense_is_refused(change):
    with pytest.raises(ConfigError):
        replace(SCREEN, **change)


@pytest.mark.parametrize("data", [{}, {"looks": [1]}, {**SCREEN.to_json(), "more": 1}])
def test_other_json_is_no_protocol(data):
    with pytest.raises(ArtefactError):
        Protocol.from_json(data)


@pytest.mark.parametrize(
    ("launches", "since_s", "pause_s"),
    [(0, 0.0, 0.0), (4, 0.0, 0.0), (5, 100.0, 200.0), (10, 400.0, 0.0), (5, -1e9, 300.0)],
)
def test_a_new_stretch_begins_when_the_gap_has_passed(launches, since_s, pause_s):
    assert REFERENCE.pause_s(launches, since_s) == pause_s
    assert STANDARD.pause_s(launches, since_s) == 0.0


def test_a_case_at_the_floor_ends_unless_there_are_further_stretches():
    assert STANDARD.is_finished(5, 0.5, is_at_floor=True)
    assert not STANDARD.is_finished(6, 0.5, is_at_floor=True)
    assert not REFERENCE.is_finished(10, 0.5, is_at_floor=True)
