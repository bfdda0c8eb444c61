"""TensorRT without a GPU: an engine is the ONNX file itself, run by ONNX Runtime on fake memory.

What it stands in for is held against the installed package by `test_engine.py`.
"""

from __future__ import annotations

import ctypes
import json
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

from .fake_cuda import FakeCuda

HANDOVER_NS = 5_000
_KINDS = {
    TensorProto.FLOAT: ("FLOAT", np.float32),
    TensorProto.FLOAT16: ("HALF", np.float16),
    TensorProto.BFLOAT16: ("BF16", np.uint16),
    TensorProto.INT8: ("INT8", np.int8),
}
_TOLD = {"FLOAT": "FP32", "HALF": "FP16", "BF16": "BF16", "INT8": "Int8"}


class _Flags(SimpleNamespace):
    STRONGLY_TYPED = 1


class FakeTensorRt(ModuleType):
    """Stands in for the module `tensorrt`.

    Attributes:
        run_ns: What a run takes on the GPU; None for `node_ns` a node and what its MACs take, of
            which `macs_per_ns` are done at a time.
        handover_ns: What the host takes to hand a run over.
        refused: A sentence with which the parser refuses every file, or None.
        told_as: What every layer is said to give; None for what it gives.
        is_failing: Whether runs are not taken.
    """

    __version__ = "10.13.0"
    NetworkDefinitionCreationFlag = _Flags
    BuilderFlag = SimpleNamespace(TF32=1)
    ProfilingVerbosity = SimpleNamespace(DETAILED=2)
    MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    LayerInformationFormat = SimpleNamespace(JSON=1)

    def __init__(self, cuda: FakeCuda, name: str = "tensorrt") -> None:
        super().__init__(name)
        self.cuda = cuda
        self.run_ns: int | None = 20_000
        self.node_ns, self.macs_per_ns = 2_000, 1_000
        self.handover_ns = HANDOVER_NS
        self.refused: str | None = None
        self.told_as: str | None = None
        self.is_failing = False
        self.builds = 0
        module = self

        class ILogger:
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        class Builder:
            def __init__(self, logger):
                module.builds += 1

            def create_network(self, flags):
                return SimpleNamespace(
                    model=None, num_layers=0, num_inputs=0, get_input=None, get_output=None
                )

            def create_builder_config(self):
                return Config()

            def create_optimization_profile(self):
                raise AssertionError("files of elat have no open axes")

            def build_serialized_network(self, network, config):
                assert config.cache is not None, "the timing cache is not pinned"
                config.cache += b"+"
                return network.model

        class Config:
            def __init__(self):
                self.cache = None

            def set_memory_pool_limit(self, pool, size):
                assert size > 0

            def clear_flag(self, flag):
                assert flag == module.BuilderFlag.TF32

            def create_timing_cache(self, data):
                return SimpleNamespace(data=bytearray(data))

            def set_timing_cache(self, cache, ignore_mismatch):
                assert not ignore_mismatch
                self.cache = cache.data
                return True

            def get_timing_cache(self):
                return SimpleNamespace(serialize=lambda: bytes(self.cache or b""))

        class OnnxParser:
            def __init__(self, network, logger):
                self.network = network
                self.num_errors = 0 if module.refused is None else 1

            def parse(self, data):
                if module.refused is not None:
                    return False
                try:
                    graph = onnx.load_from_string(data).graph
                except Exception:  # noqa: BLE001
                    module.refused, self.num_errors = "no ONNX file", 1
                    return False
                network = self.network
                network.model = data
                network.num_layers, network.num_inputs = len(graph.node), len(graph.input)
                network.get_input = lambda index: SimpleNamespace(
                    name=graph.input[index].name, shape=_shape(graph.input[index])
                )
                network.get_output = lambda index: SimpleNamespace(name=graph.output[index].name)
                return True

            def get_error(self, index):
                return SimpleNamespace(
                    desc=lambda: module.refused,
                    node=lambda: 0,
                    node_operator=lambda: "Conv",
                    node_name=lambda: "first",
                )

        class Runtime:
            def __init__(self, logger):
                self.logger = logger

            def deserialize_cuda_engine(self, plan):
                try:
                    return Engine(bytes(plan), module)
                except Exception as error:  # noqa: BLE001
                    self.logger.log(ILogger.ERROR, str(error))
                    return None

        self.ILogger, self.Builder, self.OnnxParser, self.Runtime = (
            ILogger,
            Builder,
            OnnxParser,
            Runtime,
        )


class Engine:
    """The ONNX file as an engine."""

    def __init__(self, plan: bytes, module: FakeTensorRt) -> None:
        self.module = module
        model = onnx.load_from_string(plan)
        ends = (*model.graph.input, *model.graph.output)
        self.kinds = {v.name: v.type.tensor_type.elem_type for v in ends}
        self.shapes = {v.name: _shape(v) for v in ends}
        self.inputs = [v.name for v in model.graph.input]
        self.layers = len(model.graph.node)
        self.run_ns = module.run_ns or (
            self.layers * module.node_ns + macs_of(model) // module.macs_per_ns
        )
        self.is_wide = _widened(model)
        options = onnxruntime.SessionOptions()
        # Threads that wait for work by spinning take the core from the one that has it.
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def get_tensor_dtype(self, name):
        kind = self.kinds[name]
        return SimpleNamespace(name=_KINDS[kind][0] if kind in _KINDS else "INT64")

    def get_tensor_shape(self, name):
        return self.shapes[name]

    def create_execution_context(self):
        return Context(self)

    def create_engine_inspector(self):
        told = self.module.told_as or _TOLD[self.get_tensor_dtype(self.inputs[0]).name]
        layer = {
            "Name": "all",
            "LayerType": "fused",
            "Outputs": [{"Name": "y", "Format/Datatype": f"Row major linear {told} format"}],
        }
        text = json.dumps({"Layers": [layer] * self.layers})
        return SimpleNamespace(get_engine_information=lambda form: text)


class Context:
    """Runs an engine on the fake stream."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}

    def set_tensor_address(self, name, memory):
        self.addresses[name] = memory
        return name in self.engine.kinds

    def execute_async_v3(self, stream_handle):
        module = self.engine.module
        module.cuda.host_ns += module.handover_ns
        if module.is_failing or stream_handle not in module.cuda.held["stream"]:
            return False
        module.cuda.work(self.engine.run_ns, self._compute)
        return True

    def _compute(self) -> None:
        engine = self.engine
        given = {name: _widen(self._array(name), engine.is_wide) for name in engine.inputs}
        for name, value in zip(
            [v.name for v in engine.session.get_outputs()],
            engine.session.run(None, given),
            strict=True,
        ):
            target = self._array(name)
            target[...] = _narrow(value, engine.is_wide)

    def _array(self, name: str) -> np.ndarray:
        shape, kind = self.engine.shapes[name], _KINDS[self.engine.kinds[name]][1]
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        block: Any = (ctypes.c_byte * count).from_address(self.addresses[name])
        return np.asarray(np.frombuffer(block, np.dtype(kind)).reshape(shape))


def _shape(value) -> tuple[int, ...]:
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)


def macs_of(model: onnx.ModelProto) -> int:
    """Multiply-adds of the convolutions and matrix products of `model`."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: _shape(v) for v in (*graph.value_info, *graph.output)}
    sizes = {t.name: tuple(t.dims) for t in graph.initializer}
    # Quantised weights have the shape of what they are dequantised to.
    sizes |= {n.output[0]: sizes[n.input[0]] for n in graph.node if n.input[0] in sizes}
    return sum(
        int(np.prod(sizes[node.input[1]])) * int(np.prod(shapes[node.output[0]][2:]))
        for node in graph.node
        if node.op_type in ("Conv", "Gemm")
    )


def _widened(model) -> bool:
    """Turn bfloat16, which ONNX Runtime does not run on CPUs, into float32; says if it was."""
    tensors = [t for t in model.graph.initializer if t.data_type == TensorProto.BFLOAT16]
    for tensor in tensors:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    ends = [*model.graph.input, *model.graph.output]
    is_wide = any(v.type.tensor_type.elem_type == TensorProto.BFLOAT16 for v in ends)
    for value in ends if is_wide else ():
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    return is_wide


def _widen(array: np.ndarray, is_wide: bool) -> np.ndarray:
    if not is_wide:
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)


def _narrow(array: np.ndarray, is_wide: bool) -> np.ndarray:
    return (array.view(np.uint32) >> 16).astype(np.uint16) if is_wide else array
