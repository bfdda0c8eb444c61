"""How a layer joins the outputs that it reads: added up, one behind the other, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ...latency.operators.add import Add
from ...latency.operators.channel_slice import ChannelSlice
from ...latency.operators.concat import Concat
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.sum import Sum


class Join(StrEnum):
    """How the parts of several outputs become one tensor.

    An output has an inner part, which is added, and an outer part, which is concatenated; one may
    be missing. With inner parts alone both ways are the sum of ResNets, with outer parts alone the
    concatenation of DenseNets.
    """

    APART = "apart"
    """The sum of the inner parts, behind it the outer parts (dual path: Chen et al. 2017)."""
    MOVING = "moving"
    """Each inner part is added onto the last channels of what is joined before it, and its outer
    part put behind them (mixed link: Wang et al. 2018)."""


@dataclass(frozen=True)
class Output:
    """The numbers of the values that are a layer's output, at least one."""

    inner: int | None = None
    outer: int | None = None


class Aggregator:
    """The outputs of one stage so far, and what reads of them.

    Args:
        builder: Where operators are added.
        first: Output 0.
        join: How outputs are joined.
        runs: Whether a sum of all outputs so far is kept and the newest added to it, as residual
            networks are built; else every reader adds up its own.
    """

    def __init__(
        self, builder: DagBuilder, first: Output, join: Join = Join.APART, *, runs: bool = True
    ) -> None:
        self._builder = builder
        self._outputs = [first]
        self._join = join
        self._runs = runs
        # Of the first n outputs: their sum, or what `MOVING` makes of them.
        self._running: list[int] = []

    def append(self, output: Output) -> None:
        """Add the output of the next layer."""
        self._outputs.append(output)

    def read(self, sources: Sequence[int]) -> int:
        """The number of the value that joins the outputs `sources`, given in ascending order."""
        is_start = list(sources) == list(range(len(sources)))
        chosen = [self._outputs[source] for source in sources]
        if self._join is Join.MOVING:
            return self._run(len(sources)) if is_start else self._folded(chosen)
        inners = [output.inner for output in chosen if output.inner is not None]
        outers = [output.outer for output in chosen if output.outer is not None]
        if not inners:
            return self._behind(outers)
        starts = is_start and self._runs and len(inners) == len(chosen)
        total = self._run(len(sources)) if starts else self._total(inners)
        return self._behind([total, *outers])

    def _run(self, count: int) -> int:
        """The first `count` outputs, each added to the one kept value as it is needed."""
        while len(self._running) < count:
            output = self._outputs[len(self._running)]
            before = self._running[-1] if self._running else None
            if self._join is Join.MOVING:
                self._running.append(self._step(before, output))
            else:
                inners = [value for value in (before, output.inner) if value is not None]
                self._running.append(self._total(inners))
        return self._running[count - 1]

    def _folded(self, outputs: Sequence[Output]) -> int:
        value: int | None = None
        for output in outputs:
            value = self._step(value, output)
        if value is None:
            raise AssertionError("a layer reads one output at least")
        return value

    def _step(self, before: int | None, output: Output) -> int:
        """What `before` becomes with `output`: the inner part onto its end, the outer behind."""
        builder, parts = self._builder, []
        if before is None:
            return self._behind([v for v in (output.inner, output.outer) if v is not None])
        if output.inner is None:
            parts.append(before)
        else:
            channels, side, _ = builder.shape(before)
            cut = channels - builder.shape(output.inner)[0]
            end = before
            if cut > 0:
                parts.append(builder.add(ChannelSlice(channels, side, 0, cut), before))
                end = builder.add(ChannelSlice(channels, side, cut, channels), before)
            parts.append(builder.add(Add(channels - cut, side), end, output.inner))
        if output.outer is not None:
            parts.append(output.outer)
        return self._behind(parts)

    def _total(self, values: Sequence[int]) -> int:
        if len(values) == 1:
            return values[0]
        channels, side, _ = self._builder.shape(values[0])
        if len(values) == 2:
            return self._builder.add(Add(channels, side), *values)
        return self._builder.add(Sum(len(values), channels, side), *values)

    def _behind(self, values: Sequence[int]) -> int:
        if len(values) == 1:
            return values[0]
        channels = tuple(self._builder.shape(value)[0] for value in values)
        side = self._builder.shape(values[0])[1]
        return self._builder.add(Concat(channels, side), *values)
