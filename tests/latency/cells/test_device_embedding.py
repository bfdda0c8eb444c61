"""New devices from few samples, where the truth is a sum of operations' costs."""

from __future__ import annotations

import numpy as np
import pytest

from elat.core.errors import ConfigError
from elat.latency.cells.cell import CellOp, all_cells
from elat.latency.cells.device_embedding import EmbeddedDevices
from elat.latency.cells.executed import operation_counts
from elat.latency.graph_network import Descent

CELLS = np.random.default_rng(4).permutation(all_cells())[:360]
KNOWN, ASKED = CELLS[:200], CELLS[200:]
QUICK = Descent(150, 0.02, 0.01, 8)
SAMPLES = np.arange(12)


def latency_of(costs: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return np.asarray(1 + operation_counts(cells) @ costs)


def source_costs() -> np.ndarray:
    generator = np.random.default_rng(0)
    costs = generator.uniform(0.2, 1.5, (6, len(CellOp)))
    costs[:, [CellOp.NONE, CellOp.SKIP]] = 0.02
    return costs


@pytest.fixture(scope="module")
def known_ms() -> np.ndarray:
    return np.stack([latency_of(costs, KNOWN) for costs in source_costs()], axis=1)


@pytest.fixture(scope="module")
def embedded(known_ms: np.ndarray) -> EmbeddedDevices:
    return EmbeddedDevices.fit(KNOWN, known_ms, seed=0, descent=QUICK)


@pytest.fixture(scope="module")
def plain(known_ms: np.ndarray) -> EmbeddedDevices:
    return EmbeddedDevices.fit(KNOWN, known_ms, seed=0, width=0, descent=QUICK)


def test_known_devices_are_told_apart(embedded: EmbeddedDevices, known_ms: np.ndarray) -> None:
    for device, costs in enumerate(source_costs()):
        truth = latency_of(costs, ASKED)
        found = embedded.predict(ASKED, embedded.known(device))
        assert np.median(np.abs(found / truth - 1)) < 0.06


def test_devices_that_differ_in_one_operation_are_told_apart_from_samples(
    embedded: EmbeddedDevices, plain: EmbeddedDevices
) -> None:
    cheap = np.array([0.02, 0.02, 0.8, 0.3, 0.5])
    dear = cheap.copy()
    dear[CellOp.CONV_3X3] = 1.4
    errors = {}
    for name, model in (("embedded", embedded), ("plain", plain)):
        found, truths = [], []
        for costs in (cheap, dear):
            samples = ASKED[SAMPLES]
            device = model.tuned(samples, latency_of(costs, samples))
            found.append(model.predict(ASKED, device))
            truths.append(latency_of(costs, ASKED))
        ratio, truth = found[1] / found[0], truths[1] / truths[0]
        errors[name] = np.mean(np.abs(np.log(ratio / truth)))
    # Without vectors the ratio of both is the same for every cell.
    assert errors["embedded"] < 0.75 * errors["plain"]


def test_samples_of_a_known_device_find_it(embedded: EmbeddedDevices) -> None:
    costs = source_costs()[2]
    samples = ASKED[SAMPLES]
    device = embedded.tuned(samples, 7 * latency_of(costs, samples))
    found = embedded.predict(ASKED, device)
    assert np.median(np.abs(found / (7 * latency_of(costs, ASKED)) - 1)) < 0.05


def test_the_same_seed_gives_the_same_bits(known_ms: np.ndarray) -> None:
    brief = Descent(5, 0.02, 0.01, 12)
    found = []
    for _ in range(2):
        model = EmbeddedDevices.fit(KNOWN, known_ms, seed=1, descent=brief)
        device = model.tuned(KNOWN[:5], known_ms[:5, 0])
        found.append(model.predict(ASKED, device).tobytes())
    assert found[0] == found[1]


def test_too_few_samples_and_no_latencies_are_refused(embedded: EmbeddedDevices) -> None:
    with pytest.raises(ConfigError, match="needs 3 cells"):
        embedded.tuned(KNOWN[:2], np.ones(2))
    with pytest.raises(ConfigError, match="above 0"):
        embedded.tuned(KNOWN[:3], np.array([1.0, -1.0, 2.0]))
