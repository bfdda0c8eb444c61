import importlib

import numpy as np
import pytest

from elat.core.errors import ConfigError, MeasurementError, UnavailableError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.ir import Activation
from elat.latency.operators.mbconv import MBConv
from elat.latency.runtimes import tflite as module
from elat.latency.runtimes.tflite import TFLite

pytest.importorskip("ai_edge_litert")
OPERATOR = MBConv(8, 8, 8, 3, se=True, activation=Activation.HSWISH)


def _condition(precision=Precision.FP32, threads=1, **options):
    values = tuple(sorted(TFLite().options(options).items()))
    return Condition("x", "tflite", "", precision, 1, threads, Method.BLOCK, values)


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_with_and_without_xnnpack(xnnpack, precision, tmp_path):
    condition = _condition(precision, xnnpack=xnnpack)
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with TFLite().open(artefact.model_path, artefact.inputs, condition) as session:
        artefact.check(session.output())


def test_an_input_of_another_shape_is_refused(tmp_path):
    condition = _condition()
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with (
        pytest.raises(MeasurementError, match="refuses its input"),
        TFLite().open(artefact.model_path, (np.zeros((1, 8, 9, 9), np.float32),), condition),
    ):
        pass


def test_threads_and_resolver_are_passed_on(tmp_path, monkeypatch):
    library = importlib.import_module("ai_edge_litert.interpreter")
    seen = []
    real = library.Interpreter

    def spy(**settings):
        seen.append(settings)
        return real(**settings)

    monkeypatch.setattr(library, "Interpreter", spy)
    condition = _condition(threads=2, xnnpack=False)
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with TFLite().open(artefact.model_path, artefact.inputs, condition):
        pass
    assert seen[0]["num_threads"] == 2
    resolver = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    assert seen[0]["experimental_op_resolver_type"] == resolver


def test_the_older_package_is_used_where_it_is_what_is_installed(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: name == "tflite_runtime" or None)
    monkeypatch.setattr(module, "version", lambda package: f"2.14 of {package}")
    assert TFLite().unavailable_reason() is None
    assert TFLite().version() == "tflite-runtime 2.14 of tflite-runtime"
    graph = OPERATOR.lower(OPERATOR.build().eval())
    with pytest.raises(UnavailableError, match="pip install ai-edge-litert"):
        TFLite().write(graph, Precision.FP32)


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install ai-edge-litert" in str(TFLite().unavailable_reason())
    with pytest.raises(UnavailableError, match="pip install ai-edge-litert"):
        TFLite().version()


def test_unknown_options_are_refused():
    with pytest.raises(ConfigError, match="xnnpack"):
        TFLite().options({"delegate": "gpu"})
