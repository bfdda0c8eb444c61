"""TFLite files of whatever origin, with their sizes fixed and their costs counted."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import ArtefactError, ConfigError, UnavailableError
from .model_file import ModelFile, ModelInput, ModelNode, kinds

Shape = tuple[int, ...]

_IDENTIFIER = b"TFL3"
# Kinds that multiply in ways that are not counted here.
_UNCOUNTED = kinds(
    "CALL CONV_3D CUSTOM IF LSTM RNN SVDF UNIDIRECTIONAL_SEQUENCE_LSTM "
    "UNIDIRECTIONAL_SEQUENCE_RNN WHILE"
)


def read_tflite(path: Path, batch: int) -> ModelFile:
    """The TFLite model at `path`, its open batch axis fixed to `batch`.

    Raises:
        ArtefactError: The file is no whole TFLite model.
        ConfigError: Sizes other than the batch are open.
        UnavailableError: The package that reads TFLite files is not installed.
    """
    data, model = _loaded(path, batch)
    graph = model.subgraphs[0]
    codes = code_names(model)
    names = [tensor.name.decode(errors="replace") for tensor in graph.tensors]
    shapes = [tensor_shape(tensor) for tensor in graph.tensors]
    formats = [tensor_dtype(tensor.type) for tensor in graph.tensors]
    constants = {
        name
        for name, tensor in zip(names, graph.tensors, strict=True)
        if holds_data(model, tensor)
    }
    nodes = []
    for operator in graph.operators:
        kind = codes[operator.opcodeIndex]
        reads, writes = _known(operator.inputs), _known(operator.outputs)
        macs = _macs(kind, [shapes[i] for i in reads], [shapes[i] for i in writes])
        inputs, outputs = (tuple(names[i] for i in part) for part in (reads, writes))
        nodes.append(ModelNode(outputs[0] if outputs else kind, kind, inputs, outputs, macs))
        if constants.issuperset(inputs):
            constants.update(outputs)
    return ModelFile(
        data,
        ".tflite",
        tuple(nodes),
        tuple(ModelInput(names[i], formats[i], shapes[i]) for i in graph.inputs),
        tuple(names[i] for i in graph.outputs),
        frozenset(constants),
        {
            name: prod(shape) * element.itemsize
            for name, shape, element in zip(names, shapes, formats, strict=True)
            if element != np.dtype(object)
        },
        any(
            name in constants and element == np.int8 and len(shape) > 1
            for name, shape, element in zip(names, shapes, formats, strict=True)
        ),
    )


def load_tflite(path: Path, batch: int) -> Any:
    """The TFLite model at `path`, a `ModelT` of its schema, its open batch axis fixed to `batch`.

    Raises:
        ArtefactError: The file is no whole TFLite model.
        ConfigError: Sizes other than the batch are open.
        UnavailableError: The package that reads TFLite files is not installed.
    """
    return _loaded(path, batch)[1]


def _loaded(path: Path, batch: int) -> tuple[bytes, Any]:
    data = path.read_bytes()
    model = _parsed(data, path)
    if _fix_batch(model.subgraphs[0], path, batch):
        data = _with_shapes(model, path)
    return data, model


def _parsed(data: bytes, path: Path) -> Any:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise UnavailableError("Reading TFLite files needs: pip install ai-edge-litert") from error
    if data[4:8] != _IDENTIFIER:
        raise ArtefactError(f"{path} is no TFLite model: it lacks the identifier TFL3.")
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        if not model.subgraphs or not model.subgraphs[0].operators:
            raise ArtefactError(f"{path} holds no operator: it is empty, or was cut short.")
        _ = [len(tensor.name) for tensor in model.subgraphs[0].tensors]
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path} is no whole TFLite model: {error}.") from error
    return model


def _fix_batch(graph: Any, path: Path, batch: int) -> bool:
    """Fix the open first axis of every input; says whether a size changed."""
    has_changed = False
    for index in graph.inputs:
        tensor = graph.tensors[index]
        name = tensor.name.decode(errors="replace")
        signature = (
            [] if tensor.shapeSignature is None else [int(s) for s in tensor.shapeSignature]
        )
        for axis, size in enumerate(signature):
            if size >= 0:
                continue
            if axis > 0:
                raise ConfigError(
                    f"{path}: axis {axis} of input {name!r} has no fixed size; convert the model "
                    "again with that size fixed."
                )
            if int(tensor.shape[0]) != batch:
                tensor.shape = [batch, *map(int, tensor.shape[1:])]
                has_changed = True
    return has_changed


def _with_shapes(model: Any, path: Path) -> bytes:
    """`model`, whose inputs changed, as a file; the other tensors get the shapes that follow."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=_packed(model),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ConfigError(f"{path} does not run with that batch: {error}") from error
    for detail in interpreter.get_tensor_details():
        if detail["index"] < len(model.subgraphs[0].tensors):
            model.subgraphs[0].tensors[detail["index"]].shape = list(map(int, detail["shape"]))
    return _packed(model)


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def code_names(model: Any) -> list[str]:
    """The name of each operator code of the model, a custom operator's own."""
    from ai_edge_litert import schema_py_generated as schema

    known = {v: n for n, v in vars(schema.BuiltinOperator).items() if not n.startswith("_")}
    names = []
    for code in model.operatorCodes:
        # Old files have only the deprecated field, new ones the larger of both.
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        names.append(known.get(number, f"OPERATOR_{number}"))
    return names


def tensor_shape(tensor: Any) -> Shape:
    """The shape of a tensor of the file; of a scalar it is empty."""
    return () if tensor.shape is None else tuple(map(int, tensor.shape))


def tensor_dtype(kind: int) -> np.dtype[Any]:
    """The NumPy type of a `TensorType`; object where there is none."""
    from ai_edge_litert import schema_py_generated as schema

    name = next(n for n, v in vars(schema.TensorType).items() if v == kind)
    try:
        found: np.dtype[Any] = np.dtype(name.lower())
    except TypeError:
        # Text, and formats of half a byte: NumPy has none, so that their size is not known.
        return np.dtype(object)
    return found


def holds_data(model: Any, tensor: Any) -> bool:
    """Whether the file holds what is in `tensor`."""
    data = model.buffers[tensor.buffer].data
    return not tensor.isVariable and data is not None and len(data) > 0


def _known(indices: Sequence[int] | None) -> list[int]:
    """Tensor numbers without the -1 of an optional input that is not there."""
    return [int(i) for i in ([] if indices is None else indices) if i >= 0]


def _macs(kind: str, inputs: list[Shape], outputs: list[Shape]) -> int | None:
    """Multiply-adds of an operator; 0 for kinds without, None for those that are not counted."""
    match kind:
        case "CONV_2D":
            return prod(outputs[0]) * prod(inputs[1][1:])
        case "DEPTHWISE_CONV_2D":
            return prod(outputs[0]) * prod(inputs[1][1:3])
        case "TRANSPOSE_CONV":
            return prod(inputs[2]) * prod(inputs[1][:3])
        case "FULLY_CONNECTED":
            return prod(outputs[0]) * inputs[1][-1]
        case "BATCH_MATMUL":
            rows, columns = outputs[0][-2:]
            return prod(outputs[0]) * (prod(inputs[0][-2:]) // rows) if columns else 0
        case _:
            return None if kind in _UNCOUNTED else 0
