"""Which launches of two sides belong together."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.pairing import Pairing, pairings

from .comparison_bench import OPERATORS, side


def measured(times_s, prefix, cases=1):
    times = np.asarray(times_s, dtype=float)
    made = side(np.zeros((len(times), cases)), None, times, prefix=prefix)
    return [made.measurements[operator] for operator in OPERATORS[:cases]]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 20, 40], [10, 30, 50], [(0, 0), (1, 1), (2, 2)]),
        ([0, 30, 40], [10, 20, 50], [(0, 0), (1, 1), (2, 2)]),
        # One launch in six has no partner.
        ([0, 20, 40, 60, 80, 85], [10, 30, 50, 70, 90], [(0, 0), (1, 1), (2, 2), (3, 3), (5, 4)]),
    ],
)
def test_neighbours_in_time_are_pairs(a, b, expected):
    kind, (pairs,) = pairings([(measured(a, "a")[0], measured(b, "b")[0])])
    assert kind is Pairing.ROUNDS
    assert len(pairs) == len(expected)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0, 10, 20], [30, 40, 50]),
        ([0], [10]),
        ([0, 0, 0], [0, 0, 0]),
        ([0, 10, 30], [20, 25, 27]),
    ],
)
def test_stretches_one_after_another_are_not(a, b):
    kind, (pairs,) = pairings([(measured(a, "a")[0], measured(b, "b")[0])])
    assert (kind, pairs) == (Pairing.NONE, [])


def test_launches_of_one_worker_are_pairs_whenever_they_were():
    kind, (pairs,) = pairings([(measured([0, 10, 20], "w")[0], measured([20, 0, 10], "w")[0])])
    assert kind is Pairing.WORKERS
    assert pairs == [(0, 0), (1, 1), (2, 2)]


def test_one_case_without_pairs_leaves_all_unpaired():
    turns = (measured([0, 20], "a")[0], measured([10, 30], "b")[0])
    apart = (measured([0, 10], "a")[0], measured([20, 30], "b")[0])
    assert pairings([turns, turns])[0] is Pairing.ROUNDS
    assert pairings([turns, apart])[0] is Pairing.NONE
    assert pairings([]) == (Pairing.NONE, [])
