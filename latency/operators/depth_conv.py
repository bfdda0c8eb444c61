"""Depthwise separable convolution that normalises first: the edge of the CIFAR tree space."""

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


@operators.register("depth_conv")
@dataclass(frozen=True)
class DepthConv(Sequential):
    """Batch norm, activation, depthwise convolution, pointwise convolution; nothing behind them.

    `DepthConvLayer` of ProxylessNAS in the order `bn_act_weight` (Cai et al. 2019, section 4.1).

    Args:
        resolution: Side of the square input, in pixels.
        kernel: Side of the square depthwise window; odd.
        activation: `none`, `relu`, `relu6` or `hswish`.
        dilation: How many pixels neighbouring taps of the depthwise window are apart.
    """

    in_channels: int
    out_channels: int
    resolution: int
    kernel: int
    stride: int = 1
    activation: Activation = Activation.RELU
    dilation: int = 1

    def __post_init__(self) -> None:
        require_positive(self, "in_channels", "out_channels", "resolution", "kernel", "stride")
        coerce(self, "activation", Activation, ACTIVATIONS)
        # Refuses what else cannot be, such as an even kernel.
        _ = self.named_parts

    @cached_property
    def named_parts(self) -> dict[str, Operator]:
        """Its operators in order, by the name of their sub-module."""
        norm = BatchNorm(self.in_channels, self.resolution, self.activation)
        depth = Conv(
            self.in_channels,
            self.in_channels,
            self.resolution,
            self.kernel,
            self.stride,
            self.in_channels,
            Activation.NONE,
            Norm.NONE,
            dilation=self.dilation,
        )
        point = Conv(
            self.in_channels,
            self.out_channels,
            depth.out_resolution,
            1,
            activation=Activation.NONE,
            norm=Norm.NONE,
        )
        return {"norm": norm, "depth_conv": depth, "point_conv": point}

    def __str__(self) -> str:
        act = "" if self.activation is Activation.RELU else f" {self.activation}"
        dilation = "" if self.dilation == 1 else f" d{self.dilation}"
        return (
            f"DepthConv {self.in_channels}→{self.out_channels} {self.resolution}² "
            f"k{self.kernel} s{self.stride}{dilation}{act}"
        )
