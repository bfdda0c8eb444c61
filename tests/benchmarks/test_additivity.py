"""Sums over operators against measured whole networks: in-situ operators, and operators alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from elat.flows.calibrate import sample_networks
from elat.latency.additive_fit import additive_error_around, best_additive_fit
from elat.latency.calibration import Calibration
from elat.latency.methods import Evidence, Subjects
from elat.latency.table import LatencyTable

NETWORKS = 30
SEED = 0


def test_additivity(benchmark, figure, campaigns, space, device):
    """The yardstick is the best sum of one number per choice, by any fit, to the same networks."""
    architectures = sample_networks(space, NETWORKS, SEED)
    networks = [space.network(a) for a in architectures]

    def measure_all():
        fresh = campaigns(device, "standard", 0)
        fresh.add(space.all_operators())
        fresh.add(tuple(networks))
        return fresh

    fresh = benchmark.pedantic(measure_all, rounds=1, iterations=1)
    found = fresh.measured
    operators = [space.operators(a) for a in architectures]
    measured = np.array([found[n].latency_ms for n in networks])
    widths = [found[n].relative_half_width for n in networks]
    subjects = Subjects(space.all_operators())
    in_situ = LatencyTable.derived(fresh.campaign.condition, subjects, Evidence(found))
    alone = {o: found[o].latency_ms for o in space.all_operators() if not o.is_free}
    figure(f"{device}: 95 % interval of a network, +-", 100 * float(np.median(widths)), "%")
    counts = [sum(not o.is_free for o in part) for part in operators]
    kinds = _kinds(operators)
    free = 100 * best_additive_fit(kinds, measured.tolist()).loo_mape
    for method, table in (("in situ", in_situ), ("alone", alone)):
        sums = np.array([sum(table[o] for o in part if not o.is_free) for part in operators])
        where = f"{device} {method}"
        figure(
            f"{where}: error of the plain sum",
            100 * float(np.abs(sums / measured - 1).mean()),
            "%",
        )
        figure(f"{where}: bias of the plain sum", 100 * float((sums / measured - 1).mean()), "%")
        calibration = Calibration.fit(sums.tolist(), counts, measured.tolist())
        loo = 100 * calibration.loo_mape
        figure(f"{where}: error after calibration ({calibration.form}), left out", loo, "%")
        around = 100 * additive_error_around(sums.tolist(), counts, kinds, measured.tolist())
        best = min(free, around)
        figure(f"{where}: best additive fit, left out", best, "%")
        figure(f"{where}: calibration behind it", loo - best, "points", most=0.5)


def _kinds(operators):
    """How often each network holds each operator: `networks operators`."""
    distinct = list(dict.fromkeys(o for part in operators for o in part if not o.is_free))
    counts = [Counter(part) for part in operators]
    return np.array([[count[o] for o in distinct] for count in counts], np.float64)


def test_the_yardstick_finds_an_exact_sum():
    """Networks that are sums of operators leave nothing to either fit."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 3, (30, 5)).astype(np.float64)
    measured = 1 + kinds @ np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    counts = kinds.sum(axis=1).tolist()
    around = additive_error_around((measured - 1).tolist(), counts, kinds, measured.tolist())
    assert around == pytest.approx(0, abs=1e-6)
    assert best_additive_fit(kinds, measured.tolist()).loo_mape < 1e-3
