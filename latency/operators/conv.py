"""Convolution, dense, grouped or depthwise, with batch norm and activation."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import Activation, GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import coerce, require, require_positive

if TYPE_CHECKING:
    from torch import nn

ACTIVATIONS = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.HSWISH)


@operators.register("conv")
@dataclass(frozen=True)
class Conv(Operator):
    """Convolution without bias, batch norm (eps 1e-3, momentum 0.1) and activation.

    Padding is `kernel // 2` on every side, so that stride 1 keeps the resolution. At inference the
    batch norm is folded into weights and bias.

    Args:
        resolution: Side of the square input, in pixels.
        kernel: Side of the square window; odd.
        groups: 1 is dense, `in_channels` with as many outputs is depthwise.
        activation: `none`, `relu`, `relu6` or `hswish`.
    """

    in_channels: int
    out_channels: int
    resolution: int
    kernel: int
    stride: int = 1
    groups: int = 1
    activation: Activation = Activation.RELU6

    def __post_init__(self) -> None:
        require_positive(
            self, "in_channels", "out_channels", "resolution", "kernel", "stride", "groups"
        )
        require(self.kernel % 2 == 1, self, f"kernel must be odd, found {self.kernel}")
        require(
            self.in_channels % self.groups == 0 and self.out_channels % self.groups == 0,
            self,
            f"{self.groups} groups do not divide {self.in_channels} and {self.out_channels}",
        )
        coerce(self, "activation", Activation, ACTIVATIONS)

    @property
    def out_resolution(self) -> int:
        """Side of the square output, in pixels."""
        return (self.resolution - 1) // self.stride + 1

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.in_channels, self.resolution, self.resolution),)

    @property
    def output_shape(self) -> Shape:
        return (self.out_channels, self.out_resolution, self.out_resolution)

    @property
    def _weights(self) -> int:
        return self.out_channels * (self.in_channels // self.groups) * self.kernel**2

    @property
    def macs(self) -> int:
        return self._weights * self.out_resolution**2

    @property
    def params(self) -> int:
        return self._weights + 2 * self.out_channels

    @property
    def traffic_elements(self) -> int:
        read = self.in_channels * self.resolution**2 + self._weights + self.out_channels
        output = self.out_channels * self.out_resolution**2
        passes = 3 if self.activation is Activation.HSWISH else 1
        return read + passes * output

    def build(self) -> nn.Module:
        """A sequence of `conv`, `bn` and, unless the activation is `none`, `act`."""
        from torch import nn

        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(
                self.in_channels,
                self.out_channels,
                self.kernel,
                self.stride,
                self.kernel // 2,
                groups=self.groups,
                bias=False,
            ),
            bn=nn.BatchNorm2d(self.out_channels, eps=1e-3, momentum=0.1),
        )
        if self.activation is Activation.RELU:
            parts["act"] = nn.ReLU(inplace=True)
        elif self.activation is Activation.RELU6:
            parts["act"] = nn.ReLU6(inplace=True)
        elif self.activation is Activation.HSWISH:
            parts["act"] = nn.Hardswish(inplace=True)
        return nn.Sequential(parts)

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        from ..graph.fold import folded_conv

        weight, bias = folded_conv(module.get_submodule("conv"), module.get_submodule("bn"))
        return builder.conv(
            inputs[0],
            weight,
            bias,
            stride=self.stride,
            padding=self.kernel // 2,
            groups=self.groups,
            activation=self.activation,
        )

    def __str__(self) -> str:
        depthwise = self.groups == self.in_channels == self.out_channels and self.groups > 1
        groups = " depthwise" if depthwise else f" g{self.groups}" if self.groups > 1 else ""
        act = "" if self.activation is Activation.RELU6 else f" {self.activation}"
        return (
            f"Conv {self.in_channels}→{self.out_channels} {self.resolution}² "
            f"k{self.kernel} s{self.stride}{groups}{act}"
        )
