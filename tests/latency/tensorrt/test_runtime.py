"""The runtime `tensorrt` on a pretended GPU: sessions, engines, and what goes wrong."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import (
    ArtefactError,
    ConfigError,
    MeasurementError,
    UnavailableError,
    UnsupportedOperatorError,
)
from elat.devices.device import find_device
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Cache, Condition
from elat.latency.flags import Flag
from elat.latency.measure import measure
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.latency.precision import Precision
from elat.latency.protocol import Protocol
from elat.latency.runtimes import runtimes
from elat.latency.runtimes.tensorrt import TensorRt
from elat.latency.sample import Clock, Interval
from elat.latency.store import open_store

from . import pretended

OPERATOR = Conv(4, 8, 8, 3)
QUICK = Protocol(
    "quick", target=0.5, min_launches=2, max_launches=2, looks=(2,), passes=12, max_passes=12,
    group_min_ms=1.0, slice_ms=0.2, sentinel_ms=0.1, warmup_min_ms=0.1, timeout_s=60,
)  # fmt: skip
WORKER = (sys.executable, "-P", str(Path(__file__).parent / "pretended.py"))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """The pretended machine: its GPU and its TensorRT."""
    return pretended.install(monkeypatch, tmp_path)


def condition(device="local-tensorrt", cache=Cache.HOT, **options):
    found = replace(Condition.of(find_device(device)).of_models, cache=cache)
    runtime = runtimes[found.runtime]()
    given = runtime.options({**dict(found.options), **options})
    return replace(found, options=tuple(sorted(given.items())), interval=runtime.interval(given))


@pytest.fixture
def artefact(machine, tmp_path):
    return ArtefactCache(tmp_path / "artefacts").artefact(OPERATOR, condition())


def test_a_card_decides_gpu_clock_and_interval(machine, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{schema: 1, id: mine, kind: local_gpu, gpu: {index: 0, lock_clocks: 1410}, runtime: "
        "{name: tensorrt, precision: bf16, options: {transfers: true}}}"
    )
    found = Condition.of(find_device(str(path)))
    options = dict(found.options)
    assert (options["gpu"], options["lock_clocks"]) == (0, "1410")
    assert found.interval is Interval.TRANSFERS_AND_COMPUTE
    assert found.clock is Clock.WALL
    assert found.runtime_version == "tensorrt 10.13.0"
    assert condition().interval is Interval.DEVICE_COMPUTE
    assert Condition.from_json(found.to_json()) == found


@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize("cache", Cache)
@pytest.mark.parametrize("transfers", [False, True])
def test_every_way_computes_and_times(machine, artefact, cuda_graph, cache, transfers):
    api, module = machine
    under = condition(cache=cache, cuda_graph=cuda_graph, transfers=transfers)
    with TensorRt().open(artefact.model_path, artefact.inputs, under) as session:
        artefact.check(session.output())
        sample = session.time_loops(20)
        artefact.check(session.output())
    assert sample.loops == 20
    assert sample.wall_ns >= (0 if transfers else 20 * module.run_ns)
    assert ("cudaGraphLaunch" in api.calls) is (cuda_graph and not transfers)
    assert ("cudaMemsetAsync" in api.calls) is (cache is Cache.COLD and not transfers)
    assert api.leaked() == []


def test_all_is_freed_when_runs_are_not_taken(machine, artefact):
    api, module = machine
    module.is_failing = True
    with (
        pytest.raises(MeasurementError, match="did not take a run"),
        TensorRt().open(artefact.model_path, artefact.inputs, condition()) as session,
    ):
        session.output()
    assert api.leaked() == []


def test_an_engine_is_built_once(machine, artefact):
    _, module = machine
    for _ in range(2):
        with TensorRt().open(artefact.model_path, artefact.inputs, condition()):
            pass
    assert module.builds == 1
    with TensorRt().open(artefact.model_path, artefact.inputs, condition(tf32=True)):
        pass
    assert module.builds == 2


def test_the_timing_cache_goes_from_model_to_model(machine, artefact, tmp_path):
    made = []
    for operator in (OPERATOR, replace(OPERATOR, out_channels=12)):
        other = ArtefactCache(tmp_path / "artefacts").artefact(operator, condition())
        TensorRt().compile(other.model_path, condition(), None)
        (description,) = other.folder.glob("engines/*/engine.json")
        made.append(__import__("json").loads(description.read_text())["timing_cache"])
    assert made[0]["after"] == made[1]["before"]
    assert made[1]["after"] != made[1]["before"]


def test_a_changed_engine_is_noticed(machine, artefact):
    TensorRt().compile(artefact.model_path, condition(), None)
    (plan,) = artefact.folder.glob("engines/*/engine.plan")
    plan.write_bytes(plan.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="was changed since it was built"):
        TensorRt().compile(artefact.model_path, condition(), None)


def test_what_the_parser_refuses_is_unsupported(machine, artefact):
    _, module = machine
    module.refused = "Only FLOAT, HALF or INT8 input is supported for the HardSwish operator"
    with pytest.raises(
        UnsupportedOperatorError, match=r"parser of tensorrt 10.13.0 refuses .*: Conv"
    ):
        TensorRt().compile(artefact.model_path, condition(), None)
    assert not list(artefact.folder.glob("engines/*"))


def test_the_classic_package_builds_for_its_own_gpu_alone(machine, artefact):
    with pytest.raises(
        ConfigError, match=r"builds for the GPU of this machine alone, not for sm8"
    ):
        TensorRt().compile(artefact.model_path, condition(), "sm89")


def test_an_unknown_major_version_is_refused(machine, artefact, monkeypatch):
    monkeypatch.setattr("elat.latency.tensorrt.package._version", lambda name: "12.0.1")
    with pytest.raises(UnavailableError, match=r"tensorrt 12.0.1 is installed; elat knows .* 10"):
        TensorRt().compile(artefact.model_path, condition(), None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"package": "trt"}, "package"),
        ({"optimisation_level": 6}, "optimisation_level"),
        ({"lock_clocks": "fast"}, "lock_clocks"),
        ({"cuda_grph": True}, "cuda_grph"),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        TensorRt().options(options)


def test_a_precision_that_a_runtime_does_not_have_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{schema: 1, id: mine, kind: local_cpu, runtime: {name: onnxruntime, precision: fp16}}"
    )
    with pytest.raises(ConfigError, match=r"fp16, which onnxruntime .* it runs fp32, int8"):
        Condition.of(find_device(str(path)))


def test_without_a_package_the_reason_names_both(monkeypatch):
    monkeypatch.setattr("elat.latency.tensorrt.package.find_spec", lambda name: None)
    assert "pip install 'elat[tensorrt]'" in (TensorRt().unavailable_reason() or "")
    with pytest.raises(UnavailableError, match="Neither tensorrt nor tensorrt-rtx"):
        TensorRt().version()


@pytest.mark.parametrize("precision", Precision)
def test_measured_in_fresh_workers(machine, tmp_path, precision):
    """From operators to a store, through real worker processes on the pretended GPU."""
    under = replace(condition(), precision=precision)
    cases = [OPERATOR, MBConv(4, 4, 8, 3, 1, 2)]
    with open_store(tmp_path / "store.db") as store:
        steps = list(
            measure(
                cases,
                under,
                QUICK,
                store,
                ArtefactCache(tmp_path / "artefacts"),
                seed=0,
                worker_command=WORKER,
            )
        )
        assert [step.failure for step in steps if step.failure] == []
        found = {m.operator: m for m in store.measurements(under)}
    assert set(found) == set(cases)
    for measurement in found.values():
        assert measurement.origin == "measured"
        assert measurement.clock is Clock.WALL
        # The pretended GPU takes 20 us for whatever it runs.
        assert measurement.latency_raw_ms == pytest.approx(0.02, rel=0.02)
        assert Flag.PRECISION_CHANGED not in measurement.flags
        engine = measurement.state_before["engine"]
        assert engine["precisions"] == [
            {"fp32": "FP32", "fp16": "FP16", "bf16": "BF16", "int8": "Int8"}[precision]
        ]
        assert len(engine["sha256"]) == 64


def test_the_output_is_checked_before_anything_is_timed(machine, artefact):
    other = tuple(array + 1 for array in artefact.inputs)
    with TensorRt().open(artefact.model_path, other, condition()) as session:
        assert not np.allclose(session.output(), artefact.expected, atol=1e-3)
