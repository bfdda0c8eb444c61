"""Operators inside whole networks that were drawn at random: the mean over all that hold them.

The counts of the latency table that ProxylessNAS (Cai et al. 2019) published show how it was made:
those of a position's alternatives add up to one number of networks everywhere, and those of an
alternative that three positions share to three times its share. So whole networks were drawn
uniformly, profiled, and the time of each block averaged over its occurrences. This is that way,
with the profiles scaled to what each network takes unprofiled.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar, final

from ...core.errors import ConfigError
from ..entry import Entry
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.dag import Dag
from ..profiling.parts import split
from .base import Evidence, Found, Subjects, TimingMethod


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
        for network, profile in evidence.profiles.items():
            measured = evidence.measured.get(network)
            if not isinstance(network, Chain | Dag) or measured is None:
                continue
            if profile.unprofiled_run_ms is None:
                continue
            origins |= {measured.origin, profile.origin}
            scale = measured.latency_ms / profile.unprofiled_run_ms
            parts = split(profile, network).part_ms
            for operator, part_ms in zip(network.operators, parts, strict=True):
                times[operator].append(scale * part_ms)
        entries = {
            operator: _entry(times[operator])
            for operator in subjects.busy
            if statistics.fmean(times.get(operator, [0.0])) > 0.0
        }
        return Found(entries, frozenset(origins))


def _entry(times_ms: Sequence[float]) -> Entry:
    std = statistics.stdev(times_ms) if len(times_ms) > 1 else 0.0
    return Entry(len(times_ms), statistics.fmean(times_ms), std)
