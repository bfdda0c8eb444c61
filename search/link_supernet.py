"""The supernet of links: a slice of each aggregation's weights for every candidate source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, cast, final

import torch
from torch import Tensor, nn

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
        values = [x]
        for node, slices in zip(self.space.nodes, self.joins, strict=True):
            row = gates[node.first : node.behind] if gates.requires_grad and node.free else None
            join = self._sum if self._adds else self._concat
            values.append(join(node, cast(_Slices, slices), values, opened, row, mode))
            if node.is_output:
                x = values[-1]
                if node.stage < len(self.pools):
                    x = self.pools[node.stage](x)
                values = [x]
        for part in self.tail:
            x = part(x)
        return x.to(images.device)

    def _concat(
        self,
        node: Node,
        slices: _Slices,
        values: Sequence[Tensor],
        opened: Sequence[bool],
        row: Tensor | None,
        mode: GateMode,
    ) -> Tensor:
        """The convolution of the open sources one behind the other, each with its slice."""
        sources = node.sources(opened)
        if sources:
            y: Tensor = slices(
                torch.cat([values[s] for s in sources], dim=1),
                [node.candidates.index(s) for s in sources],
            )
        else:
            y = slices.nothing(values[0])
        if row is None:
            return y
        places = [node.candidates.index(source) for source in node.free]
        contributions = tuple(slices.contribution(place) for place in places)
        read = [values[source] for source in node.free]
        stores = mode is not GateMode.RECOMPUTE
        found: Tensor = LinkGradient.apply(y, row, contributions, stores, *read)  # type: ignore[no-untyped-call]
        return found

    def _sum(
        self,
        node: Node,
        slices: _Slices,
        values: Sequence[Tensor],
        opened: Sequence[bool],
        row: Tensor | None,
        mode: GateMode,
    ) -> Tensor:
        """The convolution of the sum of the open sources."""
        sources = node.sources(opened)
        total = values[sources[0]] if sources else torch.zeros_like(values[0])
        for source in sources[1:]:
            total = total + values[source]
        if row is not None:
            read = [values[source] for source in node.free]
            contributions = (_itself,) * len(read)
            total = LinkGradient.apply(total, row, contributions, False, *read)  # type: ignore[no-untyped-call]
        y: Tensor = slices(total, [0])
        return y

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
        scale, shift, weight = self._parts(places)
        x = nn.functional.batch_norm(x, None, None, scale, shift, training=True, eps=_EPS)
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
        scale, shift, weight = self._parts(places)
        with torch.no_grad():
            norm.weight.copy_(scale)
            norm.bias.copy_(shift)
            conv.weight.copy_(weight)

    def _parts(self, places: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        if len(places) == 1:
            (place,) = places
            return self.scales[place], self.shifts[place], self.weights[place]
        scale = torch.cat([self.scales[place] for place in places])
        shift = torch.cat([self.shifts[place] for place in places])
        return scale, shift, torch.cat([self.weights[place] for place in places], dim=1)


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
        # The sources are kept by whoever reads them as well: no storage is added.
        ctx.save_for_backward(*read)
        ctx.contributions = contributions
        ctx.shape, ctx.dtype, ctx.where = row.shape, row.dtype, row.device
        kind = output.device.type
        ctx.autocast = (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        found = torch.zeros(ctx.shape, dtype=ctx.dtype, device=grad.device)
        kind, dtype, is_enabled = ctx.autocast
        with torch.no_grad(), torch.autocast(kind, dtype=dtype, enabled=is_enabled):
            pairs = zip(ctx.contributions, ctx.saved_tensors, strict=True)
            for link, (added, x) in enumerate(pairs):
                found[link, OPEN] = inner(grad, added(x), ctx.dtype)
        return grad, found.to(ctx.where), None, None, *(None for _ in ctx.saved_tensors)


def _itself(x: Tensor) -> Tensor:
    return x


def _copy(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
            theirs.copy_(ours)
