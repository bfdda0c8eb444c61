"""The torch modules that operators are built from, where torch itself has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Channel gate: mean, `reduce`, ReLU, `expand`, `gate`, product.

    Maps `(batch, channels, height, width)` to the same shape.

    Args:
        channels: Width of the input.
        squeeze_channels: Width between the two layers.
        gate: Makes a factor of the last layer's output; by default MobileNetV3's hard sigmoid.
    """

    def __init__(
        self, channels: int, squeeze_channels: int, gate: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze_channels, 1)
        self.expand = nn.Conv2d(squeeze_channels, channels, 1)
        self.gate = nn.Hardsigmoid() if gate is None else gate

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        factor: Tensor = self.gate(self.expand(nn.functional.relu(self.reduce(mean))))
        return x * factor


class InvertedResidual(nn.Module):
    """Mobile inverted bottleneck.

    Args:
        convolutions: `inverted_bottleneck` (may be missing), `depth_conv` and `point_linear`.
        se: Squeeze-and-excitation behind `depth_conv`, if any.
        has_skip: Whether the input is added to the output.
    """

    def __init__(
        self, convolutions: Mapping[str, nn.Module], se: nn.Module | None, *, has_skip: bool
    ) -> None:
        super().__init__()
        self.inverted_bottleneck = convolutions.get("inverted_bottleneck")
        self.depth_conv = convolutions["depth_conv"]
        self.se = se
        self.point_linear = convolutions["point_linear"]
        self.has_skip = has_skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.inverted_bottleneck is None else self.inverted_bottleneck(x)
        y = self.depth_conv(y)
        if self.se is not None:
            y = self.se(y)
        y = self.point_linear(y)
        return x + y if self.has_skip else y


class Sum(nn.Module):
    """Sum of two tensors of one shape, and an activation if there is one."""

    def __init__(self, act: nn.Module | None = None) -> None:
        super().__init__()
        self.act = act

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        total = a + b
        return total if self.act is None else self.act(total)


class Concatenation(nn.Module):
    """Concatenation along the channels."""

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cat(xs, dim=1)


class ChannelRange(nn.Module):
    """The channels from `begin` to `end`, the latter left out."""

    def __init__(self, begin: int, end: int) -> None:
        super().__init__()
        self.begin = begin
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.begin : self.end]


class ChannelZeros(nn.Module):
    """The input and behind it `count` channels of zeros."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.count))


class Shifted(nn.Module):
    """The input moved one pixel up and left; zeros come in at the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))


class Zeros(nn.Module):
    """Zeros of the shape of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Joined(nn.Module):
    """Modules joined as a directed acyclic graph; see `latency.operators.dag.Dag`.

    Args:
        nodes: In execution order.
        inputs: The values that each reads; 0 is the input, `k` the output of node `k - 1`.
    """

    def __init__(self, nodes: Sequence[nn.Module], inputs: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)
        self._inputs = tuple(tuple(numbers) for numbers in inputs)
        last = dict.fromkeys(range(len(nodes) + 1), len(nodes))
        last |= {number: index for index, numbers in enumerate(inputs) for number in numbers}
        self._done = tuple(
            tuple(number for number, reader in last.items() if reader == index)
            for index in range(len(nodes))
        )

    def forward(self, x: Tensor) -> Tensor:
        values = {0: x}
        for index, (node, numbers) in enumerate(zip(self.nodes, self._inputs, strict=True)):
            values[index + 1] = node(*(values[number] for number in numbers))
            for number in self._done[index]:
                del values[number]
        return values[len(self.nodes)]


class Aggregated(nn.Module):
    """Tensors joined along the channels or added up, then `norm`, then `conv`.

    Args:
        norm: Batch norm and activation.
        conv: The convolution.
        adds: Whether the inputs are added up.
    """

    def __init__(self, norm: nn.Module, conv: nn.Module, *, adds: bool) -> None:
        super().__init__()
        self.norm = norm
        self.conv = conv
        self.adds = adds

    def forward(self, *xs: Tensor) -> Tensor:
        if len(xs) == 1:
            x = xs[0]
        elif self.adds:
            x = sum(xs[1:], xs[0])
        else:
            x = torch.cat(xs, dim=1)
        y: Tensor = self.conv(self.norm(x))
        return y
