"""One profile from what several processes found, profiling and not profiling in turn."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ...core.errors import MeasurementError
from ..condition import Condition
from ..flags import Flag
from .cover import Cover, covers, macs, model_name, moved_bytes
from .model_file import ModelFile
from .profile import Profile, ProfiledNode
from .raw import RawNode, RawProfile

WIDE_SCALE = 0.1
QUANTISED_SHARE = 0.005
"""A step of the clock beyond this share of a node's time is said to be coarse."""


@dataclass(frozen=True)
class Probe:
    """Two chains of tiny nodes that differ in length only, as one process saw them.

    Attributes:
        short: The profile of the shorter chain, and `long` that of the longer.
    """

    short: RawProfile
    long: RawProfile

    @property
    def extra(self) -> int:
        """How many nodes the longer chain has more.

        Raises:
            MeasurementError: None, as far as is told.
        """
        found = self.long.count - self.short.count
        if found <= 0:
            raise MeasurementError(
                f"Chains of tiny nodes are told as {self.short.count} and {self.long.count} "
                "nodes, so that what a call costs is not known: the build does not tell what its "
                "delegate runs. Choose another delegate in the device card."
            )
        return found

    @property
    def extra_ms(self) -> float:
        """Profiled time of a node that the longer chain has more."""
        return (self.long.typical_ms - self.short.typical_ms) / self.extra

    @property
    def tensors(self) -> float:
        """How many tensors a node reads and writes, on average."""
        return sum(map(_tensors, self.long.nodes)) / len(self.long.nodes)


@dataclass(frozen=True)
class Pass:
    """What one process that profiled found.

    Attributes:
        model: Of the model in question.
        few: Of nodes with few tensors each, and `many` of nodes with more.
    """

    model: RawProfile
    few: Probe
    many: Probe


@dataclass(frozen=True)
class Unprofiled:
    """Time of one run of each model in one process that did not profile, in milliseconds."""

    model_ms: float
    few_short_ms: float
    few_long_ms: float
    many_short_ms: float
    many_long_ms: float


@dataclass(frozen=True)
class _NodeCost:
    """The profiler's own work in a node's time: `base_ms`, and `tensor_ms` for each tensor."""

    base_ms: float
    tensor_ms: float = 0.0

    def of(self, node: RawNode) -> float:
        return self.base_ms + self.tensor_ms * _tensors(node)


def combine(
    model: ModelFile, passes: Sequence[Pass], timed: Sequence[Unprofiled], condition: Condition
) -> Profile:
    """The profile of `model`.

    With t the time of a run without profiling and s the sum of the nodes' times while profiled,
    both of chains of n and of N tiny nodes, a call costs `t(n) - n (t(N) - t(n)) / (N - n)`
    whatever it runs. Where the profiler's own work is in the nodes' times, it is
    `((s(N) - s(n)) - (t(N) - t(n))) / (N - n)` a node; two such chains with few and with many
    tensors a node tell how it grows with these, because each is described. It is taken off.
    Where it is not in them, nodes fill the run but for what the clock cuts off, and that is given
    back in equal parts, at most a step each. No node takes less than one that does next to
    nothing, without profiling. What is then left between nodes, call and the unprofiled run is
    made up by one factor, the profile's `scale`.

    Raises:
        MeasurementError: The processes did not execute the same nodes, or no time is left.
    """
    first = passes[0].model
    found = covers(model, first.nodes)
    times = [_times_ms(model, first, found, each.model) for each in passes]
    raw_ms = [statistics.median(times_of_node) for times_of_node in zip(*times, strict=True)]
    gap_ms = statistics.median(each.model.gap_ms for each in passes)
    unprofiled_ms = statistics.median(each.model_ms for each in timed)
    cost = _node_cost(passes, timed, gap_ms)
    least_ms = max(0.0, min(_slopes_ms(passes, timed)))
    net_ms = [
        max(least_ms, raw - cost.of(node)) for raw, node in zip(raw_ms, first.nodes, strict=True)
    ]
    cost_ms = statistics.fmean(map(cost.of, first.nodes))
    if max(net_ms) <= least_ms:
        raise MeasurementError(
            f"All {len(net_ms)} nodes are shorter than the profiler's own work of "
            f"{1e3 * cost_ms:.1f} us a node: the model is too small to be profiled."
        )
    # A call as long as the run would leave nothing to scale to.
    call_ms = min(_call_ms(passes, timed), unprofiled_ms / 2)
    scale = (unprofiled_ms - call_ms) / sum(net_ms)
    nodes = tuple(
        _node(model, node, cover, raw, scale * net, first.step_ms)
        for node, cover, raw, net in zip(first.nodes, found, raw_ms, net_ms, strict=True)
    )
    return Profile(
        nodes=nodes,
        runs=sum(each.model.runs for each in passes),
        processes=len(passes),
        profiled_run_ms=sum(raw_ms) + gap_ms,
        unprofiled_run_ms=unprofiled_ms,
        call_ms=call_ms,
        node_cost_ms=cost_ms,
        scale=scale,
        step_ms=first.step_ms,
        condition=condition,
        facts=first.facts,
        notes=_notes(nodes, scale),
    )


def _notes(nodes: Sequence[ProfiledNode], scale: float) -> tuple[str, ...]:
    """What a reader should know."""
    notes = []
    if abs(scale - 1) > WIDE_SCALE:
        notes.append(
            f"The nodes accounted for {1 / scale:.0%} of the unprofiled run before they were "
            "scaled: the profiler disturbed the run, or the machine was busy."
        )
    if coarse := sum(Flag.QUANTISED in node.flags for node in nodes):
        notes.append(
            f"{coarse} of {len(nodes)} nodes are short against the profiler's clock, which counts "
            f"whole microseconds: their times are means over runs, and good to a part of one."
        )
    if any(not node.fused and not node.is_layout for node in nodes):
        notes.append("What some nodes execute of the model is not known: their fused is empty.")
    if wholes := sum(node.is_delegate for node in nodes):
        notes.append(
            f"{wholes} of {len(nodes)} nodes are all that a delegate runs at once, told as one: "
            "how their time is spread inside, changes of layout among it, is not known."
        )
    return tuple(notes)


def _tensors(node: RawNode) -> int:
    return len(node.inputs) + len(node.outputs)


def _times_ms(
    model: ModelFile, first: RawProfile, cover: Sequence[Cover], other: RawProfile
) -> list[float]:
    """The nodes' times in `other`, in the order of `first`.

    Processes may put independent nodes in another order, and number what they put in otherwise.

    Raises:
        MeasurementError: They executed other nodes.
    """
    places: dict[Hashable, deque[RawNode]] = defaultdict(deque)
    for key, node in zip(
        _keys(model, other, covers(model, other.nodes)), other.nodes, strict=True
    ):
        places[key].append(node)
    keys = _keys(model, first, cover)
    if Counter(keys) != Counter({key: len(nodes) for key, nodes in places.items()}):
        raise MeasurementError(
            f"One process executed {len(first.nodes)} nodes for the model, another one "
            f"{len(other.nodes)}, not all of them the same: the runtime chooses anew each time, "
            "and no profile is that of all."
        )
    return [places[key].popleft().typical_ms for key in keys]


def _keys(model: ModelFile, raw: RawProfile, cover: Sequence[Cover]) -> list[Hashable]:
    """What tells the nodes of a profile apart whatever their order and numbers."""
    return [
        (
            node.kind,
            each.nodes,
            tuple(name for name in (*node.inputs, *node.outputs) if name in model.producers),
        )
        for node, each in zip(raw.nodes, cover, strict=True)
    ]


def _slopes_ms(passes: Sequence[Pass], timed: Sequence[Unprofiled]) -> tuple[float, float]:
    """Unprofiled time of one more tiny node, with few and with many tensors."""
    few = statistics.median(each.few_long_ms - each.few_short_ms for each in timed)
    many = statistics.median(each.many_long_ms - each.many_short_ms for each in timed)
    return few / passes[0].few.extra, many / passes[0].many.extra


def _call_ms(passes: Sequence[Pass], timed: Sequence[Unprofiled]) -> float:
    node_ms, _ = _slopes_ms(passes, timed)
    short_ms = statistics.median(each.few_short_ms for each in timed)
    return max(0.0, short_ms - passes[0].few.short.count * node_ms)


def _node_cost(passes: Sequence[Pass], timed: Sequence[Unprofiled], gap_ms: float) -> _NodeCost:
    first = passes[0]
    if first.model.is_gapless:
        cut_off_ms = gap_ms / len(first.model.nodes)
        return _NodeCost(-min(max(0.0, cut_off_ms), first.model.step_ms))
    few_ms, many_ms = _slopes_ms(passes, timed)
    few_cost = statistics.median(each.few.extra_ms for each in passes) - few_ms
    many_cost = statistics.median(each.many.extra_ms for each in passes) - many_ms
    tensor_ms = max(0.0, (many_cost - few_cost) / (first.many.tensors - first.few.tensors))
    return _NodeCost(few_cost - tensor_ms * first.few.tensors, tensor_ms)


def _node(
    model: ModelFile, node: RawNode, cover: Cover, raw_ms: float, latency_ms: float, step_ms: float
) -> ProfiledNode:
    is_coarse = step_ms > QUANTISED_SHARE * raw_ms
    return ProfiledNode(
        name=model_name(model, node.name),
        kind=node.kind,
        fused=tuple(model.nodes[number].name for number in cover.nodes),
        raw_ms=raw_ms,
        latency_ms=latency_ms,
        is_layout=cover.is_layout,
        is_delegate=node.delegated is not None,
        macs=macs(model, cover.owned),
        moved_bytes=moved_bytes(model, cover.nodes),
        flags=frozenset({Flag.QUANTISED}) if is_coarse else frozenset(),
    )
