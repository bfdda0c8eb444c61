"""Inputs and outputs of an ONNX file, and their values as trtexec reads and writes them."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....core.errors import ArtefactError, ConfigError, MeasurementError
from ..tensors import FORMATS, TensorInfo

if TYPE_CHECKING:
    from onnx import ValueInfoProto

    from ...graph.ir import Array

_FORMATS = {"FLOAT": "FLOAT", "FLOAT16": "HALF", "BFLOAT16": "BF16", "INT8": "INT8"}
_SPELT_IN_JSON = {b"nan": b"NaN", b"-nan": b"NaN", b"inf": b"Infinity", b"-inf": b"-Infinity"}


def read_ends(model: Path) -> tuple[TensorInfo, ...]:
    """The inputs of the ONNX file `model` in its order, and its first output as the last one.

    Raises:
        ArtefactError: It is no ONNX file.
        ConfigError: A size is open, or a type none that elat measures with.
    """
    import onnx
    from google.protobuf.message import DecodeError

    from ...graph.onnx_file import scales_in

    try:
        proto = onnx.load(str(model))
    except (OSError, DecodeError) as error:
        raise ArtefactError(f"{model} is no ONNX file: {error}.") from error
    constants = {constant.name for constant in proto.graph.initializer}
    values = [value for value in proto.graph.input if value.name not in constants]
    values.append(proto.graph.output[0])
    told = scales_in(proto)
    scales = [None] * len(values) if told is None else [scale for scale, _ in told]
    return tuple(_info(value, scale) for value, scale in zip(values, scales, strict=True))


def read_output(data: bytes, info: TensorInfo) -> Array:
    """The output `info` in what trtexec wrote with `--exportOutput`, as real numbers.

    Raises:
        MeasurementError: It is cut short, or does not hold that output whole.
    """
    text = re.sub(rb"-?\b(?:nan|inf)\b", lambda found: _SPELT_IN_JSON[found[0]], data)
    try:
        outputs = {entry["name"]: entry["values"] for entry in json.loads(text)}
        values = np.array(outputs[info.name], np.float32)
    except (ValueError, TypeError, KeyError) as error:
        raise MeasurementError(
            f"trtexec wrote no readable values of the output {info.name} ({error!r})."
        ) from error
    if values.shape != (prod(info.shape),):
        raise MeasurementError(
            f"trtexec wrote {values.size} values of the output {info.name}, which has the shape "
            f"{info.shape}."
        )
    # The formats of real numbers are printed as what they stand for.
    shaped = values.reshape(info.shape)
    return info.decoded(shaped.astype(np.int8)) if info.format == "INT8" else shaped


def _info(value: ValueInfoProto, scale: float | None) -> TensorInfo:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    kind = _FORMATS.get(TensorProto.DataType.Name(tensor.elem_type))
    if kind not in FORMATS:
        raise ConfigError(
            f"{value.name} of the file holds {TensorProto.DataType.Name(tensor.elem_type)}; elat "
            f"measures with {', '.join(_FORMATS)} alone."
        )
    shape = tuple(int(axis.dim_value) for axis in tensor.shape.dim)
    if 0 in shape:
        raise ConfigError(
            f"{value.name} of the file has the shape {shape}, where 0 stands for an open size. "
            "Export it with fixed sizes."
        )
    return TensorInfo(value.name, shape, kind, scale)
