"""Sweeps: the cells, what is done with them, and that nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from elat.core.config import parse
from elat.core.errors import (
    ArtefactError,
    ConfigError,
    InfeasibleError,
    MeasurementError,
    UnknownNameError,
)
from elat.flows import cell as cell_module
from elat.flows import sweep as sweep_module
from elat.flows.cell import EFFORT, FAILED, Stage, run_search_cell
from elat.flows.sweep import CELLS, SweepOrder, SweepStep, run_sweep
from elat.flows.sweep_settings import cells_of, read_sweep_settings
from elat.flows.verify import verify_run
from elat.reports.inputs import read_inputs
from elat.reports.sweep import SWEEP, Sweep, read_sweep
from elat.search.executor import InTurn
from elat.search.result import CERTIFICATE, RESULT, TRAINING
from elat.search.spaces import find_space
from elat.search.strategies import strategies
from elat.search.training import TrainingSettings

SHORT = {
    "warmup_steps": 2,
    "steps": 2,
    "batch_size": 16,
    "architecture_batch_size": 16,
    "score_batches": 2,
    "candidates": 2,
    "calibration_batches": 1,
}
MINIMAL: dict[str, Any] = {
    "spaces": ["proxyless-tiny"],
    "bounds": [{"macs": 2e6}],
    "strategies": ["proxyless-g"],
    "seeds": [0],
    "data": ["digits"],
}


def written(folder: Path, settings: dict[str, Any]) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def settings(lab) -> dict[str, Any]:
    """Two strategies under one bound, measured and trained."""
    return {
        "spaces": [str(lab.folder / "tiny.yaml")],
        "devices": [{"device": "toy", "latency": str(lab.scaled(1.0))}],
        "bounds": [{"quantile": 0.5}],
        "strategies": [
            {"name": "proxyless-g", "settings": SHORT},
            {"name": "proxyless-g", "label": "random", "settings": {**SHORT, "steps": 1}},
        ],
        "seeds": [0],
        "data": ["digits"],
        "verify": {"protocol": "screen"},
        "train": {"settings": {"epochs": 1, "batch_size": 512}},
    }


def ordered(folder: Path, settings: dict[str, Any], **changed: Any) -> SweepOrder:
    order = SweepOrder(written(folder, settings), folder / "out", 1, None)
    return replace(order, **changed)


def done(order: SweepOrder) -> tuple[list[SweepStep], Sweep]:
    *steps, sweep = run_sweep(order)
    assert isinstance(sweep, Sweep)
    return steps, sweep  # type: ignore[return-value]


def test_every_combination_is_a_cell(tmp_path: Path) -> None:
    lists = {
        **MINIMAL,
        "devices": ["local-ort", {"device": "local-tflite", "latency": "m"}],
        "bounds": [{"ms": 0.4}, {"quantile": 0.25}, {"macs": 2e6}],
        "strategies": ["a", {"name": "b", "label": "B!"}],
        "seeds": [3, 4],
    }
    cells = cells_of(read_sweep_settings(written(tmp_path, lists)))
    names = [cell.name for cell in cells]
    # Two latency bounds on each of two devices, and MACs once: five bounds in all.
    assert len(set(names)) == len(names) == 5 * 2 * 2
    assert names[0] == "proxyless-tiny_digits_local-ort_0.4ms_a_seed3"
    assert "proxyless-tiny_digits_local-tflite_q0.25_B-_seed4" in names
    assert sum("2000000macs" in name for name in names) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategys": []}, "strategys: Extra inputs"),
        ({"bounds": [{"ms": 1, "macs": 2}]}, r"bounds\.0: .*one of ms, quantile and macs"),
        ({"bounds": [{}]}, r"bounds\.0: .*one of ms"),
        ({"bounds": [{"quantile": 1.5}]}, r"bounds\.0\.quantile: .*less than or equal"),
        ({"seeds": []}, "seeds: .*at least 1"),
        ({"seeds": [-1]}, r"seeds\.0: .*greater than or equal"),
        ({"bounds": [{"ms": 1}]}, "devices: none is named"),
        ({"verify": True}, "devices: none is named"),
        ({"train": True}, "set verify: true"),
        ({"devices": ["toy"], "verify": {"protocl": "x"}}, r"verify\.protocl: Extra inputs"),
        ({"devices": ["toy"], "verify": True, "train": {"seeds": 0}}, r"train\.seeds: "),
        ({"strategies": [{"settings": {}}]}, r"strategies\.0\.name: Field required"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_sweep_settings(written(tmp_path, {**MINIMAL, **change}))


def test_two_cells_of_one_name_ask_for_a_label(tmp_path: Path) -> None:
    twice = {**MINIMAL, "strategies": ["random", {"name": "random", "settings": {"steps": 1}}]}
    with pytest.raises(ConfigError, match="Give each such device or strategy a label"):
        cells_of(read_sweep_settings(written(tmp_path, twice)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strategies": ["proxyles-g"]}, UnknownNameError, "Did you mean"),
        (
            {"strategies": [{"name": "proxyless-g", "settings": {"stepz": 1}}]},
            ConfigError,
            "stepz",
        ),
        ({"data": ["digit"]}, ConfigError, "digit"),
        ({"train": {"settings": {"epoch": 1}}}, ConfigError, "train: settings: epoch"),
        ({"verify": {"protocol": "sceen"}}, UnknownNameError, "sceen"),
        ({"verify": {"also": ["tyo"]}}, UnknownNameError, "Did you mean 'toy'"),
    ],
)
def test_what_cannot_succeed_is_refused_before_anything_is_written(
    settings, tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(run_sweep(ordered(tmp_path, {**settings, **change})))
    assert not (tmp_path / "out").exists()


def test_an_unreachable_bound_names_its_cells_and_starts_none(settings, tmp_path: Path) -> None:
    bounds = [{"quantile": 0.5}, {"ms": 1e-9}]
    with pytest.raises(InfeasibleError, match=r"tiny_digits_toy_1e-09ms_random_seed0: No") as told:
        list(run_sweep(ordered(tmp_path, {**settings, "bounds": bounds})))
    assert "q0.5" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened in order: the stages that ran, and workers that came and went."""
    seen: list[str] = []

    class Noted(InTurn):
        def outcomes(self, function: Any, items: Sequence[Any]) -> Iterator[Any]:
            for outcome in super().outcomes(function, items):
                seen.append(function.__name__)
                yield outcome

    @contextmanager
    def opened(workers: int, scheduler: str | None) -> Iterator[Noted]:
        seen.append("workers come")
        yield Noted()
        seen.append("workers go")

    def verified(order: Any) -> Iterator[Any]:
        seen.append("measured")
        return verify_run(order)

    monkeypatch.setattr(sweep_module, "open_executor", opened)
    monkeypatch.setattr(cell_module, "verify_run", verified)
    return seen


def test_a_sweep_searches_measures_and_trains_every_cell_once(
    settings, spied: list[str], tmp_path: Path
) -> None:
    order = ordered(tmp_path, settings)
    steps, sweep = done(order)
    assert spied == [
        "workers come", *2 * ["run_search_cell"], "workers go",
        *2 * ["measured"],
        "workers come", *2 * ["run_train_cell"], "workers go",
    ]  # fmt: skip
    assert [(s.stage, s.done, s.total) for s in steps] == [
        (stage, number, 2) for stage in Stage for number in range(3)
    ]
    assert [(row.method, row.strategy) for row in sweep.rows] == [
        ("proxyless-g", "proxyless-g"), ("random", "proxyless-g"),
    ]  # fmt: skip
    for row in sweep.rows:
        assert row.failure is None
        assert row.limit is not None
        assert row.measured is not None
        assert row.measured.origin == "simulated"
        assert row.is_met is (row.measured.high_ms <= row.limit.limit)
        assert row.predicted == pytest.approx(row.measured.latency_ms, rel=0.05)
        assert len(row.test_accuracy) == 1
        assert {name for name, _ in row.effort} == {"search", "verify", "train"}
        assert all(effort.wall_s > 0 for _, effort in row.effort)
    assert len({row.limit for row in sweep.rows}) == 1, "all are under the same bound"
    assert read_sweep(tmp_path / "out") == sweep

    before = (tmp_path / "out" / SWEEP).read_bytes()
    spied.clear()
    steps, again = done(order)
    assert (steps, spied) == ([], []), "a finished sweep computes nothing"
    assert again == sweep
    assert (tmp_path / "out" / SWEEP).read_bytes() == before
    inputs = read_inputs([tmp_path / "out"])
    assert (inputs.sweeps, inputs.runs) == ((sweep,), ())


def test_what_is_interrupted_goes_on_where_it_was(settings, spied, tmp_path: Path) -> None:
    whole = ordered(tmp_path, settings)
    _, expected = done(whole)
    order = replace(whole, out=tmp_path / "stopped")
    steps = run_sweep(order)
    for step in steps:
        if isinstance(step, SweepStep) and (step.stage, step.done) == (Stage.VERIFY, 1):
            break
    steps.close()  # type: ignore[attr-defined]
    cells = tmp_path / "stopped" / CELLS
    assert len(list(cells.glob(f"*/{RESULT}"))) == 2
    assert len(list(cells.glob(f"*/{CERTIFICATE}"))) == 1
    assert not (tmp_path / "stopped" / SWEEP).exists()
    spied.clear()
    _, found = done(order)
    assert spied.count("measured") == 1
    assert spied.count("run_search_cell") == 0
    for first, second in zip(expected.rows, found.rows, strict=True):
        assert replace(first, effort=()) == replace(second, effort=())
    name = "tiny_digits_toy_q0.5_random_seed0"
    for record in (RESULT, CERTIFICATE, TRAINING):
        whole_bytes = (tmp_path / "out" / CELLS / name / record).read_bytes()
        assert (cells / name / record).read_bytes() == whole_bytes, record


def test_a_failing_cell_is_recorded_stops_no_other_and_is_tried_again(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tiny_digits_toy_q0.5_random_seed0"

    def failing(order: Any) -> Iterator[Any]:
        if order.folder.name == name:
            raise MeasurementError("the device fell silent")
        return verify_run(order)

    order = ordered(tmp_path, settings)
    with monkeypatch.context() as patch:
        patch.setattr(cell_module, "verify_run", failing)
        steps, sweep = done(order)
    (row,) = sweep.failed
    assert (row.cell, row.failure) == (name, "the device fell silent")
    assert [s.cell for s in steps if s.failure] == [name]
    assert row.measured is None
    assert not row.test_accuracy, "what was not verified is not trained"
    assert sum(bool(r.test_accuracy) for r in sweep.rows) == 1
    said = json.loads((tmp_path / "out" / CELLS / name / FAILED).read_text())
    assert said["stage"] == "verify"
    assert said["error"] == "MeasurementError"

    steps, sweep = done(order)
    assert sweep.failed == ()
    assert [(s.stage, s.cell) for s in steps if s.cell] == [("verify", name), ("train", name)]
    assert not (tmp_path / "out" / CELLS / name / FAILED).exists()


def test_a_sweep_may_grow_but_not_change(settings, spied, tmp_path: Path) -> None:
    one = settings["strategies"][:1]
    small = {**settings, "strategies": one, "verify": False, "train": False}
    _, sweep = done(ordered(tmp_path, small))
    assert [row.test_accuracy for row in sweep.rows] == [()]
    spied.clear()
    _, sweep = done(
        ordered(tmp_path, {**small, "seeds": [0, 1], "verify": {"protocol": "screen"}})
    )
    assert (spied.count("run_search_cell"), spied.count("measured")) == (1, 2)
    changed = {**small, "strategies": [{"name": "proxyless-g", "settings": {**SHORT, "steps": 3}}]}
    with pytest.raises(ConfigError, match="begun with other settings of its search"):
        done(ordered(tmp_path, changed))
    with pytest.raises(ConfigError, match="begun with other settings of its verify"):
        done(ordered(tmp_path, {**small, "verify": {"protocol": "standard"}}))


def test_a_cell_is_held_by_one_process_at_a_time(settings, tmp_path: Path) -> None:
    read = read_sweep_settings(written(tmp_path, settings))
    (each, *_) = sweep_module._orders(read, tmp_path / "out")
    each.folder.mkdir(parents=True)
    with (
        cell_module.held(each.folder),
        pytest.raises(ArtefactError, match="Another process is at work"),
    ):
        run_search_cell(each)
    with cell_module.held(each.folder):
        assert not each.is_done(Stage.SEARCH)


def test_the_time_of_an_interrupted_stage_adds_up(tmp_path: Path) -> None:
    def wall() -> float:
        return float(json.loads((tmp_path / EFFORT).read_text())["search"]["wall_s"])

    with cell_module.metered(tmp_path, Stage.SEARCH):
        sum(range(200_000))
    first = wall()
    with (
        pytest.raises(KeyboardInterrupt),
        cell_module.metered(tmp_path, Stage.SEARCH),
    ):
        sum(range(200_000))
        raise KeyboardInterrupt
    assert wall() > first
    with cell_module.metered(tmp_path, Stage.TRAIN):
        pass
    assert set(json.loads((tmp_path / EFFORT).read_text())) == {"search", "train"}


def test_macs_are_searched_once_and_measured_everywhere(lab, settings, tmp_path: Path) -> None:
    lists = {**settings, "bounds": [{"macs": 60_000}], "train": False}
    del lists["strategies"][1]
    _, sweep = done(ordered(tmp_path, {**lists, "seeds": [0]}))
    (row,) = sweep.rows
    assert row.limit is not None
    assert (row.limit.name, row.device) == ("macs", "toy")
    assert row.measured is not None
    assert row.is_met is None
    assert row.predicted == row.macs


CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_ready_sweeps_are_accepted(path: Path) -> None:
    settings = read_sweep_settings(path)
    assert cells_of(settings)
    for method in settings.strategies:
        strategies[method.name].from_settings(method.settings, method.title)
    for space in settings.spaces:
        assert find_space(space).size > 1
    assert settings.train is not None
    parse(TrainingSettings, settings.train.settings, "train")


@pytest.mark.slow
def test_the_quick_sweep_runs_on_a_cluster(lab, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the package distributed (elat[distributed])")
    quick = yaml.safe_load(next(p for p in CONFIGS if p.stem == "quick").read_text())
    quick["spaces"] = [str(lab.folder / "tiny.yaml")]
    quick["devices"] = [{"device": "toy", "latency": str(lab.scaled(1.0))}]
    order = ordered(tmp_path, quick, workers=2)
    _, sweep = done(order)
    assert sweep.failed == ()
    assert len(sweep.rows) == 4
    for row in sweep.rows:
        assert row.is_met
        assert row.test_accuracy
    # What workers found side by side is what one process finds.
    alone = replace(order, out=tmp_path / "alone", workers=1)
    _, again = done(alone)
    for first, second in zip(sweep.rows, again.rows, strict=True):
        assert replace(first, effort=()) == replace(second, effort=())
