"""The exam on whole networks, on a toy device whose networks are measured here."""

from __future__ import annotations

import numpy as np
import pytest

from elat.core.errors import ConfigError
from elat.flows.calibrate import measure_networks, measured_networks, sample_networks
from elat.flows.measuring import space_table
from elat.flows.network_exam import (
    CALIBRATED,
    CORRECTED,
    LEVELS,
    PLAIN,
    broken_share,
    examine_networks,
)
from elat.latency.models.lookup import Lookup

COUNT = 26


@pytest.fixture
def examined(lab, campaign):
    """Examines `networks` of a store in which `COUNT` are measured."""
    sampled = sample_networks(lab.space, COUNT, seed=0)
    list(measure_networks(campaign, lab.space, sampled))
    model = Lookup.fit(space_table(campaign.store, lab.device, lab.space), seed=0)

    def examine(networks: int = COUNT, learnt: int = 12):
        return examine_networks(
            model, campaign.store, lab.device, lab.space,
            networks=networks, learnt=learnt, draws=4, seed=0,
        )  # fmt: skip

    return model, examine


def test_every_way_is_judged_on_networks_that_it_did_not_learn_from(lab, campaign, examined):
    model, examine = examined
    exam = examine()
    assert (exam.learnt, exam.others, exam.draws) == (12, COUNT - 12, 4)
    assert exam.origin == "simulated"
    assert [way.way for way in exam.ways] == [PLAIN, CALIBRATED, CORRECTED]
    known = measured_networks(campaign, lab.space, sample_networks(lab.space, COUNT, seed=0))
    errors = [
        abs(
            float(model.predict(lab.space.operators(n.architecture)).latency_ms.sum())
            / n.measurement.latency_ms
            - 1
        )
        for n in known
    ]
    # Every network is among the others in about as many draws.
    assert min(errors) < exam.ways[0].mape < max(errors)
    assert exam.ways[0].covered == (None, None)
    assert LEVELS == (0.9, 0.95)
    for way in exam.ways[1:]:
        assert way.mape < max(errors)
        assert way.covered[0] is not None
        assert 0.5 < way.covered[0] <= 1
        assert way.covered[1] is None  # 12 networks cannot tell it
        assert way.within_5 <= way.within_10 <= 1
    assert exam.ways[0].broken is not None
    # 19 networks tell PICKED_AT.
    assert all(way.broken_limit is way.broken_pick is None for way in exam.ways)
    assert exam.noise > 0
    assert examine() == exam


def test_the_shares_are_those_of_all_draws_together(examined):
    _, examine = examined
    exam = examine(learnt=16)
    total = exam.draws * exam.others
    for way in exam.ways:
        assert way.within_5 * total == pytest.approx(round(way.within_5 * total), abs=1e-9)
        assert np.isfinite(way.mape_sd)


def test_a_limit_is_held_against_the_network_that_is_picked_under_it():
    true = np.array([1.0, 2.0, 3.0, 4.0])
    predicted = np.array([1.0, 2.0, 2.0, 4.0])
    bounds = np.array([0.5, 1.5, 2.5, 3.5])
    # Of 0.5 nothing is within; 1.5 takes the first; the third is picked under 2.5 and is slower.
    assert broken_share(predicted, true, true, bounds) == pytest.approx(1 / 3)
    assert broken_share(1.5 * predicted, true, true, bounds) == 0
    assert broken_share(predicted, true, -true, bounds) == 0
    assert broken_share(predicted, true, true, bounds[:1]) is None


def test_too_few_measured_networks_are_refused_with_the_command_that_measures_more(examined):
    _, examine = examined
    with pytest.raises(ConfigError, match=r"26 networks .*takes 30.*elat calibrate --device toy"):
        examine(learnt=20)
