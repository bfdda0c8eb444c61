"""Neural networks: evaluated as torch evaluates them, rising where they are told to."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.latency.models.networks import Networks

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(120, 5))
TARGET = np.sin(FEATURES[:, 0]) - 0.5 * FEATURES[:, 1] + 0.3 * FEATURES[:, 2] ** 2
RISING = np.array([True, True, False, False, False])
COUNTS = np.ones((120, 2))
FREE = Networks.trained(FEATURES, TARGET, COUNTS, 0)
MONOTONE = Networks.trained(FEATURES, TARGET, COUNTS, 0, rising=RISING)


def test_they_fit_and_are_what_torch_computes() -> None:
    votes = FREE.votes(FEATURES)
    assert np.mean((votes.mean(axis=1) - TARGET) ** 2) < 0.1 * np.var(TARGET)
    for member in range(2):
        first, second = (torch.nn.Linear(5, 32).double(), torch.nn.Linear(32, 32).double())
        with torch.no_grad():
            first.weight.copy_(torch.from_numpy(FREE.first[member].T))
            first.bias.copy_(torch.from_numpy(FREE.first_offset[member]))
            second.weight.copy_(torch.from_numpy(FREE.second[member].T))
            second.bias.copy_(torch.from_numpy(FREE.second_offset[member]))
            x = torch.from_numpy((FEATURES - FREE.centre) / FREE.scale)
            deep = torch.nn.Sequential(first, torch.nn.Softplus(), second, torch.nn.Softplus())(
                x
            ).numpy()
        wanted = x.numpy() @ FREE.linear[member] + deep @ FREE.last[member]
        np.testing.assert_allclose(
            votes[:, member], wanted + FREE.last_offset[member], rtol=1e-9, atol=1e-9
        )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-20, 20), min_size=5, max_size=5),
    st.floats(0, 30),
    st.sampled_from([0, 1]),
)
def test_a_monotone_network_never_falls(row: list[float], step: float, column: int) -> None:
    """Also where the truth falls: the target goes down in the second feature."""
    more = list(row)
    more[column] += step
    before, after = MONOTONE.votes(np.array([row, more]))
    assert np.all(after >= before - 1e-9 * np.abs(before))


def test_what_counts_nothing_is_not_learnt() -> None:
    odd = TARGET.copy()
    odd[60:] += 100.0
    counts = np.ones((120, 2))
    counts[60:, 0] = 0.0
    votes = Networks.trained(FEATURES, odd, counts, 0).votes(FEATURES[:60])
    assert np.mean(np.abs(votes[:, 0] - TARGET[:60])) < np.mean(np.abs(votes[:, 1] - TARGET[:60]))


def test_arrays_hold_everything() -> None:
    again = Networks.of_arrays(FREE.arrays())
    assert again.votes(FEATURES).tobytes() == FREE.votes(FEATURES).tobytes()
    np.testing.assert_array_equal(
        FREE.only(np.array([False, True])).votes(FEATURES), FREE.votes(FEATURES)[:, 1:]
    )
