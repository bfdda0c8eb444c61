from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from elat.core.errors import ArtefactError
from elat.latency.models import folder as folders
from elat.latency.models.evaluate import noise
from elat.latency.table import read_table
from elat.reports.inputs import read_history, read_inputs
from elat.search.spaces import SearchSpace


def test_a_folder_is_searched_for_runs_and_models(
    tmp_path: Path, write_everything: Callable[..., Path]
) -> None:
    inputs = read_inputs([write_everything(tmp_path / "flow")])
    assert [run.folder.name for run in inputs.runs] == ["macs", "ort", "tflite"]
    assert [model.device for model in inputs.models] == ["local-ort", "local-tflite"]
    assert [len(model.networks) for model in inputs.models] == [30, 30]
    assert all(history[-1].step == 500 for history in inputs.histories)
    assert {manifest.kind for manifest in inputs.manifests} == {"run", "latency-model"}


def test_a_folder_given_twice_counts_once(
    tmp_path: Path, write_everything: Callable[..., Path]
) -> None:
    flow = write_everything(tmp_path / "flow")
    assert read_inputs([flow, flow / "runs" / "ort"]) == read_inputs([flow])


def test_nothing_usable_names_the_repair(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(ArtefactError, match=r"neither a finished search nor.*elat demo"):
        read_inputs([tmp_path])
    with pytest.raises(ArtefactError, match="is no folder"):
        read_inputs([tmp_path / "absent"])


def test_a_damaged_model_folder_is_refused(
    tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    folder = write_model(tmp_path / "model", "local-ort")
    path = folder / "calibration.json"
    path.write_text(json.dumps({"calibration": {}, "networks": []}))
    with pytest.raises(ArtefactError, match="calibrat"):
        read_inputs([folder])
    path.write_text("[1, 2")
    with pytest.raises(ArtefactError, match="cut short"):
        read_inputs([folder])


def test_history_tolerates_missing_keys_and_an_unfinished_last_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lam": 0.5, "expected": [1, 2]}\n{"step": 3, "lo')
    first, second = read_history(path)
    assert (first.step, first.loss, first.expected, first.entropy) == (1, None, (), None)
    assert (second.lam, second.expected) == ((0.5,), (1.0, 2.0))
    assert read_history(tmp_path / "absent.jsonl") == ()


def test_a_damaged_line_inside_the_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n{"loss": 2}\n{"step": 3}\n')
    with pytest.raises(ArtefactError, match="line 2"):
        read_history(path)


def test_a_model_folder_as_the_library_writes_it_is_read(
    tmp_path: Path, space: SearchSpace, write_model: Callable[..., Path]
) -> None:
    made_up = read_inputs([write_model(tmp_path / "made-up", "local-ort")]).models[0]
    table = read_table(tmp_path / "made-up" / "table.yaml")
    folder = tmp_path / "real"
    loaded = folders.write_model(folder, "lookup", table, 0, noise(table), space.name)
    assert made_up.calibration is not None
    rows = [{**asdict(n), "choices": list(n.choices)} for n in made_up.networks]
    folders.write_calibration(loaded, made_up.calibration, rows)
    (model,) = read_inputs([folder]).models
    assert (model.name, model.space) == ("lookup", space.name)
    assert model.networks == made_up.networks
    assert model.calibration == made_up.calibration
    assert model.source == made_up.source
