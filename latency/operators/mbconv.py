"""The mobile inverted bottleneck of MobileNetV2, the block that ProxylessNAS chooses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..graph.ir import Activation, GraphBuilder, Value
from . import operators
from .activations import ACTIVATIONS
from .add import Add
from .base import Operator, Shape
from .checks import LATER, coerce, require, require_positive
from .composite import Composite
from .conv import Conv
from .squeeze_excite import SqueezeExcite

if TYPE_CHECKING:
    from torch import nn

KERNELS = (3, 5, 7)
MAX_EXPAND = 6


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor` and 90 % of `value`.

    The rule by which MobileNets round channel counts (Sandler et al. 2018, reference code).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@operators.register("mbconv")
@dataclass(frozen=True)
class MBConv(Composite):
    """Pointwise expansion, depthwise convolution, linear pointwise projection, and a skip.

    Follows ProxylessNAS (Cai et al. 2019, `MBInvertedConvLayer`): batch norm after each, the
    activation after the first two, no expansion convolution where the width stays, and the input
    added to the output where the stride is 1 and the widths are equal.

    `se` puts squeeze-and-excitation behind the depthwise activation as MobileNetV3 does (Howard et
    al. 2019, section 5.3): mean over the image, a pointwise layer to a quarter of the expanded
    width rounded to a multiple of 8, ReLU, a pointwise layer back, hard sigmoid, product.

    Args:
        resolution: Side of the square input, in pixels.
        kernel: Side of the depthwise window: 3, 5 or 7.
        expand: Expanded width over input width, 1 to 6.
        activation: `none`, `relu`, `relu6` or `hswish`.
        mid_channels: Expanded width where it is no such multiple, as in MobileNetV3; `expand` is
            then the nearest. A width that is one is stored as `expand` alone: one block, one key.
    """

    in_channels: int
    out_channels: int
    resolution: int
    kernel: int
    stride: int = 1
    expand: int = 6
    se: bool = False
    activation: Activation = Activation.RELU6
    mid_channels: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        require_positive(
            self, "in_channels", "out_channels", "resolution", "kernel", "stride", "expand"
        )
        require(self.kernel in KERNELS, self, f"kernel must be 3, 5 or 7, found {self.kernel}")
        require(self.expand <= MAX_EXPAND, self, f"expand must be 1 to 6, found {self.expand}")
        require(type(self.se) is bool, self, f"se must be true or false, found {self.se!r}")
        coerce(self, "activation", Activation, ACTIVATIONS)
        if self.mid_channels is not None:
            require_positive(self, "mid_channels")
            nearest = min(max(round(self.mid_channels / self.in_channels), 1), MAX_EXPAND)
            object.__setattr__(self, "expand", nearest)
            if self.mid_channels == nearest * self.in_channels:
                object.__setattr__(self, "mid_channels", None)

    @property
    def hidden_channels(self) -> int:
        """Width of the depthwise convolution."""
        return self.mid_channels or self.in_channels * self.expand

    @property
    def squeeze_channels(self) -> int:
        """Width of the bottleneck of squeeze-and-excitation, whether or not `se` is set."""
        return make_divisible(self.hidden_channels / 4)

    @property
    def has_skip(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.in_channels == self.out_channels

    @cached_property
    def convolutions(self) -> dict[str, Conv]:
        """The two or three convolutions in order, by the name of their sub-module."""
        hidden, resolution = self.hidden_channels, self.resolution
        depth = Conv(hidden, hidden, resolution, self.kernel, self.stride, hidden, self.activation)
        point = Conv(
            hidden, self.out_channels, depth.out_resolution, 1, activation=Activation.NONE
        )
        parts = {"depth_conv": depth, "point_linear": point}
        if hidden == self.in_channels:
            return parts
        first = Conv(self.in_channels, hidden, resolution, 1, activation=self.activation)
        return {"inverted_bottleneck": first, **parts}

    @cached_property
    def gate(self) -> SqueezeExcite | None:
        """The squeeze-and-excitation behind the depthwise convolution, if there is one."""
        if not self.se:
            return None
        resolution = self.convolutions["depth_conv"].out_resolution
        return SqueezeExcite(self.hidden_channels, resolution, self.squeeze_channels)

    @cached_property
    def parts(self) -> tuple[Operator, ...]:
        """The convolutions, the gate behind the depthwise one, and the addition of the input."""
        found: list[Operator] = []
        for name, conv in self.convolutions.items():
            found.append(conv)
            if name == "depth_conv" and self.gate is not None:
                found.append(self.gate)
        if self.has_skip:
            found.append(Add(self.out_channels, self.resolution))
        return tuple(found)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.in_channels, self.resolution, self.resolution),)

    @property
    def output_shape(self) -> Shape:
        return self.convolutions["point_linear"].output_shape

    def build(self) -> nn.Module:
        """An `InvertedResidual` with the sub-module names of ProxylessNAS."""
        from ..blocks import InvertedResidual

        return InvertedResidual(
            {name: conv.build() for name, conv in self.convolutions.items()},
            None if self.gate is None else self.gate.build(),
            has_skip=self.has_skip,
        )

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        x = inputs[0]
        for name, conv in self.convolutions.items():
            x = conv.emit(builder, module.get_submodule(name), (x,))
            if name == "depth_conv" and self.gate is not None:
                x = self.gate.emit(builder, module.get_submodule("se"), (x,))
        return builder.add(inputs[0], x) if self.has_skip else x

    def __str__(self) -> str:
        se = " se" if self.se else ""
        act = "" if self.activation is Activation.RELU6 else f" {self.activation}"
        width = f"e{self.expand}" if self.mid_channels is None else f"m{self.mid_channels}"
        return (
            f"MBConv {self.in_channels}→{self.out_channels} {self.resolution}² "
            f"k{self.kernel} s{self.stride} {width}{se}{act}"
        )
