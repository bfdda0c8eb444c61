"""Child seeds are fixed numbers: a change of these values changes every result."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.seeding import numpy_generator, spawn, torch_generator


def test_seeds_are_these_numbers_on_every_machine() -> None:
    assert spawn(0, "a") == 7606779636460171844
    assert spawn(7, "reinforce") == 6320904722895244975
    assert spawn(7, "order", 3) == 929583480629082613
    assert numpy_generator(1, "x").integers(1000, size=4).tolist() == [663, 429, 585, 276]
    assert torch_generator(1, "x").initial_seed() == 7463996259831113105


@given(st.integers(0, 2**63 - 1), st.text(min_size=1))
@settings(deadline=None)
def test_seeds_fit_every_generator(seed: int, name: str) -> None:
    assert 0 <= spawn(seed, name) < 2**63
    assert spawn(seed, name) == spawn(seed, name)


def test_names_and_parents_give_different_seeds() -> None:
    names = [(), ("a",), ("b",), ("a", "b"), ("b", "a"), (0,), (1,), ("a", 0), ("a", 1)]
    found = [spawn(seed, *name) for seed, name in itertools.product(range(10), names)]
    assert len(set(found)) == len(found)


def test_generators_do_not_touch_the_global_ones() -> None:
    before = torch.get_rng_state()
    torch.rand(3, generator=torch_generator(0, "a"))
    assert torch.equal(torch.get_rng_state(), before)
