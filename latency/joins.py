"""The torch modules of operators that join several inputs into one output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Total(nn.Module):
    """Sum of two or more tensors of one shape, and an activation if there is one.

    Args:
        act: May overwrite its input.
    """

    def __init__(self, act: nn.Module | None = None) -> None:
        super().__init__()
        self.act = act

    def forward(self, *xs: Tensor) -> Tensor:
        total = xs[0] + xs[1]
        for x in xs[2:]:
            total = total + x
        return total if self.act is None else self.act(total)


class SlicedPoint(nn.Module):
    """`sum_s W_s x_s`: the pointwise convolution of a concatenation that is never written.

    Args:
        in_channels: Of each input.
        out_channels: Of the output.
        act: May overwrite its input.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, act: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(sum(in_channels), out_channels, 1, bias=False)
        self.act = act
        self._in_channels = list(in_channels)

    def forward(self, *xs: Tensor) -> Tensor:
        slices = torch.split(self.conv.weight, self._in_channels, dim=1)
        terms = [nn.functional.conv2d(x, weight) for x, weight in zip(xs, slices, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total if self.act is None else self.act(total)
