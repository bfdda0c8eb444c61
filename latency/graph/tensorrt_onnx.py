"""Graphs written as the ONNX files that TensorRT builds engines from.

TensorRT's networks are strongly typed: the types in the file are those that it computes in. Its
quantised tensors are int8 with zero point 0, so that a range reaches as far below zero as above.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ...core.errors import ConfigError
from ..precision import Precision
from .ir import Graph
from .onnx_file import Dialect, write_onnx
from .quantise import HIGHEST, LOWEST, Quantisation, Scale

_DIALECTS = {
    Precision.FP32: Dialect(),
    Precision.FP16: Dialect(real=TensorProto.FLOAT16),
    # The standard has bfloat16 convolutions from opset 22 on; the parser has no such HardSwish.
    Precision.BF16: Dialect(
        opset=22, ir_version=10, real=TensorProto.BFLOAT16, has_hard_swish=False
    ),
    Precision.INT8: Dialect(is_symmetric=True),
}


def write_tensorrt_onnx(
    graph: Graph, precision: Precision, quantisation: Quantisation | None = None
) -> bytes:
    """`graph` as an ONNX file that TensorRT runs in `precision`, NCHW.

    Constants, inputs and output have the type of the precision. In int8 they are quantised with
    zero point 0, biases stay float32, and the metadata entry `SCALES_KEY` holds `[scale, 0]` of
    each input and of the output, so that a session can convert real values to and fro.

    Args:
        graph: What to write.
        precision: Number format.
        quantisation: For int8, the ranges: those of its scales, made symmetric.

    Raises:
        ConfigError: int8 without a quantisation, or a quantisation of another precision.
        UnsupportedOperatorError: A node has no counterpart in ONNX, or a weight is beyond the
            range of the precision.
    """
    if (quantisation is None) is (precision is Precision.INT8):
        given = "none was given" if quantisation is None else "one was given"
        raise ConfigError(
            f"{precision} was asked for, and of quantisations {given}. int8 needs one, from "
            "calibrate(graph, samples); the other precisions take none."
        )
    symmetric = None if quantisation is None else _symmetric(quantisation)
    return write_onnx(graph, symmetric, _DIALECTS[precision])


def _symmetric(quantisation: Quantisation) -> Quantisation:
    """The same ranges with zero point 0; values that shared a scale share one."""
    return Quantisation({name: _centred(scale) for name, scale in quantisation.scales.items()})


def _centred(scale: Scale) -> Scale:
    reach = max(scale.zero_point - LOWEST, HIGHEST - scale.zero_point)
    return Scale(float(np.float32(scale.scale * reach / HIGHEST)), 0)
