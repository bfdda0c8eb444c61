"""What one fresh worker process found for one case."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from .sample import Sample


@dataclass(frozen=True)
class Launch:
    """The unit of evidence: raw samples of one case from one fresh worker process.

    Attributes:
        worker: Identity of the worker process (launches of one round share it).
        order: Position of the case in the worker's shuffled round.
        started_utc: ISO time at which the worker began the case.
        init_ms: Loading the artefact and placing its inputs.
        first_call_ms: The first run, which pays lazy allocation.
        warmup_calls: Runs before the first sample.
        is_warm: Whether two successive warm-up windows agreed before the cap.
        output_error: Largest absolute difference of the runtime's output from torch's.
    """

    worker: str
    order: int
    started_utc: str
    init_ms: float
    first_call_ms: float
    warmup_calls: int
    is_warm: bool
    output_error: float
    samples: tuple[Sample, ...]

    @property
    def clean(self) -> tuple[Sample, ...]:
        """Samples during which the scheduler never took the CPU away."""
        return tuple(s for s in self.samples if s.involuntary_switches == 0)

    @cached_property
    def cpu_ms(self) -> float:
        """Median thread CPU time of one run: on a busy machine the steadiest for one thread."""
        return statistics.median(s.cpu_ms for s in self.samples)

    @cached_property
    def wall_ms(self) -> float:
        """Median wall time of one run over the clean samples, or over all where none is clean."""
        return statistics.median(s.wall_ms for s in self.clean or self.samples)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; samples as rows."""
        rows = [[s.loops, s.wall_ns, s.cpu_ns, s.involuntary_switches] for s in self.samples]
        return {**asdict(self), "samples": rows}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Launch:
        """The launch that `to_json` wrote."""
        return cls(**{**data, "samples": tuple(Sample(*row) for row in data["samples"])})
