import numpy as np
import onnxruntime as ort
import pytest

from elat.core.errors import ConfigError, MeasurementError, UnavailableError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.quantise import calibrate
from elat.latency.operators.conv import Conv
from elat.latency.runtimes import onnxruntime as module
from elat.latency.runtimes.onnxruntime import OnnxRuntime

OPERATOR = Conv(8, 8, 8, 3)


def _condition(precision=Precision.FP32, threads=1, **options):
    values = tuple(sorted(OnnxRuntime().options(options).items()))
    return Condition("x", "onnxruntime", "", precision, 1, threads, Method.BLOCK, values)


@pytest.mark.parametrize("level", ["all", "extended", "basic", "disable"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_every_graph_level_computes_the_same(level, precision, tmp_path):
    condition = _condition(precision, graph_level=level)
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with OnnxRuntime().open(artefact.model_path, artefact.inputs, condition) as session:
        artefact.check(session.output())


def test_the_session_is_made_as_asked(tmp_path, monkeypatch):
    seen = []
    real = ort.InferenceSession

    def spy(path, options, providers):
        seen.append((options, providers))
        return real(path, options, providers=providers)

    monkeypatch.setattr(ort, "InferenceSession", spy)
    condition = _condition(threads=2, spinning=True, graph_level="extended")
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with OnnxRuntime().open(artefact.model_path, artefact.inputs, condition):
        pass
    options, providers = seen[0]
    assert providers == ["CPUExecutionProvider"]
    assert options.intra_op_num_threads == 2
    assert options.inter_op_num_threads == 1
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    levels = ort.GraphOptimizationLevel
    assert options.graph_optimization_level == levels.ORT_ENABLE_EXTENDED
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"


def test_a_quantised_file_without_scales_is_refused(tmp_path):
    import onnx

    graph = OPERATOR.lower(OPERATOR.build().eval())
    x = np.ones(graph.inputs[0].shape, np.float32)
    model = onnx.load_from_string(
        OnnxRuntime().write(graph, Precision.INT8, calibrate(graph, [(x,)]))
    )
    del model.metadata_props[:]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with (
        pytest.raises(MeasurementError, match="not say their scale"),
        OnnxRuntime().open(path, (x,), _condition(Precision.INT8)),
    ):
        pass


def test_unknown_options_are_refused():
    with pytest.raises(ConfigError, match="graph_level"):
        OnnxRuntime().options({"graph_level": "most"})


def test_a_missing_package_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install onnxruntime" in str(OnnxRuntime().unavailable_reason())
    with (
        pytest.raises(UnavailableError, match="pip install onnxruntime"),
        OnnxRuntime().open(tmp_path / "x.onnx", (), _condition()),
    ):
        pass
