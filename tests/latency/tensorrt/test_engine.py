"""Engines built ahead of time by the real package, without a GPU."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from elat.core.errors import ConfigError, MeasurementError, UnsupportedOperatorError
from elat.devices.device import find_device
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.operators.mbconv import MBConv
from elat.latency.precision import Precision
from elat.latency.runtimes.tensorrt import TensorRt
from elat.latency.tensorrt.engine import BuildSettings, build_engine, log_of
from elat.latency.tensorrt.package import Package, capabilities_of, find_package

from .fake_cuda import FakeCuda
from .fake_tensorrt import Context, Engine, FakeTensorRt

OPERATOR = MBConv(8, 8, 8, 3, 1, 2)


@pytest.fixture(scope="module")
def package():
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    return find_package("tensorrt_rtx")


@pytest.fixture
def condition(package, monkeypatch, tmp_path):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    found = Condition.of(find_device("local-tensorrt")).of_models
    options = TensorRt().options({**dict(found.options), "package": "tensorrt_rtx"})
    return replace(found, options=tuple(sorted(options.items())))


def file_of(nodes, inputs, output, constants=()):
    graph = helper.make_graph(nodes, "file", inputs, [output], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("target", ["sm75", "sm86", "sm120"])
def test_built_for_gpus_that_are_not_here(condition, precision, target, tmp_path):
    if (precision, target) == (Precision.BF16, "sm75"):
        pytest.skip("Turing has no bfloat16")
    under = replace(condition, precision=precision)
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, under)
    made = TensorRt().compile(artefact.model_path, under, target)
    assert made.size > 1000
    assert made.seconds > 0
    assert made.facts["target"] == target
    assert made.facts["layers"] >= 3
    again = TensorRt().compile(artefact.model_path, under, target)
    assert again.facts["sha256"] == made.facts["sha256"]
    assert again.seconds == made.seconds


def test_an_unknown_capability_is_refused(condition, tmp_path):
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with pytest.raises(ConfigError, match=r"does not know .*'sm90'; it knows sm75, "):
        TensorRt().compile(artefact.model_path, condition, "sm90")


def test_capabilities_are_told(package):
    known = capabilities_of(package, package.load())
    assert {"sm86", "sm89", "sm120"} <= set(known)
    assert capabilities_of(Package("tensorrt", "10.0"), package.load()) == ()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (b"no model", "refuses model.onnx"),
        (
            file_of([helper.make_node("Nowhere", ["x"], ["y"])], [value("x", 1)], value("y", 1)),
            "Nowhere",
        ),
    ],
)
def test_what_is_refused_says_the_node(package, model, text):
    with pytest.raises(UnsupportedOperatorError, match=text):
        build_engine(package, model, BuildSettings(), source="model.onnx", capability="sm86")


def test_a_file_with_an_open_batch_is_built_for_the_batch(package):
    open_batch = file_of(
        [helper.make_node("Relu", ["x"], ["y"])],
        [value("x", "batch", 3, 8, 8)],
        value("y", "batch", 3, 8, 8),
    )
    settings = BuildSettings(batch=4)
    assert build_engine(package, open_batch, settings, source="m", capability="sm86").plan
    other = file_of(
        [helper.make_node("Relu", ["x"], ["y"])],
        [value("x", 1, 3, "side", "side")],
        value("y", 1, 3, "side", "side"),
    )
    with pytest.raises(ConfigError, match="axes besides the batch are open"):
        build_engine(package, other, settings, source="m", capability="sm86")


def test_an_engine_needs_its_gpu(condition, tmp_path):
    """On this machine there is none: said, not crashed."""
    runtime = TensorRt()
    if runtime.unavailable_reason() is None:
        pytest.skip("this machine has a GPU")
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, condition)
    with (
        pytest.raises(Exception, match=r"driver|no GPU|cuda-python"),
        runtime.open(artefact.model_path, artefact.inputs, condition),
    ):
        pass


def test_pretended_names_are_those_of_the_package(package):
    """What the tests of sessions call exists in the real package under the same name."""
    real, fake = package.load(), FakeTensorRt(FakeCuda())
    for name in (
        "ILogger", "Builder", "OnnxParser", "Runtime", "BuilderFlag", "ProfilingVerbosity",
        "MemoryPoolType", "LayerInformationFormat", "NetworkDefinitionCreationFlag",
    ):  # fmt: skip
        assert hasattr(real, name)
        assert hasattr(fake, name)
    pairs = [
        (real.Builder, fake.Builder), (real.OnnxParser, fake.OnnxParser),
        (real.Runtime, fake.Runtime), (real.ICudaEngine, Engine),
        (real.IExecutionContext, Context),
    ]  # fmt: skip
    for of_real, of_fake in pairs:
        made = [n for n in vars(of_fake) if not n.startswith("_") and callable(vars(of_fake)[n])]
        assert made
        assert [name for name in made if not hasattr(of_real, name)] == []
    config = real.Builder(log_of(real)).create_builder_config()
    for name in (
        "set_memory_pool_limit", "clear_flag", "create_timing_cache", "set_timing_cache",
        "get_timing_cache", "builder_optimization_level", "profiling_verbosity",
        "add_optimization_profile" if hasattr(config, "add_optimization_profile") else "flags",
    ):  # fmt: skip
        assert hasattr(config, name)
    for flag in ("TF32",):
        assert hasattr(real.BuilderFlag, flag)


def test_errors_of_the_builder_are_kept(package):
    module = package.load()
    log = log_of(module)
    log.log(module.ILogger.ERROR, "worse")
    log.log(module.ILogger.WARNING, "bad")
    log.log(module.ILogger.INFO, "nothing")
    assert (log.errors, log.warnings) == (["worse"], ["bad"])
    assert log_of(module) is log
    assert log.errors == []


def test_every_engine_of_a_process_says_why_it_failed(package):
    """TensorRT keeps the first logger: one for each engine would tell of the first one alone."""
    module = package.load()
    for _ in range(2):
        log = log_of(module)
        assert module.Runtime(log).deserialize_cuda_engine(b"no engine") is None
        assert log.errors


def test_a_build_without_an_engine_says_why(package, monkeypatch):
    module = package.load()
    monkeypatch.setattr(module.Builder, "build_serialized_network", lambda *given: None)
    model = file_of([helper.make_node("Relu", ["x"], ["y"])], [value("x", 1, 3)], value("y", 1, 3))
    with pytest.raises(MeasurementError, match=r"builds no engine of m: it does not say why"):
        build_engine(package, model, BuildSettings(), source="m", capability="sm86")


def test_descriptions_say_how_it_came_to_be(condition, tmp_path):
    under = replace(condition, precision=Precision.INT8)
    artefact = ArtefactCache(tmp_path).artefact(OPERATOR, under)
    TensorRt().compile(artefact.model_path, under, "sm86")
    (path,) = artefact.folder.glob("engines/*/engine.json")
    told = json.loads(path.read_text())
    model = onnx.load(artefact.model_path)
    assert told["inputs"] == [v.name for v in model.graph.input]
    assert told["output"] == model.graph.output[0].name
    assert np.array(told["scales"]).shape == (2, 2)
    assert told["package"] == "tensorrt_rtx"
    assert told["timing_cache"] is None
    assert told["settings"]["optimisation_level"] == 3
    assert told["build_s"] > 0
