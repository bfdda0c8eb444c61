"""The supernet of links: a slice of each aggregation's weights for every candidate source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..latency.operators.aggregate import How
from ..latency.operators.weights import initialise
from .architecture import Architecture
from .gates import GateMode, inner
from .spaces.aggregation import OPEN, AggregationSpace
from .spaces.links import Node
from .supernet import Supernet, forget_statistics, lay_out

Contribution = Callable[[Tensor], Tensor]

_EPS = 1e-3


@final
class LinkSupernet(Supernet):
    """Weights per link where outputs are concatenated, per aggregation where they are added up.

    A convolution of concatenated inputs is a sum over inputs, each with its slice of the weights:
    a closed link leaves its slice out, and neither it nor its batch norm is computed, stored or
    trained. So what is open costs as much as the plain network with these links.

    Args:
        space: What to choose from.
        generator: Draws the weights.
        dtype: Of the weights.
    """

    space: AggregationSpace

    def __init__(
        self,
        space: AggregationSpace,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(space)
        self._adds = space.settings.how is How.SUM
        stages = range(len(space.sides) - 1)
        with torch.random.fork_rng(devices=[]):
            self.stem = space.stem.build()
            self.pools = nn.ModuleList(space.pool(s, space.sides[s]).build() for s in stages)
            self.tail = nn.ModuleList(operator.build() for operator in space.tail)
        self.joins = nn.ModuleList(
            _Slices(space, node, 1 if self._adds else len(node.candidates), generator)
            for node in space.nodes
        )
        for part in (self.stem, self.tail):
            initialise(part, generator)
        forget_statistics(self)
        lay_out(self, dtype)

    def forward(
        self,
        images: Tensor,
        gates: Tensor,
        mode: GateMode = GateMode.RECOMPUTE,
        involved: Tensor | None = None,
    ) -> Tensor:
        device = next(self.parameters()).device
        x: Tensor = self.stem(images.to(device).contiguous(memory_format=torch.channels_last))
        opened = (gates.detach()[:, OPEN] != 0).tolist()
        values, kept = [x], [x.detach()]
        for node, slices in zip(self.space.nodes, self.joins, strict=True):
            row = gates[node.first : node.behind] if gates.requires_grad and node.free else None
            join = self._sum if self._adds else self._concat
            x = join(node, cast(_Slices, slices), values, kept, opened, row, mode)
            if node.is_output and node.stage < len(self.pools):
                x = self.pools[node.stage](x)
            if node.is_output:
                values, kept = [], []
            values.append(x)
            kept.append(x.detach())
        for part in self.tail:
            x = part(x)
        return x.to(images.device)

    def _concat(
        self,
        node: Node,
        slices: _Slices,
        values: Sequence[Tensor],
        kept: list[Tensor],
        opened: Sequence[bool],
        row: Tensor | None,
        mode: GateMode,
    ) -> Tensor:
        """The convolution of the open sources one behind the other, each with its slice.

        What it concatenates is a copy of the sources that batch norm keeps for the backward pass:
        from here on it stands for them in `kept`, so that they need not be kept themselves.
        """
        sources = node.sources(opened)
        if sources:
            read = [values[s] for s in sources]
            joined = torch.cat(read, dim=1) if len(read) > 1 else read[0]
            parts = torch.split(joined.detach(), [x.shape[1] for x in read], dim=1)
            for source, part in zip(sources, parts, strict=True):
                kept[source] = part
            y: Tensor = slices(joined, [node.candidates.index(s) for s in sources])
        else:
            y = slices.nothing(values[0])
        if row is None:
            return y
        places = [node.candidates.index(source) for source in node.free]
        contributions = tuple(slices.contribution(place) for place in places)
        stores = mode is not GateMode.RECOMPUTE
        found: Tensor = LinkGradient.apply(  # type: ignore[no-untyped-call]
            y, row, contributions, stores, *(kept[source] for source in node.free)
        )
        return found

    def _sum(
        self,
        node: Node,
        slices: _Slices,
        values: Sequence[Tensor],
        kept: list[Tensor],
        opened: Sequence[bool],
        row: Tensor | None,
        mode: GateMode,
    ) -> Tensor:
        """The convolution of the sum of the open sources.

        Where a gate has a gradient its source is kept; so the sum of several is not, but added up
        again in the backward pass.
        """
        sources = node.sources(opened)
        free = [kept[source] for source in node.free]

        def normed(*read: Tensor) -> Tensor:
            total = sum(read[1:], read[0]) if read else torch.zeros_like(values[0])
            if row is not None:
                contributions = (_itself,) * len(free)
                total = LinkGradient.apply(total, row, contributions, False, *free)  # type: ignore[no-untyped-call]
            return slices.normed(total, [0])

        read = [values[source] for source in sources]
        if row is not None and len(read) > 1 and mode is GateMode.RECOMPUTE:
            x = checkpoint(normed, *read, use_reentrant=False, preserve_rng_state=False)
        else:
            x = normed(*read)
        return slices.convolved(cast(Tensor, x), [0])

    def derive(self, architecture: Architecture) -> nn.Module:
        network = self.plain(architecture)
        parts = iter(cast(Sequence[nn.Module], network.nodes))
        _copy(self.stem, next(parts))
        for node, slices in zip(self.space.nodes, self.joins, strict=True):
            read = node.sources(architecture.choices)
            places = [0] if self._adds else [node.candidates.index(source) for source in read]
            cast(_Slices, slices).write(next(parts), places)
            if node.is_output and node.stage < len(self.pools):
                next(parts)
        for part in self.tail:
            _copy(part, next(parts))
        return network


class _Slices(nn.Module):
    """Batch norm, ReLU and convolution of one aggregation, in slices of its input channels."""

    def __init__(
        self, space: AggregationSpace, node: Node, count: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        operator = space.aggregate(node, 1)
        channels, out, kernel = operator.channels, operator.out_channels, operator.kernel
        self._padding = kernel // 2
        # As `initialise` does: so that a layer's scale does not depend on how many links are open.
        deviation = sqrt(2 / (kernel**2 * out))
        shape = (out, channels, kernel, kernel)
        self.weights = nn.ParameterList(
            deviation * torch.randn(shape, generator=generator) for _ in range(count)
        )
        self.scales = nn.ParameterList(torch.ones(channels) for _ in range(count))
        self.shifts = nn.ParameterList(torch.zeros(channels) for _ in range(count))

    def forward(self, x: Tensor, places: Sequence[int]) -> Tensor:
        """The output for an input that consists of the slices `places`, one behind the other."""
        return self.convolved(self.normed(x, places), places)

    def normed(self, x: Tensor, places: Sequence[int]) -> Tensor:
        """Batch norm of that input."""
        scale, shift = self._chosen(self.scales, places), self._chosen(self.shifts, places)
        return nn.functional.batch_norm(x, None, None, scale, shift, training=True, eps=_EPS)

    def convolved(self, x: Tensor, places: Sequence[int]) -> Tensor:
        """ReLU and convolution behind the norm."""
        weight = self._chosen(self.weights, places, dim=1)
        return nn.functional.conv2d(nn.functional.relu(x), weight, padding=self._padding)

    def contribution(self, place: int) -> Contribution:
        """What slice `place` alone adds to the output."""

        def added(x: Tensor) -> Tensor:
            y: Tensor = self(x, [place])
            return y

        return added

    def nothing(self, like: Tensor) -> Tensor:
        """The output of no slice at all, for inputs like `like`."""
        out = self.weights[0].shape[0]
        return like.new_zeros((like.shape[0], out, *like.shape[2:]))

    def write(self, module: nn.Module, places: Sequence[int]) -> None:
        """Copy the slices `places` into a module that `Aggregate` built."""
        norm = cast(nn.BatchNorm2d, module.get_submodule("norm.bn"))
        conv = cast(nn.Conv2d, module.get_submodule("conv.conv"))
        with torch.no_grad():
            norm.weight.copy_(self._chosen(self.scales, places))
            norm.bias.copy_(self._chosen(self.shifts, places))
            conv.weight.copy_(self._chosen(self.weights, places, dim=1))

    def _chosen(self, slices: nn.ParameterList, places: Sequence[int], dim: int = 0) -> Tensor:
        parts = [slices[place] for place in places]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


class LinkGradient(torch.autograd.Function):
    """Passes an aggregation on, and works out the gradient of every link's gate backwards.

    The aggregation is `y = sum_s g_s o_s(x_s)` over its sources, with any number of `g_s` equal to
    1, so `dL/dg_s = <dL/dy, o_s(x_s)>`, open or closed. Forward computes the open ones alone.
    Backward computes one `o_s` at a time without a graph, so that nothing of a closed link is
    stored; or all of them at once in the forward pass where it is told to (`stores`).

    To the weights of a closed link and through it to its source goes nothing: its gate is 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        row: Tensor,
        contributions: tuple[Contribution, ...],
        stores: bool,
        *read: Tensor,
    ) -> Tensor:
        if stores:
            read = tuple(added(x) for added, x in zip(contributions, read, strict=True))
            contributions = (_itself,) * len(read)
        # Where a source is read it is kept for its reader as well, and adds no storage.
        ctx.save_for_backward(*read)
        ctx.contributions = contributions
        ctx.shape, ctx.dtype, ctx.where = row.shape, row.dtype, row.device
        kind = output.device.type
        ctx.autocast = (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, saved = grads[0], ctx.saved_tensors
        found = torch.zeros(ctx.shape, dtype=ctx.dtype, device=grad.device)
        kind, dtype, is_enabled = ctx.autocast
        with torch.no_grad(), torch.autocast(kind, dtype=dtype, enabled=is_enabled):
            pairs = zip(ctx.contributions, saved, strict=True)
            for link, (added, x) in enumerate(pairs):
                found[link, OPEN] = inner(grad, added(x), ctx.dtype)
        return grad, found.to(ctx.where), None, None, *(None for _ in saved)


def _itself(x: Tensor) -> Tensor:
    return x


def _copy(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
            theirs.copy_(ours)
