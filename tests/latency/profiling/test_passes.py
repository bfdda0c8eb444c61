"""Real processes on every runtime that has a profiler: counts and sums, never times."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from elat.core.errors import ConfigError, MeasurementError, UnavailableError
from elat.devices.device import find_device
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Cache, Condition
from elat.latency.export import seeded_module
from elat.latency.graph.onnx_file import write_onnx
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.profiling import litert
from elat.latency.profiling.bench import Effort
from elat.latency.profiling.here import HereBench
from elat.latency.profiling.model_file import read_model
from elat.latency.profiling.parts import profile_network
from elat.latency.profiling.passes import profile_file, unavailable_reason
from elat.latency.profiling.profilers import profilers

QUICK = Effort(runs=5, processes=1)
NETWORK = Chain(
    (
        Conv(3, 16, 32, 3, 2),
        MBConv(16, 16, 16, 3, expand=3),
        GlobalPool(16, 16),
        Linear(16, 10),
    )
)


def condition_of(device):
    condition = Condition.of(find_device(device)).of_models
    if reason := unavailable_reason(condition):
        pytest.skip(reason)
    return condition


def test_a_quick_pass_runs_on_every_profiler_there_is():
    assert set(profilers) == {"onnxruntime", "tflite"}


@pytest.mark.parametrize(
    "device",
    [
        "local-ort",
        "local-tflite",
        pytest.param("local-ort-int8", marks=pytest.mark.slow),
        pytest.param("local-tflite-int8", marks=pytest.mark.slow),
    ],
)
def test_every_node_of_a_network_is_executed_once(tmp_path, device):
    condition = condition_of(device)
    cache = ArtefactCache(tmp_path)
    found = profile_network(NETWORK, condition, cache, effort=QUICK)
    profile = found.profile
    path = cache.artefact(NETWORK, condition).model_path
    model = read_model(path, path.suffix, 1)

    assert all(node.fused or node.is_layout for node in profile.nodes)
    executed = Counter(name for node in profile.nodes for name in node.fused)
    computing = {node.name for node in model.nodes if node.macs}
    assert computing and all(executed[name] == 1 for name in computing)
    needed = {n.name for i, n in enumerate(model.nodes) if not model.is_constant(i)}
    assert set(executed) == needed
    assert sum(node.macs or 0 for node in profile.nodes) == NETWORK.macs

    assert profile.scale > 0
    assert all(node.latency_ms >= 0 for node in profile.nodes)
    assert sum(map(profile.share, profile.nodes)) == pytest.approx(1.0)
    assert profile.nodes_ms + profile.call_ms == pytest.approx(profile.unprofiled_run_ms)
    assert profile.kernel_ms + profile.layout_ms == pytest.approx(profile.nodes_ms)
    assert sum(found.part_ms) == pytest.approx(profile.nodes_ms)
    assert all(part_ms > 0 for part_ms in found.part_ms)


def test_a_segmentation_fault_is_a_sentence(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(write_onnx(NETWORK.lower(seeded_module(NETWORK, 0))))
    crash = (
        'import os, signal, sys; print(\'{"worker": "w"}\', flush=True); '
        "sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)"
    )
    with pytest.raises(MeasurementError, match=r"should profile .* was lost.* by SIGSEGV"):
        profile_file(
            path,
            condition_of("local-ort"),
            effort=QUICK,
            bench=HereBench(command=[sys.executable, "-c", crash]),
        )


def test_what_the_runtime_refuses_is_said_with_the_models_names(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Gather", ["x", "ninth"], ["y"], name="pick", axis=1)],
        "g",
        [value("x", TensorProto.FLOAT, [1, 4])],
        [value("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array(9, np.int64), "ninth")],
    )
    path = tmp_path / "model.onnx"
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path)
    with pytest.raises(MeasurementError, match=r"(?s)model.onnx: .*pick.*indices"):
        profile_file(path, condition_of("local-ort"), effort=QUICK)


def test_profiles_are_of_warm_caches():
    cold = replace(condition_of("local-ort"), cache=Cache.COLD)
    assert "warm caches" in str(unavailable_reason(cold))


def test_a_runtime_without_profiler_names_those_that_have_one():
    condition = replace(condition_of("local-ort"), runtime="simulated")
    assert "these have: onnxruntime, tflite" in str(unavailable_reason(condition))


def test_an_unknown_version_of_litert_is_refused(monkeypatch):
    monkeypatch.setattr(litert, "VERIFIED", ("0.0.1",))
    assert "known are 0.0.1, installed is" in str(litert.unavailable_reason())
    with (
        pytest.raises(UnavailableError, match=r"pip install ai-edge-litert==0.0.1"),
        litert.open_profiled(Path("m.tflite"), (), 1),
    ):
        pass


def test_litert_without_xnnpack_cannot_be_profiled(tmp_path):
    condition = replace(condition_of("local-tflite"), options=(("xnnpack", False),))
    path = ArtefactCache(tmp_path).artefact(NETWORK, condition).model_path
    with pytest.raises(UnavailableError, match="xnnpack: true"):
        profile_file(path, condition, effort=QUICK)


def test_effort_has_a_floor():
    with pytest.raises(ConfigError, match="At least one run"):
        Effort(runs=0)
