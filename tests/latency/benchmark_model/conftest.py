"""A device that says what it is told to, and artefacts for it."""

from __future__ import annotations

import pytest

from elat.latency.artefacts import ArtefactCache
from elat.latency.benchmark_model import run
from elat.latency.condition import Condition, Method, Precision
from elat.latency.operators.add import Add
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.runtimes.tflite import TFLite

from .fakes import Fake


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where elat keeps its things, and nothing else is."""
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(run, "_POLL_S", 0.02)
    return tmp_path / "home"


@pytest.fixture
def fake(home, tmp_path):
    return Fake(home, tmp_path / "fake", delegate="none")


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory):
    """Folders of artefacts by name, of one and of several inputs."""
    pytest.importorskip("ai_edge_litert")
    cache = ArtefactCache(tmp_path_factory.mktemp("artefacts"))
    operators = {
        "conv": Conv(3, 4, resolution=8, kernel=3),
        "wide": Conv(3, 8, resolution=8, kernel=3),
        "add": Add(4, 6),
        "concat": Concat((2, 3, 4), 5),
    }
    return {
        f"{name} {precision}": cache.artefact(operator, _condition(precision)).folder
        for name, operator in operators.items()
        for precision in (Precision.FP32, Precision.INT8)
    }


def _condition(precision):
    options = tuple(sorted(TFLite().options({}).items()))
    return Condition("x", "tflite", "", precision, 1, 1, Method.BLOCK, options)
