"""TensorRT without TensorRT on a real GPU: torch runs the ONNX file, on elat's stream and memory.

With it everything of a session but TensorRT itself is real: CUDA, graphs, copies, NVML. As a
program it is a worker on such a machine. Its times are torch's, not TensorRT's, and go nowhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import importlib
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any, cast

import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

from elat.latency.tensorrt import package as packages

if __name__ != "__main__":
    from . import fake_tensorrt
else:
    fake_tensorrt = importlib.import_module("latency.tensorrt.fake_tensorrt")

_TYPES = {"FLOAT": "<f4", "HALF": "<f2", "BF16": "<i2", "INT8": "|i1"}


class GpuEngine(fake_tensorrt.Engine):
    """The ONNX file, whose context works on the GPU."""

    def __init__(self, plan: bytes, module: Any) -> None:
        super().__init__(plan, module)
        self.graph = onnx.load_from_string(plan).graph

    def create_execution_context(self):
        return GpuContext(self)


class GpuContext:
    """Runs the graph by torch."""

    def __init__(self, engine: GpuEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.constants: dict[str, torch.Tensor] = {}
        for tensor in engine.graph.initializer:
            array = numpy_helper.to_array(tensor)
            held = torch.from_numpy(array.copy()) if array.dtype != "bfloat16" else None
            if held is None:
                held = torch.from_numpy(array.astype("float32")).bfloat16()
            self.constants[tensor.name] = held if held.dtype == torch.int64 else held.cuda()

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        with torch.no_grad(), torch.cuda.stream(torch.cuda.ExternalStream(stream_handle)):
            values = dict(self.constants)
            values |= {name: self._on_gpu(name) for name in self.engine.inputs}
            for node in self.engine.graph.node:
                given = [values[name] for name in node.input]
                made = _OPERATIONS[node.op_type](
                    *given, **{a.name: helper.get_attribute_value(a) for a in node.attribute}
                )
                values[node.output[0]] = made
            name = self.engine.graph.output[0].name
            self._on_gpu(name).copy_(values[name])
        return True

    def _on_gpu(self, name: str) -> torch.Tensor:
        kind = self.engine.get_tensor_dtype(name).name
        place = {
            "shape": self.engine.get_tensor_shape(name),
            "typestr": _TYPES[kind],
            "data": (self.addresses[name], False),
            "version": 3,
        }
        tensor = torch.as_tensor(SimpleNamespace(__cuda_array_interface__=place), device="cuda")
        return tensor.view(torch.bfloat16) if kind == "BF16" else tensor


def _conv(x, w, b, *, strides, pads, dilations, group, kernel_shape):
    return functional.conv2d(x, w, b, tuple(strides), pads[0], tuple(dilations), group)


def _quantise(x, scale, zero):
    return torch.clamp(torch.round(x / scale), -128, 127).to(torch.int8)


def _dequantise(q, scale, zero, axis=1):
    shape = [1] * q.dim()
    if scale.dim():
        shape[axis] = -1
    return q.float() * scale.reshape(shape)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "Clip": torch.clamp,
    "Relu": torch.relu,
    "HardSwish": functional.hardswish,
    "HardSigmoid": lambda x, alpha, beta: torch.clamp(x * alpha + beta, 0, 1),
    "Sigmoid": torch.sigmoid,
    "Add": torch.add,
    "Mul": torch.mul,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda x, axis: x.flatten(axis),
    "Gemm": lambda x, w, b, transB: functional.linear(x, w, b),  # noqa: N803
    "Identity": lambda x: x,
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}


def install() -> Any:
    """Make this process's TensorRT such a one; CUDA and NVML stay what they are."""
    # What elat forbids TensorRT, unless the card allows it; the check of outputs notices it.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    module = fake_tensorrt.FakeTensorRt(cast(Any, None))
    module.__spec__ = ModuleSpec("tensorrt", None)
    setattr(fake_tensorrt, "Engine", GpuEngine)  # noqa: B010
    sys.modules["tensorrt"] = module
    packages._version = lambda name: module.__version__
    return module


def main() -> None:
    """Serve as a worker."""
    install()
    importlib.import_module("elat.latency.worker").main()


if __name__ == "__main__":
    main()
