"""Arbitrary torch modules as ONNX and TFLite files, through the converters of others.

The extra `convert` brings them. They take a thousand times as long as the writers of this package
and know every torch operator; this package's tests hold the writers against them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import UnavailableError
from .ir import Array

if TYPE_CHECKING:
    from torch import nn


def onnx_unavailable_reason() -> str | None:
    """Why `to_onnx` cannot run here, with the repair, or None if it can."""
    if find_spec("onnxscript") is None:
        return "torch's ONNX exporter needs onnxscript; install it with: pip install onnxscript"
    return None


def tflite_unavailable_reason() -> str | None:
    """Why `to_tflite` cannot run here, with the repair, or None if it can."""
    if find_spec("litert_torch") is None:
        return "litert-torch is not installed; install it with: pip install litert-torch"
    return None


def to_onnx(module: nn.Module, inputs: Sequence[Array]) -> bytes:
    """`module` in eval mode as a float32 ONNX file with inputs of the shapes of `inputs`.

    Raises:
        UnavailableError: onnxscript, which torch's exporter needs, is missing.
    """
    if reason := onnx_unavailable_reason():
        raise UnavailableError(reason)
    import torch

    args = tuple(torch.from_numpy(array) for array in inputs)
    was_training = module.training
    try:
        program = torch.onnx.export(module.eval(), args, dynamo=True, verbose=False)
    finally:
        module.train(was_training)
    if program is None:
        raise UnavailableError("torch.onnx.export returned no model; update torch.")
    return bytes(program.model_proto.SerializeToString())


def to_tflite(module: nn.Module, inputs: Sequence[Array]) -> bytes:
    """`module` in eval mode as a float32 TFLite file that keeps torch's `NCHW` layout.

    Raises:
        UnavailableError: litert-torch is missing.
    """
    if reason := tflite_unavailable_reason():
        raise UnavailableError(reason)
    import litert_torch
    import torch

    args = tuple(torch.from_numpy(array) for array in inputs)
    was_training = module.training
    try:
        model = litert_torch.convert(module.eval(), args)
    finally:
        module.train(was_training)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(str(path))
        return path.read_bytes()
