"""What a layer computes of what it reads: convolutions, each behind batch norm and ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...latency.graph.ir import Activation
from ...latency.operators.batch_norm import BatchNorm
from ...latency.operators.conv import Conv, Norm
from ...latency.operators.dag_builder import DagBuilder
from .joins import Output

BOTTLENECK = 4
"""A bottleneck has this many times the channels of the layer (Huang et al. 2017, section 3)."""


@dataclass(frozen=True)
class Convolution:
    """Width of the output, side of the window, and groups."""

    channels: int
    kernel: int
    groups: int = 1


@dataclass(frozen=True)
class Layer:
    """Convolutions in pre-activation order (He et al. 2016b, figure 4e).

    Args:
        inner: Of the part of the output that is added; none if there is none.
        outer: Of the part that is concatenated; likewise.
        trunk: What both begin with; batch norm and ReLU behind it are in common.
    """

    inner: tuple[Convolution, ...] = ()
    outer: tuple[Convolution, ...] = ()
    trunk: tuple[Convolution, ...] = ()

    def add(
        self, builder: DagBuilder, value: int, stride: int = 1, *, is_normed: bool = False
    ) -> Output:
        """The output of the layer on `value`.

        Args:
            builder: Where its operators are added.
            value: What it reads.
            stride: Of the first window larger than one pixel.
            is_normed: Whether batch norm and ReLU are in `value` already.
        """
        if self.trunk:
            value = _convolved(builder, value, self.trunk, stride, is_normed, ends_normed=True)
            is_normed, stride = True, 1
        parts = [
            _convolved(builder, value, tail, stride, is_normed) if tail else None
            for tail in (self.inner, self.outer)
        ]
        return Output(*parts)


def normed(builder: DagBuilder, value: int) -> int:
    """`value` behind batch norm and ReLU."""
    channels, side, _ = builder.shape(value)
    return builder.add(BatchNorm(channels, side, Activation.RELU), value)


def point(builder: DagBuilder, value: int, channels: int, stride: int = 1) -> int:
    """A 1x1 convolution of `value` to `channels`, alone."""
    found, side, _ = builder.shape(value)
    none = Activation.NONE
    conv = Conv(found, channels, side, 1, stride, activation=none, norm=Norm.NONE)
    return builder.add(conv, value)


def _convolved(
    builder: DagBuilder,
    value: int,
    convolutions: Sequence[Convolution],
    stride: int,
    is_normed: bool,
    *,
    ends_normed: bool = False,
) -> int:
    """`value` through `convolutions`, each but the last with the next one's norm and ReLU."""
    if not is_normed:
        value = normed(builder, value)
    for index, each in enumerate(convolutions):
        is_bare = index + 1 == len(convolutions) and not ends_normed
        channels, side, _ = builder.shape(value)
        by = stride if each.kernel > 1 else 1
        stride = 1 if each.kernel > 1 else stride
        conv = Conv(
            channels, each.channels, side, each.kernel, by, each.groups,
            Activation.NONE if is_bare else Activation.RELU,
            Norm.NONE if is_bare else Norm.BATCH,
        )  # fmt: skip
        value = builder.add(conv, value)
    return value


def window(channels: int) -> tuple[Convolution, ...]:
    """One 3x3: the layer of DenseNet."""
    return (Convolution(channels, 3),)


def bottleneck(channels: int) -> tuple[Convolution, ...]:
    """1x1 to four times the width, then 3x3: the layer of DenseNet-B."""
    return Convolution(BOTTLENECK * channels, 1), Convolution(channels, 3)


def basic(channels: int) -> tuple[Convolution, ...]:
    """Two 3x3: the basic block of residual networks."""
    return Convolution(channels, 3), Convolution(channels, 3)


def narrowing(channels: int) -> tuple[Convolution, ...]:
    """1x1 to a quarter, 3x3, 1x1 back: the bottleneck block of residual networks."""
    narrow = channels // BOTTLENECK
    return Convolution(narrow, 1), Convolution(narrow, 3), Convolution(channels, 1)
