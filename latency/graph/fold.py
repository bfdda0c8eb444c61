"""Weights of torch layers as NumPy arrays, batch norm folded into the convolution before it."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from ...core.errors import UnsupportedOperatorError
from .ir import Array


def _float64(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return tensor.detach().cpu().numpy().astype(np.float64)


def plain_weights(layer: nn.Module) -> tuple[Array, Array]:
    """Weight and bias of a convolution or linear layer; a missing bias is zero.

    Raises:
        UnsupportedOperatorError: `layer` is another kind of layer.
    """
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        raise UnsupportedOperatorError(
            f"{type(layer).__name__} has no lowering; a convolution or linear layer was expected."
        )
    weight = _float64(layer.weight)
    bias = np.zeros(len(weight)) if layer.bias is None else _float64(layer.bias)
    return weight.astype(np.float32), bias.astype(np.float32)


def folded_conv(conv: nn.Module, bn: nn.Module) -> tuple[Array, Array]:
    """Weight and bias of the one convolution that equals `conv` followed by `bn` in eval mode.

    With scale `g = gamma / sqrt(var + eps)`: weight `g W`, bias `g (b - mean) + beta`; in float64.

    Raises:
        UnsupportedOperatorError: The layers are no convolution and batch norm with statistics.
    """
    if not isinstance(conv, nn.Conv2d) or not isinstance(bn, nn.BatchNorm2d):
        raise UnsupportedOperatorError(
            f"{type(conv).__name__} followed by {type(bn).__name__} has no lowering; "
            "a convolution and a batch norm were expected."
        )
    if bn.running_mean is None or bn.running_var is None:
        raise UnsupportedOperatorError("A batch norm without running statistics does not fold.")
    weight = _float64(conv.weight)
    bias = np.zeros(len(weight)) if conv.bias is None else _float64(conv.bias)
    scale = _float64(bn.weight) / np.sqrt(_float64(bn.running_var) + bn.eps)
    folded = scale * (bias - _float64(bn.running_mean)) + _float64(bn.bias)
    return (weight * scale[:, None, None, None]).astype(np.float32), folded.astype(np.float32)
