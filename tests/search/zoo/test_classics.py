"""Networks by people: costs counted three ways, and files that compute what torch computes."""

from math import prod

import onnx
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.onnx_file import write_onnx
from elat.latency.runtimes import runtimes
from elat.search.zoo import find_network, zoo_names

EXPECTED = {
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "resnet18", "resnet34", "resnet50", "resnet50_v1", "mnasnet_a1",
    "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "nasnet_a_mobile",
}  # fmt: skip
CLASSICS = tuple(sorted(EXPECTED))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _onnx_costs(data: bytes) -> tuple[int, int]:
    """Elements of all weights and biases, and multiply-adds, as the file states them."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(data)).graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    params = macs = 0
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight, bias = (weights[name] for name in node.input[1:])
            params += prod(weight) + prod(bias)
            macs += prod(shapes[node.output[0]]) * prod(weight[1:])
    return params, macs


def _folded_params(module: nn.Module) -> int:
    """What folding leaves: of each convolution and linear layer the weight and one bias each."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return sum(layer.weight.numel() + len(layer.weight) for layer in layers)


def test_all_are_there():
    assert set(zoo_names()) >= EXPECTED


@pytest.mark.parametrize("name", CLASSICS)
def test_costs_are_the_published_ones(name):
    network = find_network(name)
    operator = network.operator()
    assert (operator.params, operator.macs) == (network.parameters, network.macs)
    assert operator.input_shapes == ((3, 224, 224),)
    assert operator.output_shape == (1000,)


@pytest.mark.parametrize("name", CLASSICS)
def test_the_module_has_these_costs(name):
    network = find_network(name)
    with torch.device("meta"):
        module = network.operator().build().eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            output = module(torch.zeros(1, 3, 224, 224))
    assert sum(p.numel() for p in module.parameters()) == network.parameters
    assert counter.get_total_flops() == 2 * network.macs
    assert output.shape == (1, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSICS)
def test_the_onnx_file_has_these_costs(name):
    network = find_network(name)
    operator = network.operator()
    module = operator.build().eval()
    params, macs = _onnx_costs(write_onnx(operator.lower(module)))
    assert macs == network.macs
    assert params == _folded_params(module)


@pytest.mark.parametrize(("classes", "resolution"), [(10, 96), (100, 225)])
@pytest.mark.parametrize("name", CLASSICS)
def test_other_sizes_change_only_what_they_must(name, classes, resolution):
    network = find_network(name)
    published, other = network.operator(), network.operator(classes, resolution)
    assert other.output_shape == (classes,)
    assert other.input_shapes == ((3, resolution, resolution),)
    features = network.operator(2).params - network.operator(1).params
    assert published.params - other.params == features * (1000 - classes)


@pytest.mark.slow
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("runtime_name", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("name", CLASSICS)
def test_files_compute_what_torch_computes(name, runtime_name, precision, tmp_path):
    runtime = runtimes[runtime_name]()
    if reason := runtime.unavailable_reason():
        pytest.skip(reason)
    options = tuple(sorted(runtime.options({}).items()))
    condition = Condition(
        "here", runtime_name, runtime.version(), precision, 1, 1, Method.BLOCK, options
    )
    operator = find_network(name).operator(classes=10, resolution=64)
    artefact = ArtefactCache(tmp_path).artefact(operator, condition)
    with runtime.open(artefact.model_path, artefact.inputs, condition) as session:
        artefact.check(session.output())
