"""Scores and the one-standard-error rule, against hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from elat.core.errors import ArtefactError
from elat.search.bound import Bound
from elat.search.derive import Scores, indistinct, read_scores, write_scores
from elat.search.expected_latency import ExpectedLatency


def gains(space, count=4, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    width = max(len(block.candidates) for block in space.blocks)
    shape = (len(space.blocks), width)
    return [
        scale * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)
    ]


def test_the_prior_adds_errors_for_each_e_fold_of_macs(toy):
    found = gains(toy)
    plain = Scores.of(found, toy, prior=0.0, errors=1.0)
    primed = Scores.of(found, toy, prior=2.0, errors=1.0)
    stacked = torch.stack(found).numpy()
    counts = sum(len(block.candidates) for block in toy.blocks)
    error = math.sqrt(stacked.var(axis=0, ddof=1).sum() / counts / len(found))
    np.testing.assert_allclose(plain.values, stacked.mean(axis=0), rtol=1e-12)
    for row, block in zip(primed.values - plain.values, toy.blocks, strict=True):
        least = min(c.macs for c in block.candidates if not c.is_free)
        for value, candidate in zip(row, block.candidates, strict=False):
            folds = -1.0 if candidate.is_free else math.log(candidate.macs / least)
            assert value == pytest.approx(2.0 * error * folds, abs=1e-12)
    assert primed.tolerance == pytest.approx(error * math.sqrt(2 * len(toy.blocks)), rel=1e-12)


def test_the_tolerance_is_the_error_of_a_difference_of_two_disjoint_architectures(toy):
    """By simulation: the scores of two architectures that share no choice, many times over."""
    generator = torch.Generator().manual_seed(1)
    blocks, width = len(toy.blocks), max(len(b.candidates) for b in toy.blocks)
    differences = []
    for _ in range(4000):
        draws = torch.randn((16, blocks, width), generator=generator, dtype=torch.float64)
        mean = draws.mean(dim=0)
        differences.append(float(mean[:, 0].sum() - mean[:, 1].sum()))
    mask = torch.zeros(blocks, width, dtype=torch.float64)
    for row, block in zip(mask, toy.blocks, strict=True):
        row[: len(block.candidates)] = 1.0
    draws = torch.randn((16, blocks, width), generator=generator, dtype=torch.float64) * mask
    told = Scores.of(list(draws), toy, prior=0.0, errors=1.0).tolerance
    assert told == pytest.approx(np.std(differences), rel=0.25)


def test_of_architectures_that_cannot_be_told_apart_the_fastest_is_taken(toy):
    cost = ExpectedLatency.from_macs(toy)
    bound = Bound("macs", cost.of(cost.slowest()))
    width = cost.cost.shape[1]
    values = np.zeros((len(toy.blocks), width))
    values[:, 0] = 1e-3
    sure, unsure = Scores(values, 1e-6), Scores(values, 1.0)
    best = indistinct(sure, [cost], [bound], 1)[0].architecture
    assert best.choices == (0,) * len(toy.blocks)
    assert indistinct(unsure, [cost], [bound], 1)[0].architecture == cost.fastest()


def test_without_tolerance_the_best_are_taken(toy):
    cost = ExpectedLatency.from_macs(toy)
    bound = Bound("macs", cost.of(cost.slowest()))
    values = np.random.default_rng(0).normal(size=cost.cost.shape)
    found = indistinct(Scores(values, 0.0), [cost], [bound], 3)
    scores = [p.score for p in found]
    assert scores == sorted(scores, reverse=True)


def test_scores_survive_the_file(tmp_path, toy):
    scores = Scores.of(gains(toy), toy, prior=1.0, errors=1.0)
    write_scores(tmp_path, scores)
    back = read_scores(tmp_path)
    assert back.tolerance == scores.tolerance
    np.testing.assert_array_equal(back.values, scores.values)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(ArtefactError, match="search again"):
        read_scores(tmp_path)
