"""The order of invocations: complete, shuffled, and with the fixed model in between."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elat.latency.benchmark_model.order import SENTINEL, neighbours, shuffled

SLICES = st.lists(st.integers(1, 4), max_size=9)
SEEDS = st.integers(0, 2**32)


def order_of(slices, passes, every, seed=0):
    return shuffled(slices, passes, every, np.random.default_rng(seed))


@given(SLICES, st.integers(1, 5), st.integers(0, 6), SEEDS)
def test_each_model_comes_in_each_pass_as_often_as_its_slices_say(slices, passes, every, seed):
    models = [call.model for call in order_of(slices, passes, every, seed)]
    cases = [model for model in models if model != SENTINEL]
    size = sum(slices)
    assert len(cases) == passes * size
    for number in range(passes):
        found = Counter(cases[number * size : (number + 1) * size])
        assert found == {model: count for model, count in enumerate(slices)}


@given(SLICES, st.integers(1, 5), st.integers(0, 6), SEEDS)
def test_numbers_are_places_and_each_model_saves_its_first_output(slices, passes, every, seed):
    order = order_of(slices, passes, every, seed)
    assert [call.number for call in order] == list(range(len(order)))
    seen = set()
    for call in order:
        assert call.saves_output == (call.model not in seen and call.model != SENTINEL)
        seen.add(call.model)


@given(SLICES.filter(bool), st.integers(1, 5), st.integers(1, 6), SEEDS)
def test_the_fixed_model_is_at_both_ends_of_a_pass_and_never_far(slices, passes, every, seed):
    models = [call.model for call in order_of(slices, passes, every, seed)]
    places = [place for place, model in enumerate(models) if model == SENTINEL]
    assert places[0] == 0
    assert places[-1] == len(models) - 1
    assert all(1 < later - earlier <= every + 1 for earlier, later in pairwise(places))
    assert len(places) == passes * -(-sum(slices) // every) + 1


def test_without_a_fixed_model_there_is_none():
    assert all(call.model != SENTINEL for call in order_of([1, 2], 3, 0))
    assert order_of([], 3, 4) == []


@given(SLICES, st.integers(1, 4), st.integers(1, 6), SEEDS)
def test_the_neighbours_of_a_case_are_the_nearest_of_the_fixed_model(slices, passes, every, seed):
    order = order_of(slices, passes, every, seed)
    found = neighbours(order)
    assert set(found) == {call.number for call in order if call.model != SENTINEL}
    for number, (before, after) in found.items():
        assert before < number < after
        assert order[before].model == order[after].model == SENTINEL
        assert all(order[n].model != SENTINEL for n in range(before + 1, after))


@given(SLICES, st.integers(1, 4))
def test_without_a_fixed_model_there_are_no_neighbours(slices, passes):
    assert neighbours(order_of(slices, passes, 0)) == {}


@given(SLICES, st.integers(1, 4), st.integers(0, 6), SEEDS)
def test_one_generator_gives_one_order(slices, passes, every, seed):
    assert order_of(slices, passes, every, seed) == order_of(slices, passes, every, seed)


def test_passes_are_shuffled_each_anew_and_all_orders_come():
    """Of three models six orders, each about as often: a chi-square of 5 degrees of freedom."""
    models = [call.model for call in order_of([1, 1, 1], 6000, 0, seed=1)]
    counts = Counter(tuple(models[n : n + 3]) for n in range(0, len(models), 3))
    assert len(counts) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5  # p = 0.001
