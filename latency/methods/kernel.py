"""The operator alone, without the call and the changes of layout that only it alone pays."""

from __future__ import annotations

from typing import ClassVar, final

from ..entry import Entry
from ..operators import Operator
from .base import Evidence, Found, Subjects, TimingMethod
from .slope import Slope


@final
class Kernel(TimingMethod):
    """latency = T(operator) * share of its kernels in a run, by a profile pass of its own.

    The share is of the nodes that compute in the unprofiled run, so that neither the profiler's
    work nor the machine's speed during the profile pass is in the latency. What gives no image (a
    global pool, a fully connected layer) is mostly smaller than the profiler's own work, and
    timed as by `Slope`: as a difference.
    """

    granularity: ClassVar[str] = (
        "one operator as the network is built from (a whole block such as an MBConv is one), "
        "timed alone as a model of its own, the call and changes of layout taken off by a profile"
    )

    def cases(self, subjects: Subjects) -> tuple[Operator, ...]:
        models = (*self.profiled(subjects), *Slope().cases(_small(subjects)))
        return tuple(dict.fromkeys(models))

    def profiled(self, subjects: Subjects) -> tuple[Operator, ...]:
        return tuple(o for o in subjects.busy if _gives_image(o))

    def emphasised(self, subjects: Subjects) -> frozenset[Operator]:
        return frozenset()

    def latencies(self, subjects: Subjects, evidence: Evidence) -> Found:
        small = Slope().latencies(_small(subjects), evidence)
        entries: dict[Operator, Entry] = dict(small.entries)
        origins: set[str] = set(small.origins)
        for operator in self.profiled(subjects):
            measured = evidence.measured.get(operator)
            profile = evidence.profiles.get(operator)
            if measured is None or profile is None or profile.unprofiled_run_ms is None:
                continue
            share = profile.kernel_ms / profile.unprofiled_run_ms
            if share <= 0.0:
                continue
            entries[operator] = Entry(
                measured.count, share * measured.latency_ms, share * measured.std_ms
            )
            origins |= {measured.origin, profile.origin}
        return Found(entries, frozenset(origins), small.below_ms)


def _gives_image(operator: Operator) -> bool:
    return len(operator.output_shape) == 3


def _small(subjects: Subjects) -> Subjects:
    return Subjects(tuple(o for o in subjects.busy if not _gives_image(o)))
