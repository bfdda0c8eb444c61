"""No mutated file of any kind is a crash, and what is accepted is read as an oracle reads it."""

from __future__ import annotations

import pytest

from elat.latency.imports import importers

from .fuzz import campaign, judge
from .oracles import ORACLES
from .seeds import seeds

QUICK = 100
ALL = 100_000


def test_every_kind_has_seeds_and_an_oracle():
    assert set(seeds()) == set(importers) == set(ORACLES)


@pytest.mark.parametrize("kind", sorted(seeds()))
def test_seeds_are_accepted_as_they_are(kind):
    for data in seeds()[kind]:
        assert judge(data) == kind


@pytest.mark.parametrize("kind", sorted(seeds()))
def test_mutants_are_refused_or_read_alike(kind):
    assert sum(campaign(kind, QUICK, seed=0).values()) == QUICK


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(seeds()))
def test_hundred_thousand_mutants_in_equal_shares(kind):
    """Both outcomes occur: mutants that are all refused would test no reading."""
    share = -(-ALL // len(seeds()))
    outcomes = campaign(kind, share, seed=1)
    assert sum(outcomes.values()) == share
    assert outcomes["refused"] >= share // 20
    assert outcomes["accepted"] >= share // 50
