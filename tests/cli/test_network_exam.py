"""`elat exam networks`: what it prints of an exam, and how it fails."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from elat.flows import network_exam
from elat.flows.network_exam import NetworkAccuracy, NetworkExam

EXAM = NetworkExam(
    device="local-ort",
    space="proxyless-tiny",
    origin="simulated",
    learnt=18,
    others=30,
    draws=4,
    additive_mape=0.0123,
    noise=0.02,
    ways=(
        NetworkAccuracy("plain sum", 0.08, 0.001, 0.3, 0.6, (None, None), 0.5, None, None),
        NetworkAccuracy("calibrated", 0.034, 0.002, 0.7, 0.99, (0.912, None), 0.25, 0.015, 0.004),
    ),
)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """The command, of an exam that is known."""
    from elat.latency.condition import Condition, Method, Precision
    from elat.latency.table import Entry, LatencyTable, write_table
    from elat.search.spaces import find_space

    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    condition = Condition(
        "local-ort", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=()
    )
    operators = find_space("proxyless-tiny").all_operators()
    entries = {o: Entry(3, 1e-3 + 1e-9 * o.macs, 0.0) for o in operators}
    write_table(LatencyTable(condition, "simulated", entries), tmp_path / "table.yaml")
    return (
        *("exam", "networks", "--device", "local-ort", "--space", "proxyless-tiny"),
        *("--latency", tmp_path / "table.yaml"),
    )


def test_what_is_unknown_is_a_dash_and_json_has_the_exam(elat, words, monkeypatch):
    monkeypatch.setattr(network_exam, "examine_networks", lambda *_, **__: EXAM)
    said = elat(*words)
    assert said.code == 0, said.err
    shown = " ".join(said.out.split())
    assert "(simulated) after 18" in shown
    assert "1.23 %" in shown
    for value in ("3.40 %", "91.2 %", "25.0 %", "1.5 %", "0.4 %", "-"):
        assert value in said.out
    found = elat(*words, "--json").json
    assert found == {**json.loads(json.dumps(asdict(EXAM))), "levels": [0.9, 0.95]}


def test_networks_that_were_not_measured_are_refused_with_the_command(elat, words):
    said = elat(*words)
    assert said.code != 0
    assert "0 networks of proxyless-tiny are measured on local-ort" in said.error
    assert "elat calibrate --device local-ort --space proxyless-tiny --networks 120" in said.error
