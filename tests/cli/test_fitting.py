"""`elat fit` on every operator of a store, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.launch import Launch
from elat.latency.methods import METHODS, Subjects
from elat.latency.operators.chain import Chain
from elat.latency.operators.generate import generate, roofline_ms
from elat.latency.sample import Sample
from elat.latency.store import open_store

from .conftest import run_elat


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty made-up operators, in two launches each."""
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    condition = Condition.of(find_device("local-ort"))
    cases = METHODS[condition.method].cases(Subjects(generate(40, 0, ("linear",))))
    with open_store(tmp_path / "m.db") as opened:
        for case in cases:
            assert isinstance(case, Chain)
            ms = sum([roofline_ms(operator) for operator in case.operators])
            for worker in range(2):
                ns = round(1e6 * (1 + 0.002 * worker) * ms)
                samples = (Sample(1, ns, ns, 0),) * 8
                time = f"2026-01-01T00:0{worker}:00+00:00"
                launch = Launch(f"w{worker}", 0, time, 1.0, 1.0, 9, True, 0.0, samples)
                opened.record_launch(case, condition.of_models, launch, {}, "simulated")
    return tmp_path / "m.db"


def test_a_model_of_all_operators_is_fitted_and_examined(store: Path) -> None:
    where = ("--device", "local-ort", "--store", store)
    said = run_elat("fit", *where, "--generated", "--candidates", "roofline,ridge", "--json").json
    assert said["choice"]["model"] == said["model"]
    assert {s["model"] for s in said["choice"]["scores"]} == {"roofline", "ridge"}
    assert said["noise_ceiling"]["perfect"]["within_10"] > 0.9
    assert [c["level"] for c in said["coverage"]] == [0.8, 0.9, 0.95]
    assert said["held_out"]["overall"]["operators"] > 30
    text = run_elat("fit", *where, "--generated", "--model", "ridge").out
    assert "ceiling: true latency" in text and "measured again" in text
    exam = ("exam", "operators", *where, "--seeds", 1, "--models", "ridge", "--json")
    found = run_elat(*exam, "--train", 10).json
    assert [standing["model"] for standing in found["models"]] == ["ridge"]
    assert "unseen ones are needed" in run_elat(*exam, "--train", 20).error
    assert run_elat(*exam, "--train", 10, "--kinds", "linear").json["operators"] == 40
    assert "'conv'" in run_elat(*exam, "--train", 10, "--kinds", "linear,conv").error


def test_kinds_are_of_generated_operators(store: Path) -> None:
    order = ("measure", "--device", "local-ort", "--store", store, "--kinds", "linear")
    assert "--generate" in run_elat(*order, "--space", "proxyless-tiny").error
    assert "'layer'" in run_elat(*order[:-1], "layer", "--generate", 2).error


def test_contradictory_orders_are_refused(store: Path) -> None:
    where = ("--device", "local-ort", "--store", store)
    for odd in ((), ("--generated", "--space", "proxyless-tiny")):
        assert "exactly one" in run_elat("fit", *where, *odd).error
    assert (
        "--candidates"
        in run_elat(
            "fit", *where, "--generated", "--model", "ridge", "--candidates", "ridge"
        ).error
    )
