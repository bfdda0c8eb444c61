"""Swaps against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.search.architecture import Architecture
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.polish import swaps
from elat.search.spaces import block_space, space_from_description

from .conftest import TOY

SPACE = block_space(space_from_description(TOY), "a test")
COUNTS = [len(block.candidates) for block in SPACE.blocks]
EVERY = [Architecture("toy", c) for c in itertools.product(*map(range, COUNTS))]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0), st.integers(1, 2))
def test_swaps_are_all_near_architectures_within_the_bounds_best_first(seed, share, count):
    rng = np.random.default_rng(seed)
    costs = [
        ExpectedLatency(SPACE, f"device {i}", 0.1, [rng.uniform(0, 1, n).tolist() for n in COUNTS])
        for i in range(count)
    ]
    bounds = []
    for cost in costs:
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        bounds.append(Bound(cost.name, low + share * (high - low)))
    scores = rng.normal(size=(3, 5))
    start = EVERY[int(rng.integers(len(EVERY)))]
    known = EVERY[:10]

    def near(other):
        return sum(a != b for a, b in zip(other.choices, start.choices, strict=True)) in (1, 2)

    wanted = {
        other
        for other in EVERY[10:]
        if near(other) and all(b.allows(c.of(other)) for b, c in zip(bounds, costs, strict=True))
    }
    found = list(swaps(start, scores, costs, bounds, known))
    assert len(found) == len(set(found))
    assert set(found) == wanted
    totals = [scores[range(3), list(other.choices)].sum() for other in found]
    assert np.all(np.diff(totals) <= 1e-9)
