"""What one fresh worker process found for one case."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any

from .sample import Clock, Sample

SLOW_SENTINEL = 1.1


@dataclass(frozen=True)
class Launch:
    """The unit of evidence: raw samples of one case from one fresh worker process.

    Attributes:
        worker: Identity of the worker process and of the group in it: launches that were timed in
            the same passes share it.
        order: Position of the case in the worker's shuffled round.
        started_utc: ISO time at which the worker began the case.
        init_ms: Loading the artefact and placing its inputs.
        first_call_ms: The first run, which pays lazy allocation.
        warmup_calls: Runs before the first sample.
        is_warm: Whether two successive warm-up windows agreed before the cap.
        output_error: Largest absolute difference of the runtime's output from torch's; None where
            the output was not to be had.
        sentinel: One per sample: a fixed reference case timed shortly before and after it (see
            `timing.py`), which tells the machine's speed at the time; or none at all.
        energy: What a pass of its own found where one was asked for (`energy.py`), as JSON.
    """

    worker: str
    order: int
    started_utc: str
    init_ms: float
    first_call_ms: float
    warmup_calls: int
    is_warm: bool
    output_error: float | None
    samples: tuple[Sample, ...]
    sentinel: tuple[Sample, ...] = ()
    energy: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def clean(self) -> tuple[Sample, ...]:
        """Samples that nothing disturbed."""
        return tuple(s for s in self.samples if s.is_clean)

    @property
    def lasted_s(self) -> float:
        """About how long it took, in seconds: loading, warming, settling and slices."""
        settled = sum(sample.wall_ns * (1 + 1 / sample.loops) for sample in self.samples)
        return (self.init_ms + self.first_call_ms + self.warmup_calls * self.wall_ms) / 1e3 + (
            settled / 1e9
        )

    @cached_property
    def cpu_ms(self) -> float:
        """Median thread CPU time of one run: on a busy machine the steadiest for one thread."""
        return statistics.median(s.cpu_ms for s in self.samples)

    @cached_property
    def wall_ms(self) -> float:
        """Median wall time of one run over the clean samples, or over all where none is clean."""
        return statistics.median(s.wall_ms for s in self.clean or self.samples)

    def run_ms(self, clock: Clock) -> float:
        """Median time of one run by `clock`, in milliseconds."""
        return self.cpu_ms if clock is Clock.CPU else self.wall_ms

    def middle_ms(self, clock: Clock) -> float:
        """Mean of the middle half of the times of one run by `clock`, in milliseconds.

        As hard to disturb as the median as long as under a quarter of the samples are disturbed on
        one side, and steadier for few samples. By wall time only clean samples count, if any are.
        """
        samples = self.samples if clock is Clock.CPU else (self.clean or self.samples)
        times = sorted(sample.run_ms(clock) for sample in samples)
        cut = len(times) // 4
        return statistics.fmean(times[cut : len(times) - cut])

    def sentinel_ms(self, clock: Clock) -> float | None:
        """Median time of one run of the sentinel by `clock`, in milliseconds; None without.

        By wall time only clean samples count, if there are any.
        """
        clean = [s for s in self.sentinel if clock is Clock.CPU or s.is_clean]
        samples = clean or self.sentinel
        return statistics.median(s.run_ms(clock) for s in samples) if samples else None

    def slow_share(self, clock: Clock) -> float:
        """Share of samples beside which the sentinel took a tenth longer than in the median."""
        times = [sample.run_ms(clock) for sample in self.sentinel]
        if not times:
            return 0.0
        limit = SLOW_SENTINEL * statistics.median(times)
        return sum(time > limit for time in times) / len(times)

    @cached_property
    def started_s(self) -> float | None:
        """When it began, in seconds since 1970; None where that is not known."""
        try:
            return datetime.fromisoformat(self.started_utc).timestamp()
        except ValueError:
            return None

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; samples as rows."""
        # Not `asdict`, whose deep copies of the samples took 3 % of a campaign.
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _SAMPLED}
        return {**plain, **{name: [s.to_row() for s in getattr(self, name)] for name in _SAMPLED}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Launch:
        """The launch that `to_json` wrote."""
        samples = {name: tuple(Sample.from_row(row) for row in data[name]) for name in _SAMPLED}
        return cls(**{**data, **samples})


_SAMPLED = ("samples", "sentinel")
