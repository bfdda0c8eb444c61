"""Operators inside whole networks that were drawn at random: the mean over all that hold them.

The counts of the latency table that ProxylessNAS (Cai et al. 2019) published show how it was made:
those of a position's alternatives add up to one number of networks everywhere, and those of an
alternative that three positions share to three times its share. So whole networks were drawn
uniformly, profiled, and the time of each block averaged over its occurrences. This is that way,
with the profiles scaled to what each network takes unprofiled.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, final

from ...core.errors import ConfigError
from ..entry import Entry
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.dag import Dag
from .base import Evidence, Found, Subjects, TimingMethod

if TYPE_CHECKING:
    from ..profiling.profile import Profile

_VALUE = re.compile(r"t(\d+)\b")


@final
class Sampled(TimingMethod):
    """latency = the mean over all occurrences in profiled networks of T(network) * its share."""

    granularity: ClassVar[str] = (
        "one operator as the network is built from (a whole block such as an MBConv is one): the "
        "mean of its time in profiles of random whole networks that hold it"
    )

    def cases(self, subjects: Subjects) -> tuple[Operator, ...]:
        if not subjects.networks:
            raise ConfigError(
                "The method `sampled` looks into whole networks, and there are none: give it a "
                "space (--space), or measure single operators with another method in the card."
            )
        return subjects.networks

    def profiled(self, subjects: Subjects) -> tuple[Operator, ...]:
        return self.cases(subjects)

    def emphasised(self, subjects: Subjects) -> frozenset[Operator]:
        return frozenset()

    def latencies(self, subjects: Subjects, evidence: Evidence) -> Found:
        """As the base class says, from every profiled network; counts are of occurrences."""
        times: defaultdict[Operator, list[float]] = defaultdict(list)
        origins: set[str] = set()
        nodes: dict[Operator, int] = {}
        for network, profile in evidence.profiles.items():
            measured = evidence.measured.get(network)
            if not isinstance(network, Chain | Dag) or measured is None:
                continue
            if profile.unprofiled_run_ms is None:
                continue
            origins |= {measured.origin, profile.origin}
            scale = measured.latency_ms / profile.unprofiled_run_ms
            for operator in network.operators:
                if not operator.is_free and operator not in nodes:
                    nodes[operator] = len(operator.lower(operator.build().eval()).nodes)
            sizes = [0 if o.is_free else nodes[o] for o in network.operators]
            for operator, part_ms in zip(
                network.operators, part_times_ms(sizes, profile), strict=True
            ):
                times[operator].append(scale * part_ms)
        entries = {
            operator: _entry(times[operator])
            for operator in subjects.busy
            if statistics.fmean(times.get(operator, [0.0])) > 0.0
        }
        return Found(entries, frozenset(origins))


def part_times_ms(sizes: Sequence[int], profile: Profile) -> list[float]:
    """Time of each part of a network by its profile, in milliseconds.

    What executes nodes of several parts at once counts to the part that has most of them. A node
    that the runtime put in (a change of layout) counts to the part that comes after it.

    Args:
        sizes: How many nodes of the network's graph each part has, in order.
        profile: Of the network; its nodes tell which of the graph's they execute.
    """
    owner = [part for part, size in enumerate(sizes) for _ in range(size)]
    totals = [0.0] * len(sizes)
    waiting_ms, last = 0.0, 0
    for node in profile.nodes:
        parts = Counter(
            owner[int(match[1]) - 1] for name in node.fused if (match := _VALUE.match(name))
        )
        if parts:
            last = parts.most_common(1)[0][0]
            totals[last] += waiting_ms + node.latency_ms
            waiting_ms = 0.0
        else:
            waiting_ms += node.latency_ms
    totals[last] += waiting_ms
    return totals


def _entry(times_ms: Sequence[float]) -> Entry:
    std = statistics.stdev(times_ms) if len(times_ms) > 1 else 0.0
    return Entry(len(times_ms), statistics.fmean(times_ms), std)
