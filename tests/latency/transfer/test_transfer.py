"""A new device from known ones: laws that are found again, and leaving out against refitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from elat.core.errors import ArtefactError, ConfigError, MissingOperatorError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.models import latency_models
from elat.latency.models.evaluate import held_out
from elat.latency.models.folder import read_model, write_model
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.zero import Zero
from elat.latency.table import LatencyTable
from elat.latency.transfer import CANDIDATES, Transferred, diverse_samples
from elat.latency.transfer.folder import read_transferred, sources_of, write_transferred
from elat.latency.transfer.model import Choice, Source

OPERATORS: list[Operator] = [
    *(
        MBConv(width, width, side, k, expand=e)
        for width, side in ((16, 28), (24, 14), (40, 14), (80, 7))
        for k in (3, 5, 7)
        for e in (3, 6)
    ),
    *(Conv(width, 2 * width, side, k) for width, side in ((16, 28), (32, 14)) for k in (1, 3, 5)),
    *(Linear(width, 10 * width) for width in (16, 32, 64, 128)),
    *(GlobalPool(width, 7) for width in (40, 80, 160)),
]


FACTORS: dict[type[Operator], float] = {MBConv: 1.0, Conv: 3.0, Linear: 0.3}


def compute_bound(operator: Operator) -> float:
    return operator.macs / 2e6 + 2e-3


def memory_bound(operator: Operator) -> float:
    return operator.traffic_elements / 2e6 + 4e-3


def table(device: str, law: Callable[[Operator], float], noise=0.0, seed=0) -> LatencyTable:
    condition = Condition(device, "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
    factors = np.exp(np.random.default_rng(seed).normal(0, noise, len(OPERATORS)))
    entries = {
        o: Entry(5, law(o) * float(f), 0.01 * law(o))
        for o, f in zip(OPERATORS, factors, strict=True)
    }
    return LatencyTable(condition, "simulated", entries)


def source(device: str, law: Callable[[Operator], float]) -> Source:
    known = table(device, law, 0.01, seed=len(device))
    return Source(device, latency_models["ridge"].fit(known, seed=0), known)


SOURCES = [source("phone", compute_bound), source("board", memory_bound)]


def samples(law, count=12, noise=0.01) -> LatencyTable:
    whole = table("new", law, noise, seed=5)
    return whole.only([OPERATORS[i] for i in np.random.default_rng(2).permutation(37)[:count]])


def error_of(model: Transferred, law) -> float:
    predicted = model.predict(OPERATORS).latency_ms
    return float(np.mean(np.abs(predicted / [law(o) for o in OPERATORS] - 1)))


def test_a_device_that_is_another_one_scaled_is_found_to_be_that():
    model = Transferred.of(SOURCES, samples(lambda o: 3 * memory_bound(o)))
    assert (model.chosen.candidate, model.chosen.base) == ("scaled", "board")
    assert error_of(model, lambda o: 3 * memory_bound(o)) < 0.03


def test_kinds_that_differ_by_a_factor_each_are_found():
    def law(o):
        return compute_bound(o) * FACTORS.get(type(o), 1.7)

    model = Transferred.of(SOURCES, samples(law, 16))
    assert "kinds" in next(c for c in CANDIDATES if c.name == model.chosen.candidate).along
    assert error_of(model, law) < 0.05
    plain = replace(model.choices[0], error=0.0)
    assert error_of(Transferred(SOURCES, model.table, (plain,)), law) > 0.2


def test_a_device_between_two_is_a_weighting_of_both():
    def law(o):
        return 2 * compute_bound(o) ** 0.6 * memory_bound(o) ** 0.4

    model = Transferred.of(SOURCES, samples(law, 16))
    assert error_of(model, law) < 0.05


def test_leaving_a_sample_out_is_what_refitting_without_it_gives():
    known = samples(lambda o: 2 * memory_bound(o) ** 0.9, 10, noise=0.05)
    choice = Choice("weighted and corrected", "mean of all", 0.3, 0.0)
    model = Transferred(SOURCES, known, (choice,))
    for index, operator in enumerate(known):
        rest = known.only([o for o in known if o != operator])
        without = Transferred(SOURCES, rest, (choice,))
        found = np.log(known[operator] / without.predict([operator]).latency_ms[0])
        assert model.left_out_log[index] == pytest.approx(found, abs=1e-6)


def test_it_answers_as_every_latency_model_does():
    model = Transferred.of(SOURCES, samples(lambda o: 3 * memory_bound(o), noise=0.05))
    free = Zero(16, 28)
    together = model.predict([free, *OPERATORS])
    assert together.latency_ms[0] == together.std_ms[0] == 0.0
    assert np.all(together.latency_ms[1:] > 0)
    assert np.all(together.std_ms[1:] > 0)
    alone = [model.predict([o]) for o in (free, *OPERATORS)]
    assert together.latency_ms.tolist() == [a.latency_ms[0] for a in alone]
    assert together.std_ms.tolist() == [a.std_ms[0] for a in alone]
    low, high = together.interval(0.8)
    truth = np.array([3 * memory_bound(o) for o in OPERATORS])
    assert np.mean((low[1:] <= truth) & (truth <= high[1:])) > 0.7
    assert np.isinf(together.interval(0.99)[1][1:]).all()  # 12 samples cannot tell
    with pytest.raises(MissingOperatorError, match="elat measure"):
        model.predict([Pool(16, 14, 3, 2)])


def loaded(tmp_path, known: Source):
    errors = held_out(known.table, latency_models["ridge"], folds=2, seed=0)
    return write_model(tmp_path / known.device, "ridge", known.table, 0, errors)


def test_a_folder_stands_alone_and_gives_the_same_bits_back(tmp_path):
    models = [loaded(tmp_path, known) for known in SOURCES]
    model = Transferred.of(sources_of(models), samples(lambda o: 3 * memory_bound(o), noise=0.05))
    written = write_transferred(tmp_path / "new", model, models, "some-space")
    (tmp_path / "phone").rename(tmp_path / "gone")
    found = read_model(tmp_path / "new")
    assert (found.name, found.sha256, found.space) == (written.name, written.sha256, "some-space")
    assert found.held_out == written.held_out
    assert len(found.held_out.rows) == 12
    assert isinstance(found.model, Transferred)
    assert found.model.choices == model.choices
    for name in ("latency_ms", "std_ms"):
        before = getattr(model.predict(OPERATORS), name)
        assert getattr(found.model.predict(OPERATORS), name).tobytes() == before.tobytes()
    with pytest.raises(ArtefactError, match="holds other models"):
        read_transferred(tmp_path / "new", "transferred-000000000000", model.table)
    (tmp_path / "new" / "transfer.json").write_text("{}")
    with pytest.raises(ArtefactError, match="lacks what was chosen"):
        read_model(tmp_path / "new")


def test_what_cannot_be_transferred_is_refused_with_the_reason():
    known = samples(memory_bound)
    with pytest.raises(ConfigError, match="--transfer-from"):
        Transferred.of([], known)
    with pytest.raises(ConfigError, match="--transfer-from"):
        Transferred.fit(known, seed=0)
    imported = LatencyTable(known.condition, "imported", dict(known.entries))
    with pytest.raises(ConfigError, match=r"new are imported.*sources simulated"):
        Transferred.of(SOURCES, imported)
    with pytest.raises(ConfigError, match="2 samples of new are too few"):
        Transferred.of(SOURCES, known.only(list(known)[:2]))


def test_chosen_samples_are_distinct_and_a_longer_list_goes_on_where_a_shorter_ends():
    found = diverse_samples([*OPERATORS, Zero(16, 28)], SOURCES, 12, seed=3)
    assert len(set(found)) == 12
    assert diverse_samples(OPERATORS, SOURCES, 5, seed=3) == found[:5]
    assert len({type(o) for o in found[:6]}) >= 3
    assert set(diverse_samples(OPERATORS, SOURCES, 99, seed=3)) == set(OPERATORS)


def test_chosen_samples_tell_more_than_random_ones_on_average():
    def law(o):
        return compute_bound(o) * FACTORS.get(type(o), 1.7)

    whole = table("new", law, 0.01, seed=5)
    errors: dict[str, list[float]] = {"chosen": [], "random": []}
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(OPERATORS))[:8]
        for way, taken in (
            ("chosen", diverse_samples(OPERATORS, SOURCES, 8, seed)),
            ("random", [OPERATORS[i] for i in order]),
        ):
            errors[way].append(error_of(Transferred.of(SOURCES, whole.only(taken)), law))
    assert np.mean(errors["chosen"]) < 0.8 * np.mean(errors["random"])
