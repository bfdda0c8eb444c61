from dataclasses import replace

import numpy as np
import pytest

from elat.core.errors import ConfigError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.ir import GraphBuilder
from elat.latency.operators.conv import Conv
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.runtimes.simulated import Simulated

OPERATOR = MBConv(8, 8, 8, 3)
QUIET = {"launch_noise": 0.0, "sample_noise": 0.0}


def _condition(**options: float) -> Condition:
    values = tuple(sorted(Simulated().options(options).items()))
    return Condition("sim", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, values)


def _times(tmp_path, operator, condition, runtime, count=4):
    artefact = ArtefactCache(tmp_path).artefact(operator, condition)
    with runtime.open(artefact.model_path, artefact.inputs, condition) as session:
        return [session.time_loops(1000).wall_ms for _ in range(count)]


def test_without_noise_the_roofline_is_exact(tmp_path):
    options = QUIET | {"gmacs_per_s": 2.0, "gbytes_per_s": 1.0, "node_us": 3.0, "call_us": 5.0}
    operator = Linear(100, 50)
    compute_us, memory_us = 5000 / 2e3, 4 * (100 + 5000 + 50 + 50) / 1e3
    expected = (max(compute_us, memory_us) + 3 + 5) / 1e3
    found = _times(tmp_path, operator, _condition(**options), Simulated())
    assert found == pytest.approx([expected] * 4, rel=1e-6)


def test_threads_precision_and_thin_convolutions_change_the_compute_bound(tmp_path):
    options = QUIET | {"gbytes_per_s": 1e9, "node_us": 0.0, "call_us": 0.0}
    dense, depthwise = Conv(16, 16, 8, 3), Conv(64, 64, 8, 3, groups=64)
    condition = _condition(**options, depthwise_efficiency=0.5)
    base = _times(tmp_path, dense, condition, Simulated())[0]
    assert base == pytest.approx(dense.macs / 20e6)
    half = _times(tmp_path, dense, replace(condition, threads=2), Simulated())[0]
    assert half == pytest.approx(base / 2, rel=1e-5)
    int8 = _times(tmp_path, dense, replace(condition, precision=Precision.INT8), Simulated())[0]
    assert int8 == pytest.approx(base / 4, rel=1e-5)
    thin = _times(tmp_path, depthwise, condition, Simulated())[0]
    assert thin == pytest.approx(2 * depthwise.macs / 20e6, rel=1e-5)


def test_noise_is_seeded_and_differs_between_sessions(tmp_path):
    condition = _condition()
    first, again = Simulated(), Simulated()
    one = _times(tmp_path, OPERATOR, condition, first)
    assert one == _times(tmp_path, OPERATOR, condition, again)
    assert one != _times(tmp_path, OPERATOR, condition, first)
    assert one != _times(tmp_path, OPERATOR, _condition(seed=1), Simulated())
    assert np.std(np.log(one)) < 0.05


def test_says_that_nothing_is_measured():
    assert Simulated.origin == "simulated"


def test_writes_any_graph_and_refuses_impossible_speeds():
    builder = GraphBuilder()
    graph = builder.finish(builder.identity(builder.input((1, 2))))
    assert Simulated().write(graph, Precision.FP32) == Simulated().write(graph, Precision.FP32)
    with pytest.raises(ConfigError, match="gmacs_per_s"):
        Simulated().options({"gmacs_per_s": 0})
