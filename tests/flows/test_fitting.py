"""Tables of every operator measured, models that are chosen, and the exam of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import ConfigError, MissingOperatorError, UnknownNameError
from elat.devices.device import Device, find_device
from elat.flows.fitting import CHOICE, fit_table, operators_table
from elat.flows.measuring import space_table
from elat.flows.operator_exam import conclude, examine, of_kinds
from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.methods import METHODS, Subjects
from elat.latency.models.choose import choose
from elat.latency.models.folder import newest_model, read_model
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.dag import Dag
from elat.latency.operators.generate import generate, roofline_ms
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.sample import Sample
from elat.latency.store import MeasurementStore, open_store
from elat.latency.table import Entry, LatencyTable
from elat.search.spaces import find_space

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
MEASURED: list[Operator] = [
    MBConv(16, 24, 14, 3, 2),
    Linear(160, 10),
    Concat((16, 24), 14),
    GlobalPool(48, 9),
]


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("local-ort")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MeasurementStore]:
    with open_store(tmp_path / "m.db") as opened:
        yield opened


def record(store: MeasurementStore, device: Device, operators: list[Operator]) -> None:
    """Launches of every model that the device's method needs to know of `operators`."""
    condition = Condition.of(device)
    for case in METHODS[condition.method].cases(Subjects(tuple(operators))):
        parts = case.operators if isinstance(case, Chain | Dag) else (case,)
        ns = round(1e6 * sum(0.01 + roofline_ms(part) for part in parts))
        samples = (Sample(1, ns, ns, 0),) * 8
        launch = Launch("w", 0, "2026-01-01T00:00:00+00:00", 1.0, 1.0, 9, True, 0.0, samples)
        store.record_launch(case, condition.of_models, launch, {}, "simulated")


def test_the_operators_of_a_store_are_those_that_were_asked_for(
    store: MeasurementStore, device: Device
) -> None:
    """And not the neighbours that they were timed between."""
    assert Condition.of(device).method is Method.IN_SITU
    record(store, device, MEASURED)
    table = operators_table(store, device)
    assert set(table) == set(MEASURED)
    assert all(table[operator] > 0 for operator in MEASURED)


def test_an_empty_store_names_the_command(store: MeasurementStore, device: Device) -> None:
    with pytest.raises(MissingOperatorError, match="elat measure --device local-ort --generate"):
        operators_table(store, device)


def table_of(ms: dict[Operator, float], noise: float = 0.0) -> LatencyTable:
    return LatencyTable(CONDITION, "simulated", {o: Entry(5, v, noise * v) for o, v in ms.items()})


def cheap(seed: int = 0, count: int = 60) -> LatencyTable:
    """A roofline with 2 % of noise: what the model `roofline` is made for."""
    random = np.random.default_rng(seed)
    operators = generate(count, seed, ("conv", "linear"))
    return table_of(
        {o: (roofline_ms(o) + 4e-3) * float(random.normal(1, 0.02)) for o in operators}, 0.02
    )


def test_the_better_model_is_chosen_and_the_reason_told() -> None:
    found = choose(cheap(), seed=0, candidates=("ridge", "roofline"))
    assert found.model == "roofline"
    assert found.chosen_in_folds == ("roofline",) * 4
    assert [score.model for score in found.scores] == ["roofline", "ridge"]
    assert found.scores[0].error < found.scores[1].error
    assert "roofline has the smallest held-out error" in found.reason
    assert len(found.held_out.rows) + len(found.held_out.unanswered) == 60
    # Held-out errors are the procedure's own: of models fitted without the fold.
    assert found.held_out.overall.mape < 0.1
    with pytest.raises(UnknownNameError):
        choose(cheap(), seed=0, candidates=("oracle",))
    with pytest.raises(ConfigError, match="nothing to choose"):
        choose(cheap(), seed=0, candidates=())


def test_auto_writes_the_chosen_model_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    made = fit_table(cheap(), "auto", None, 0, candidates=("roofline", "ridge"))
    folder = newest_model(tmp_path, "toy")
    assert folder is not None and folder == made.loaded.folder
    assert folder.parts[-3:] == ("toy", "all-operators", "roofline")
    written = json.loads((folder / CHOICE).read_text())
    assert written["model"] == read_model(folder).name == "roofline"
    assert {score["model"] for score in written["scores"]} == {"roofline", "ridge"}
    again = read_model(folder)
    assert again.held_out == made.loaded.held_out
    assert again.held_out.ceiling is not None
    assert [c.level for c in again.held_out.coverage] == [0.8, 0.9, 0.95]
    plain = fit_table(cheap(), "ridge", None, 0)
    assert plain.choice is None and newest_model(tmp_path, "toy") == plain.loaded.folder


def test_the_exam_judges_unseen_operators() -> None:
    table = cheap(count=140)
    trials = list(examine(table, train=70, seeds=2, models=("roofline",)))
    found = conclude(table, 70, trials)
    assert [trial.seed for trial in trials] == [0, 1]
    assert all(trial.operators + trial.unanswered == 70 for trial in trials)
    (standing,) = found.standings
    assert standing.within_5 == pytest.approx(np.mean([t.within_5 for t in trials]))
    assert standing.within_5 > 0.85 and 0.8 <= standing.covered <= 1.0
    assert found.ceiling is not None and found.ceiling.perfect.within_10 > 0.99
    assert json.loads(json.dumps(found.to_json()))["models"][0]["model"] == "roofline"
    with pytest.raises(ConfigError, match="--generate 260"):
        list(examine(table, train=130, seeds=1, models=("roofline",)))
    with pytest.raises(UnknownNameError):
        list(examine(table, train=70, seeds=1, models=("oracle",)))


def test_an_exam_of_some_kinds_has_these_alone(store: MeasurementStore, device: Device) -> None:
    record(store, device, MEASURED)
    table = operators_table(store, device)
    assert list(of_kinds(table, ["linear"])) == [MEASURED[1]]
    assert set(of_kinds(table, ["mbconv", "concat"])) == {MEASURED[0], MEASURED[2]}
    with pytest.raises(UnknownNameError, match="conv"):
        of_kinds(table, ["conv"])


def test_an_operator_that_is_lost_in_noise_is_not_said_to_be_unmeasured(
    store: MeasurementStore, device: Device
) -> None:
    space = find_space("proxyless-tiny")
    condition = Condition.of(device)
    for case in METHODS[condition.method].cases(Subjects(space.all_operators())):
        parts = case.operators if isinstance(case, Chain | Dag) else (case,)
        is_last = any(isinstance(part, Linear) for part in parts)
        ns = 100 if is_last else round(1e6 * sum(0.01 + roofline_ms(part) for part in parts))
        launch = Launch(
            "w",
            0,
            "2026-01-01T00:00:00+00:00",
            1.0,
            1.0,
            9,
            True,
            0.0,
            (Sample(1, ns, ns, 0),) * 8,
        )
        store.record_launch(case, condition.of_models, launch, {}, "simulated")
    with pytest.raises(
        MissingOperatorError, match=r"Linear .* takes -.* us.*--protocol reference"
    ):
        space_table(store, device, space)
