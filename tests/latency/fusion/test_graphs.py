"""The test graphs compute what torch does in both runtimes, and differ as they should."""

from __future__ import annotations

import pytest

from elat.core.errors import UnknownNameError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.fusion.graphs import ROLES, graphs_of
from elat.latency.fusion.pairs import PAIRS, Pair
from elat.latency.fusion.profiled import is_fused
from elat.latency.operators.activate import Activate
from elat.latency.profiling.profile import Profile, ProfiledNode
from elat.latency.runtimes import runtimes

FEW = (
    Pair(("dense",), "relu"),
    Pair(("pointwise",), "add"),
    Pair(("dense", "add"), "relu"),
    Pair(("linear",), "hswish"),
)
PRECISIONS = (Precision.FP32, Precision.INT8)


def check(pair, runtime, precision, cache):
    engine = runtimes[runtime]()
    options = tuple(sorted(engine.options({}).items()))
    condition = Condition("x", runtime, "", precision, 1, 1, Method.BLOCK, options)
    for graph in graphs_of(pair).operators:
        artefact = cache.artefact(graph, condition)
        with engine.open(artefact.model_path, artefact.inputs, condition) as session:
            artefact.check(session.output())


@pytest.mark.parametrize("runtime", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("pair", FEW, ids=str)
def test_graphs_compute_what_torch_does(pair, runtime, tmp_path):
    check(pair, runtime, Precision.FP32, ArtefactCache(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("runtime", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_graphs_of_every_pair_compute_what_torch_does(pair, runtime, precision, tmp_path):
    check(pair, runtime, precision, ArtefactCache(tmp_path))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_both_have_what_each_has(pair):
    """Work is conserved: both do what the two do, and nothing more."""
    graphs = graphs_of(pair)
    macs = {role: getattr(graphs, role).macs for role in ROLES}
    assert macs["both"] - macs["first"] == macs["second"] - macs["base"]
    assert graphs.both.output_shape == graphs.first.output_shape
    assert graphs.values


def test_relu_is_inside_as_in_files_and_hswish_is_not():
    for second, is_inside in (("relu", True), ("relu6", True), ("hswish", False)):
        both = graphs_of(Pair(("dense",), second)).both
        assert any(isinstance(o, Activate) for o in both.operators) is not is_inside


def test_an_unknown_primitive_is_refused():
    with pytest.raises(UnknownNameError, match="softmax"):
        graphs_of(Pair(("dense",), "softmax"))


def profile(*fused, layout=()):
    nodes = [
        ProfiledNode(str(i), "x", tuple(names), 1.0, 1.0, False) for i, names in enumerate(fused)
    ]
    nodes += [ProfiledNode("l", "Reorder", tuple(names), 1.0, 1.0, True) for names in layout]
    return Profile(tuple(nodes), 1, 1, 1.0, 1.0, 0.0, 0.0, 1.0, None, None)


def test_a_profile_tells_whether_one_node_executes_both():
    graphs = graphs_of(Pair(("pointwise",), "add"))
    a, b = f"t{graphs.values[-1]}", f"t{graphs.behind[0]}"
    assert is_fused(profile(("t1",), (a, b), ("t9",)), graphs) is True
    assert is_fused(profile(("t1",), (a,), (b,)), graphs) is False
    assert is_fused(profile(("t1",), (a, b), (f"{b}.real",)), graphs) is False
    assert is_fused(profile(("t1",), (a,), (b,), layout=[(a, b)]), graphs) is False
    assert is_fused(profile(("t1",), (a,)), graphs) is None


def test_a_profile_tells_whether_what_the_file_has_as_one_is_one():
    graphs = graphs_of(Pair(("dense",), "relu"))
    name = f"t{graphs.values[-1]}"
    assert is_fused(profile((f"{name}.linear", name), ("t9",)), graphs) is True
    assert is_fused(profile((f"{name}.linear",), (name,)), graphs) is False
    assert is_fused(profile((name,), (name,)), graphs) is False
    assert is_fused(profile(("t9",)), graphs) is None
