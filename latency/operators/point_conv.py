"""Pointwise convolution that normalises first: an edge of path-level spaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..graph.ir import Activation
from . import operators
from .activations import ACTIVATIONS
from .base import Operator
from .batch_norm import BatchNorm
from .checks import coerce, require_positive
from .composite import Sequential
from .conv import Conv, Norm


@operators.register("point_conv")
@dataclass(frozen=True)
class PointConv(Sequential):
    """Batch norm, activation, pointwise convolution; nothing behind them.

    The `1x1 Conv` of PathLevel-EAS (Cai et al. 2018, section 4.1) in the order `bn_act_weight`.

    Args:
        resolution: Side of the square input, in pixels.
        activation: `none`, `relu`, `relu6` or `hswish`.
    """

    in_channels: int
    out_channels: int
    resolution: int
    activation: Activation = Activation.RELU

    def __post_init__(self) -> None:
        require_positive(self, "in_channels", "out_channels", "resolution")
        coerce(self, "activation", Activation, ACTIVATIONS)

    @cached_property
    def named_parts(self) -> dict[str, Operator]:
        """Its operators in order, by the name of their sub-module."""
        norm = BatchNorm(self.in_channels, self.resolution, self.activation)
        point = Conv(
            self.in_channels,
            self.out_channels,
            self.resolution,
            1,
            activation=Activation.NONE,
            norm=Norm.NONE,
        )
        return {"norm": norm, "point_conv": point}

    def __str__(self) -> str:
        act = "" if self.activation is Activation.RELU else f" {self.activation}"
        return f"PointConv {self.in_channels}→{self.out_channels} {self.resolution}²{act}"
