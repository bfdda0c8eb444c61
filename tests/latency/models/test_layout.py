"""The nodes that are said to run, against the graphs that ONNX Runtime writes of what it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from elat.core.seeding import torch_generator
from elat.latency.artefacts import export
from elat.latency.condition import Method
from elat.latency.graph.ir import Activation
from elat.latency.methods import METHODS
from elat.latency.methods.recipe import RecipeMethod
from elat.latency.models.executed import hollow_graph
from elat.latency.models.layout import RunNode, run_nodes
from elat.latency.operators import Operator
from elat.latency.operators.add import Add
from elat.latency.operators.chain import Chain
from elat.latency.operators.channel_slice import ChannelSlice
from elat.latency.operators.conv import Conv
from elat.latency.operators.dag import Dag
from elat.latency.operators.generate import generate, generated_kinds
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.weights import initialise, randomise_statistics

Signature = tuple[Any, ...]
_CONSTANTS = frozenset({"Conv", "Gemm", "BatchNormalization"})


def models(operators: Iterable[Operator], method: Method = Method.IN_SITU) -> list[Operator]:
    """What is measured for `operators`."""
    timing = METHODS[method]
    assert isinstance(timing, RecipeMethod)
    return list(dict.fromkeys(m for o in operators for m, _ in timing.recipe(o).terms))


def optimised(operator: Operator, folder: Path) -> tuple[Any, Any]:
    """What ONNX Runtime is given for `operator`, with random weights, and what it runs."""
    ort, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    module = operator.build().eval()
    initialise(module, torch_generator(0, "weights"))
    randomise_statistics(module, torch_generator(0, "statistics"))
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.optimized_model_filepath = str(folder / "optimised.onnx")
    model = export(operator, module, "onnxruntime")
    ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    given = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    return given.graph, onnx.load(folder / "optimised.onnx").graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, on a machine where ONNX Runtime lays out channels in blocks of 16."""
    folder = tmp_path_factory.mktemp("optimised")
    _, graph = optimised(Conv(4, 8, 8, 1), folder)
    if [16, 4, 1, 1] not in [list(tensor.dims) for tensor in graph.initializer]:
        pytest.skip("ONNX Runtime has no blocks of 16 channels on this CPU")
    return folder


def told(operator: Operator, folder: Path) -> Counter[Signature]:
    """Kinds, windows and sizes of what ONNX Runtime runs; it tells no shape of blocks."""
    from onnx.numpy_helper import to_array

    given, graph = optimised(operator, folder)
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*given.input, *given.value_info, *given.output)
    }
    found: Counter[Signature] = Counter()
    for node in graph.node:
        attributes = {a.name: a for a in node.attribute}
        reads = [shapes[name] for name in node.input if name and name not in constants]
        weights = [constants[name] for name in node.input if name in constants]
        op = node.op_type.removeprefix("Fused")
        shapes.setdefault(node.output[0], shape_of(op, attributes, reads, weights))
        written = shapes[node.output[0]]
        activation = attributes["activation"].s.decode() if "activation" in attributes else ""
        is_conv = op == "Conv"
        found[
            op,
            activation,
            is_conv and len(reads) > 1,
            weights[0].shape[2] if is_conv else window(attributes, "kernel_shape"),
            window(attributes, "strides"),
            attributes["group"].i if is_conv else 1,
            sum(w.size for w in weights) if op in _CONSTANTS else 0,
            sum(map(prod, reads)) if op != "Slice" else prod(written),
            prod(written),
        ] += 1
    return found


def window(attributes: dict[str, Any], name: str) -> int:
    return attributes[name].ints[0] if name in attributes else 1


def shape_of(
    op: str, attributes: dict[str, Any], reads: list[list[int]], weights: list[Any]
) -> list[int]:
    """Shape of the output of one node, of those that may lie in blocks; from ONNX's reference."""
    batch, channels, *sides = reads[0]
    if op == "ReorderInput":
        return [batch, -(-channels // 16) * 16, *sides]
    if op == "ReorderOutput":
        return [batch, attributes["channels"].i, *sides]
    if op == "GlobalAveragePool":
        return [batch, channels, 1, 1]
    if op == "Concat":
        return [batch, sum(shape[1] for shape in reads), *sides]
    if op in ("Conv", "MaxPool", "AveragePool"):
        kernel = weights[0].shape[2] if op == "Conv" else window(attributes, "kernel_shape")
        reach = window(attributes, "dilations") * (kernel - 1) + 1
        edge = 2 * attributes["pads"].ints[0] if "pads" in attributes else 0
        side = (sides[0] + edge - reach) // window(attributes, "strides") + 1
        return [batch, len(weights[0]) if op == "Conv" else channels, side, side]
    return max(reads, key=prod)


def own(operator: Operator) -> Counter[Signature]:
    """The same of our rules."""
    return Counter(map(signature, run_nodes(hollow_graph(operator))))


def signature(node: RunNode) -> Signature:
    return (
        node.op,
        node.activation,
        node.adds,
        node.kernel,
        node.stride,
        node.groups,
        node.weights,
        node.read,
        node.written,
    )


@pytest.mark.parametrize("kind", generated_kinds())
def test_hosts_run_as_onnx_runtime_runs_them(kind: str, folder: Path) -> None:
    for model in models(generate(2, 1, (kind,))):
        assert own(model) == told(model, folder), model


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method.IN_SITU, Method.SLOPE])
def test_hundreds_of_models_run_as_onnx_runtime_runs_them(method: Method, folder: Path) -> None:
    for model in models(generate(150, 2), method):
        assert own(model) == told(model, folder), model


def branches(first: Operator, second: Operator, activation: Activation) -> Operator:
    """The sum of two convolutions of one input, and a pool."""
    shape = first.output_shape
    total = Add(shape[0], shape[1], activation)
    return Dag((first, second, total, GlobalPool(shape[0], shape[1])), ((0,), (0,), (1, 2), (3,)))


@pytest.mark.parametrize("activation", [Activation.NONE, Activation.RELU, Activation.RELU6])
@pytest.mark.parametrize("groups", [(1, 1), (1, 4), (4, 4)])
@pytest.mark.parametrize("channels", [24, 32])
def test_sums_go_into_convolutions(
    channels: int, groups: tuple[int, int], activation: Activation, folder: Path
) -> None:
    first, second = (
        Conv(channels, channels, 12, 3, groups=g, activation=Activation.NONE) for g in groups
    )
    model = branches(first, second, activation)
    assert own(model) == told(model, folder)


def test_what_has_no_blocks_reads_a_plain_copy() -> None:
    pooled = [
        run_nodes(hollow_graph(Chain((Conv(4, c, 8, 1), GlobalPool(c, 8))))) for c in (24, 32)
    ]
    assert [node.op for node in pooled[0]] == [
        "Conv",
        "GlobalAveragePool",
        "Flatten",
        "ReorderOutput",
    ]
    assert [node.is_blocked for node in pooled[0]] == [True, False, False, False]
    assert [node.is_blocked for node in pooled[1]] == [True, True, False, False]
    assert [nodes[-1].read for nodes in pooled] == [32 * 64, 32]
    sliced = Chain((Conv(4, 32, 8, 1), ChannelSlice(32, 8, 0, 16)))
    assert [node.op for node in run_nodes(hollow_graph(sliced))] == [
        "Conv",
        "Slice",
        "ReorderOutput",
    ]


@pytest.mark.parametrize("kind", generated_kinds())
def test_graphs_put_together_run_as_those_lowered_whole(kind: str) -> None:
    for model in models(generate(2, 1, (kind,))):
        whole = model.lower(model.build().eval())
        assert Counter(run_nodes(whole)) == Counter(run_nodes(hollow_graph(model)))


def test_a_residual_is_added_by_the_projection() -> None:
    block = Chain((Conv(4, 16, 14, 1), MBConv(16, 16, 14, 3, expand=3)))
    nodes = run_nodes(hollow_graph(block))
    assert [node.op for node in nodes] == ["Conv"] * 4 + ["ReorderOutput"]
    assert [node.adds for node in nodes] == [False, False, False, True, False]
