"""Everything that elat measures becomes an engine, for GPUs of two generations."""

from __future__ import annotations

import numpy as np
import pytest

from elat.core.seeding import numpy_generator
from elat.latency.export import seeded_module
from elat.latency.graph.ir import Graph
from elat.latency.graph.quantise import Quantisation, calibrate
from elat.latency.graph.tensorrt_onnx import write_tensorrt_onnx
from elat.latency.operators import Operator, operators
from elat.latency.operators.serial import kind_of
from elat.latency.precision import Precision
from elat.latency.tensorrt.engine import BuildSettings, build_engine
from elat.latency.tensorrt.package import RTX, Package, find_package
from elat.search.spaces import find_space
from elat.search.zoo import find_network, zoo_names

from ...conformance.test_operators import LOWERED

TARGETS = ("sm86", "sm120")
PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8)


@pytest.fixture(scope="module")
def package() -> Package:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    return find_package(RTX)


def priced(space: str) -> list[Operator]:
    """The operators of `space` that execute something, each once."""
    return [o for o in dict.fromkeys(find_space(space).all_operators()) if not o.is_free]


def quantised(graph: Graph) -> Quantisation:
    """Ranges of `graph` over one random input: any will do where nothing is computed."""
    random = numpy_generator(0, "ranges")
    sample = tuple(random.standard_normal(v.shape, np.float32) for v in graph.inputs)
    return calibrate(graph, [sample])


def ensure_built(package: Package, operator: Operator, precision: Precision) -> None:
    """Build `operator` for every one of `TARGETS`."""
    graph = operator.lower(seeded_module(operator, 0))
    ranges = quantised(graph) if precision is Precision.INT8 else None
    model = write_tensorrt_onnx(graph, precision, ranges)
    for target in TARGETS:
        built = build_engine(
            package, model, BuildSettings(), source=str(operator), capability=target
        )
        assert len(built.plan) > 1000
        assert built.layers >= 1
        assert len(built.inputs) == len(operator.input_shapes)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_operator_of_the_tiny_space(package, precision):
    for operator in priced("proxyless-tiny"):
        ensure_built(package, operator, precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_operator_of_the_mobile_space(package, precision):
    for operator in priced("proxyless-mobile"):
        ensure_built(package, operator, precision)


def test_every_kind_that_executes_something_is_among_the_examples():
    assert {kind_of(o) for o in LOWERED} >= set(operators) - {"zero"}


@pytest.mark.slow
@pytest.mark.parametrize("precision", Precision)
def test_every_kind_of_operator(package, precision):
    for operator in LOWERED:
        ensure_built(package, operator, precision)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo_names())
def test_every_network_of_the_zoo(package, name):
    ensure_built(package, find_network(name).operator(), Precision.FP16)
