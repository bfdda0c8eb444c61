"""How long operators take to become files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elat.latency.graph.convert import onnx_unavailable_reason, to_onnx
from elat.latency.operators.weights import initialise
from elat.latency.precision import Precision
from elat.latency.runtimes import runtimes

ROUNDS = 5
EXPORTED = 3


@pytest.fixture(scope="module")
def built(space):
    """Every operator of the space with a module in eval mode."""
    generator = torch.Generator().manual_seed(0)
    pairs = [(o, o.build().eval()) for o in space.all_operators() if not o.is_free]
    for _, module in pairs:
        initialise(module, generator)
    return pairs


@pytest.mark.parametrize("runtime", ["onnxruntime", "tflite"])
def test_our_writers(benchmark, figure, built, runtime):
    writer = runtimes[runtime]()
    if reason := writer.unavailable_reason():
        pytest.skip(reason)

    def write_all():
        for operator, module in built:
            writer.write(operator.lower(module, 1), Precision.FP32)

    benchmark.pedantic(write_all, rounds=ROUNDS, warmup_rounds=1)
    figure(f"{writer.suffix} file, ours", 1e3 * benchmark.stats["median"] / len(built), "ms")


@pytest.mark.filterwarnings("ignore")
def test_torch_exporter(benchmark, figure, built):
    if reason := onnx_unavailable_reason():
        pytest.skip(reason)
    some = built[:: max(1, len(built) // EXPORTED)][:EXPORTED]
    inputs = [
        tuple(np.zeros((1, *shape), np.float32) for shape in operator.input_shapes)
        for operator, _ in some
    ]

    def export_all():
        for (_, module), arrays in zip(some, inputs, strict=True):
            to_onnx(module, arrays)

    benchmark.pedantic(export_all, rounds=2, warmup_rounds=1)
    figure(".onnx file, torch.onnx.export", 1e3 * benchmark.stats["median"] / len(some), "ms")
