"""The whole flow on real engines: every artefact is there, whole, and agrees with the rest."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing

import numpy as np
import onnxruntime as ort
import pytest

from elat.core.artefact import read_manifest
from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.methods import METHODS, Subjects
from elat.latency.models.folder import read_model
from elat.latency.store import open_store
from elat.latency.table import read_table
from elat.search.architecture import Architecture
from elat.search.result import read_run
from elat.search.spaces import block_space, find_space, space_from_description


def test_measuring_covers_the_space_and_counts_what_it_did(flow):
    said = flow.said["measure"].json
    space = find_space(str(flow.space))
    priced = [o for o in space.all_operators() if not o.is_free]
    assert said["operators"] == len(priced)
    assert said["failures"] == 0
    assert (said["device"], said["space"], said["protocol"]) == ("local-ort", "tiny", "screen")
    with open_store(flow.home / "measurements.db", create=False) as store:
        condition = Condition.of(find_device("local-ort"))
        hosts = METHODS[condition.method].cases(Subjects(tuple(priced)))
        counts = store.launch_counts(condition.of_models)
        assert said["new_launches"] == sum(counts[host] for host in hosts)


def launches(path):
    """Every launch in the store at `path`, whole; summaries may be made anew."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM launches ORDER BY id").fetchall()


def test_measuring_again_measures_nothing(flow, elat):
    before = launches(flow.home / "measurements.db")
    said = elat("measure", "--device", "local-ort", "--space", flow.space, "--json")
    assert said.code == 0
    assert said.json == {**flow.said["measure"].json, "new_launches": 0}
    assert launches(flow.home / "measurements.db") == before


def test_the_table_holds_every_operator_and_is_rebuilt_from_the_store(flow, elat, tmp_path):
    space, table = find_space(str(flow.space)), read_table(flow.table)
    assert set(table) == {o for o in space.all_operators() if not o.is_free}
    assert flow.said["table"].json["sha256"] == table.sha256
    assert table.origin == "measured"
    assert all(ms > 0 for ms in table.values())
    where = ("--device", "local-ort", "--space", flow.space)
    for name in ("again.yaml", "again.parquet"):
        assert elat("table", *where, "--out", tmp_path / name).code == 0
        assert read_table(tmp_path / name) == table
    assert (tmp_path / "again.yaml").read_bytes() == flow.table.read_bytes()


def test_the_model_has_its_held_out_error_and_its_calibration(flow):
    loaded = read_model(flow.model)
    assert loaded.name == "ridge"
    assert loaded.table == read_table(flow.table)
    assert loaded.space == "tiny"
    assert read_manifest(flow.model, "latency-model")["parents"] == {"table": loaded.table.sha256}
    assert loaded.held_out.to_json() == flow.said["fit"].json["held_out"]
    assert loaded.calibration is not None
    assert loaded.calibration.networks == 6
    assert loaded.calibration.loo_mape < 0.5


def test_a_calibration_says_what_was_chosen_and_how_far_networks_lie_above(elat, flow):
    kept = read_model(flow.model).calibration
    assert kept is not None
    said = elat("calibrate", "--device", "local-ort", "--space", flow.space, "--networks", 6)
    assert said.code == 0, said.err
    shown = " ".join((said.out + said.err).split())
    assert f"calibrated ({kept.form}), each network left out in turn" in shown
    assert f"80% take less than {kept.upper_factor(0.8):.3f} times their prediction" in shown
    assert read_model(flow.model).calibration == kept


def test_the_search_stays_within_its_bound_and_the_space(flow):
    result = read_run(flow.run).result
    (limit,) = result.limits
    model = read_model(flow.model)
    assert limit.name == "local-ort"
    assert limit.fastest <= limit.limit <= limit.slowest
    assert result.model == {"name": "ridge", "sha256": model.sha256}
    assert result.origin == "measured"
    space = space_from_description(result.space)
    assert space == find_space(str(flow.space))
    for candidate in result.candidates:
        predicted = model.network.predict(space.operators(candidate.architecture)).latency_ms
        assert candidate.predicted[0] == pytest.approx(predicted, rel=1e-9)
        assert candidate.predicted[0] <= limit.limit
    assert flow.said["search"].json == {"out": str(flow.run), **result.to_json()}


def test_the_history_has_a_line_for_every_recorded_step(flow):
    lines = [json.loads(line) for line in (flow.run / "history.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)
    assert {line["phase"] for line in lines} >= {"warm-up", "search"}


def test_searching_again_finds_the_result_and_does_nothing(flow, elat, settings):
    before = {path.name: path.read_bytes() for path in flow.run.iterdir() if path.is_file()}
    where = ("--device", "local-ort", "--space", flow.space)
    said = elat("search", *where, "--bound-quantile", 0.5, "--out", flow.run, *settings, "--json")
    assert said.code == 0, said.err
    assert said.out == flow.said["search"].out
    assert {p.name: p.read_bytes() for p in flow.run.iterdir() if p.is_file()} == before


def test_the_same_search_elsewhere_writes_the_same_bytes(flow, elat, settings, tmp_path):
    where = ("--device", "local-ort", "--space", flow.space)
    said = elat("search", *where, "--bound-quantile", 0.5, "--out", tmp_path / "run", *settings)
    assert said.code == 0, said.err
    for name in ("result.json", "history.jsonl", "scores.json"):
        assert (tmp_path / "run" / name).read_bytes() == (flow.run / name).read_bytes()
    assert "rank" in said.out
    assert f"prove it with: elat verify {tmp_path / 'run'}" in said.err


def test_a_search_under_macs_alone_needs_no_latency(elat, tiny, tmp_path, empty_home, settings):
    said = elat(
        "search", "--space", tiny, "--bound-macs", 120_000, "--out", tmp_path / "run", *settings
    )
    assert said.code == 0, said.err
    result = read_run(tmp_path / "run").result
    assert result.origin == "counted"
    assert all(candidate.macs <= 120_000 for candidate in result.candidates)
    assert not empty_home.exists()


def test_the_certificate_says_what_was_measured(flow):
    run = read_run(flow.run)
    certificate = run.certificate
    assert certificate is not None
    assert certificate.device == "local-ort"
    assert certificate.bound_ms == run.result.limits[0].limit
    devices = [found.device for found in certificate.measured]
    assert devices[:2] == ["local-ort", "local-tflite"]
    for found in certificate.measured:
        assert 0 < found.low_ms <= found.latency_ms <= found.high_ms
        assert found.launches >= 3
        assert found.origin == "measured"
        assert found.condition["method"] == "block"
    assert certificate.is_met == (certificate.measured[0].high_ms <= certificate.bound_ms)
    assert certificate.architecture in [architecture for architecture, _ in certificate.tried]
    assert len({architecture for architecture, _ in certificate.tried}) == len(certificate.tried)
    network = space_from_description(run.result.space).network(certificate.architecture)
    assert (certificate.macs, certificate.params) == (network.macs, network.params)


def test_the_certified_network_runs_in_both_engines_alike(flow):
    from ai_edge_litert.interpreter import Interpreter

    x = np.random.default_rng(0).standard_normal((1, 1, 16, 16)).astype(np.float32)
    session = ort.InferenceSession(flow.run / "network.onnx", providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: x})
    interpreter = Interpreter(str(flow.run / "network.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    as_taken = x if tuple(given["shape"]) == x.shape else x.transpose(0, 2, 3, 1)
    interpreter.set_tensor(given["index"], as_taken)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_training_tests_each_network_once_for_each_seed(flow):
    record = read_run(flow.run).training
    assert record is not None
    certificate = read_run(flow.run).certificate
    assert certificate is not None
    assert record.data == "digits"
    assert record.network.architecture == certificate.architecture
    space = block_space(space_from_description(read_run(flow.run).result.space), "a test")
    others = (
        Architecture(space.name, choices)
        for choices in itertools.product(*(range(len(b.candidates)) for b in space.blocks))
        if choices != certificate.architecture.choices
    )
    near = [a for a in others if abs(space.network(a).macs / certificate.macs - 1) <= 0.02]
    matched = record.macs_matched
    assert (matched is None) == (not near), "left out only where the space has none"
    if matched is not None:
        assert matched.architecture in near
    for trained in (record.network, *([matched] if matched else [])):
        assert (trained.epochs, trained.seeds) == (1, (0,))
        assert len(trained.test_accuracy) == 1
        assert 0 <= trained.test_accuracy[0] <= 1


def test_training_again_trains_nothing_and_says_the_same(flow, elat):
    weights = sorted((flow.run / "weights").glob("*.safetensors"))
    times = [path.stat().st_mtime_ns for path in weights]
    said = elat("train", flow.run, "--set", "epochs=1", "--json")
    assert said.code == 0, said.err
    assert said.out == flow.said["train"].out
    assert [path.stat().st_mtime_ns for path in weights] == times


def test_the_report_shows_the_run_and_fetches_nothing(flow):
    page = flow.folder / "report" / "index.html"
    assert flow.said["report"].json == {"page": str(page)}
    text = page.read_text()
    assert "local-ort" in text
    assert 'src="http' not in text
    assert "<link" not in text or 'href="http' not in text
    assert list((flow.folder / "report" / "figures").iterdir())
    assert list((flow.folder / "report" / "tables").iterdir())


@pytest.mark.slow
def test_the_same_results_give_the_same_report(flow, elat, tmp_path):
    assert elat("report", flow.run, flow.model, "--out", tmp_path / "report").code == 0
    first = flow.folder / "report" / "tables"
    for path in sorted(first.rglob("*")):
        if path.is_file():
            again = tmp_path / "report" / "tables" / path.relative_to(first)
            assert again.read_bytes() == path.read_bytes()


def test_verbs_speak_to_people_without_json(flow, elat):
    where = ("--device", "local-ort", "--space", flow.space)
    said = elat("measure", *where)
    assert "operators of tiny are known on local-ort; 0 new launches" in said.err
    assert said.out == ""
    said = elat("fit", *where, "--model", "lookup", "--out", flow.folder / "lookup")
    assert "within 10 %" in said.out
    assert f"model written to {flow.folder / 'lookup'}" in said.err
