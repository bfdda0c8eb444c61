"""Model folders: whole, checked, and found again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from elat.core.errors import ArtefactError, ConfigError, UnknownNameError
from elat.latency.calibration import Calibration
from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.evaluate import noise
from elat.latency.models.folder import (
    LoadedModel,
    model_folder,
    newest_model,
    no_model,
    read_model,
    write_calibration,
    write_model,
)
from elat.latency.operators.mbconv import MBConv
from elat.latency.table import Entry, LatencyTable, write_table

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
BLOCKS = [MBConv(16, 16, 14, k, expand=e) for k in (3, 5, 7) for e in (1, 3, 6)]
TABLE = LatencyTable(
    CONDITION, "simulated", {o: Entry(5, o.macs * 1e-6 + 0.01, 0.001) for o in BLOCKS}
)
CALIBRATION = Calibration.fit([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [1.3, 2.2, 3.4, 4.5])


def written(folder: Path, name: str = "lookup", table: LatencyTable = TABLE) -> LoadedModel:
    return write_model(folder, name, table, 0, noise(table), "tiny")


def test_a_folder_is_read_back(tmp_path: Path) -> None:
    made = written(tmp_path / "model", "ridge")
    found = read_model(tmp_path / "model")
    assert (found.name, found.seed, found.table, found.space) == ("ridge", 0, TABLE, "tiny")
    assert (found.condition, found.origin) == (CONDITION, "simulated")
    assert found.held_out == noise(TABLE)
    assert found.calibration is None
    assert found.folder == tmp_path / "model"
    assert found.sha256 == made.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("suffix", [".yaml", ".parquet"])
def test_a_bare_table_is_a_lookup(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    write_table(TABLE, path)
    found = read_model(path)
    assert (found.name, found.folder, found.calibration) == ("lookup", None, None)
    assert found.model.predict(BLOCKS[:1]).latency_ms[0] == TABLE[BLOCKS[0]]
    with pytest.raises(ConfigError, match="elat fit"):
        write_calibration(found, CALIBRATION)


def test_a_calibration_stays_beside_its_model(tmp_path: Path) -> None:
    made = written(tmp_path / "model")
    calibrated = write_calibration(made, CALIBRATION, [{"sum_ms": 1.0}])
    found = read_model(tmp_path / "model")
    assert found.calibration == CALIBRATION
    assert found.sha256 == calibrated.sha256 != made.sha256
    plain = made.network.predict(BLOCKS).latency_ms
    assert found.network.predict(BLOCKS).latency_ms != plain
    data = json.loads((tmp_path / "model" / "calibration.json").read_text())
    assert data["networks"] == [{"sum_ms": 1.0}]


def test_fitting_again_drops_the_calibration(tmp_path: Path) -> None:
    write_calibration(written(tmp_path / "model"), CALIBRATION)
    written(tmp_path / "model", "ridge")
    assert read_model(tmp_path / "model").calibration is None


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    write_calibration(written(tmp_path / "a"), CALIBRATION)
    written(tmp_path / "b", "ridge")
    (tmp_path / "a" / "calibration.json").rename(tmp_path / "b" / "calibration.json")
    with pytest.raises(ArtefactError, match="another model"):
        read_model(tmp_path / "b")


def test_other_folders_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("dear reader")
    with pytest.raises(ConfigError, match="no latency model"):
        written(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").exists()
    (tmp_path / "empty").mkdir()
    written(tmp_path / "empty")
    with pytest.raises(UnknownNameError):
        written(tmp_path / "new", "oracle")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["manifest.json", "table.yaml", "held_out.json"])
def test_damaged_folders_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    written(tmp_path / "model")
    path = tmp_path / "model" / name
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ArtefactError) as caught:
        read_model(tmp_path / "model")
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(ArtefactError, match="does not exist"):
        read_model(tmp_path / "model")


def test_another_table_or_another_prediction_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "model", "ridge")
    path = tmp_path / "model" / "manifest.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "probes_ms": [v * 1.01 for v in record["probes_ms"]]}))
    with pytest.raises(ArtefactError, match="no longer predicts"):
        read_model(tmp_path / "model")
    path.write_text(json.dumps({**record, "probes_ms": []}))
    with pytest.raises(ArtefactError, match="elat fit"):
        read_model(tmp_path / "model")
    path.write_text(json.dumps({**record, "config": {}}))
    with pytest.raises(ArtefactError, match="lacks"):
        read_model(tmp_path / "model")
    path.write_text(json.dumps({**record, "parents": {"table": "0"}}))
    with pytest.raises(ArtefactError, match="another table"):
        read_model(tmp_path / "model")


def test_a_stored_state_is_read_and_never_refitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = written(tmp_path / "model", "gaussian-process")
    path = tmp_path / "model" / "state.safetensors"

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("elat.latency.models.gaussian_process._learn", refuse)
    found = read_model(tmp_path / "model")
    assert found.model.predict(BLOCKS).latency_ms.tobytes() == (
        made.model.predict(BLOCKS).latency_ms.tobytes()
    )
    whole = path.read_bytes()
    kept = {name: array[..., :-2].copy() for name, array in load(whole).items()}
    # Cut short, or of another version, whose arrays have other shapes.
    for damaged in (whole[:-9], save({"theta": np.zeros(3)}), save(kept)):
        path.write_bytes(damaged)
        with pytest.raises(ArtefactError, match="elat fit"):
            read_model(tmp_path / "model")
    path.unlink()
    with pytest.raises(ArtefactError, match="missing"):
        read_model(tmp_path / "model")


@pytest.mark.parametrize("name", ["gaussian-process", "xgboost", "mlp"])
def test_a_model_of_older_features_is_refused_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    condition = replace(
        CONDITION,
        runtime="onnxruntime",
        method=Method.IN_SITU,
        options=(("graph_level", "all"), ("spinning", False)),
    )
    table = LatencyTable(condition, "simulated", TABLE.entries)
    path = tmp_path / "model" / "manifest.json"
    with monkeypatch.context() as older:
        older.setattr("elat.latency.models.starts.difference_method", lambda _: None)
        written(tmp_path / "model", name, table)
    # As manifests were before they told the version.
    record = json.loads(path.read_text())
    assert record.pop("features") == 1
    path.write_text(json.dumps(record))
    with pytest.raises(ArtefactError, match="another version"):
        read_model(tmp_path / "model")
    written(tmp_path / "model", name, table)
    assert json.loads(path.read_text())["features"] == 2
    assert read_model(tmp_path / "model").name == name


def test_a_model_that_uses_no_features_is_read_whatever_they_were(tmp_path: Path) -> None:
    written(tmp_path / "model", "ridge")
    path = tmp_path / "model" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "features": 7}))
    assert read_model(tmp_path / "model").name == "ridge"


def test_nothing_there_names_the_commands(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="elat fit"):
        read_model(tmp_path / "nothing")
    assert newest_model(tmp_path, "toy", "tiny") is None
    message = str(no_model("toy", "tiny"))
    for command in ("elat measure", "elat table", "elat fit"):
        assert f"{command} --device toy --space tiny" in message


def test_the_newest_model_is_found(tmp_path: Path) -> None:
    places = [("toy", "tiny", "ridge"), ("toy", "tiny", "lookup"), ("toy", "big", "lookup")]
    for age, (device, space, name) in enumerate(places):
        folder = model_folder(tmp_path, device, space, name)
        written(folder, name)
        os.utime(folder / "manifest.json", ns=(age, age))
    assert newest_model(tmp_path, "toy", "tiny") == model_folder(tmp_path, *places[1])
    assert newest_model(tmp_path, "toy") == model_folder(tmp_path, *places[2])
    assert newest_model(tmp_path, "other") is None
