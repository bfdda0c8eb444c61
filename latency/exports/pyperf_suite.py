"""JSON of pyperf, so that `pyperf compare_to` and `pyperf stats` read latencies of operators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from ...core.artefact import canonical_json, sha256_of
from ...core.errors import ConfigError
from ..launch import Launch
from ..operators import Operator
from ..operators.serial import to_json
from ..sample import Clock
from . import exporters
from .base import Exported, Exporter, Source

VERSION = "1.0"
S_PER_MS = 1e-3


@exporters.register("pyperf")
class PyperfSuite(Exporter):
    """A benchmark an operator, a run a launch, a value a sample, in seconds.

    Values are by the clock that decides under the condition. They are raw: pyperf has no place for
    the machine's slowness. It compares samples, so that a table file, which keeps none, is no
    source for it.
    """

    def export(self, source: Source) -> Exported:
        launches: dict[Operator, list[Launch]] = defaultdict(list)
        for record in source.records:
            launches[record.operator].append(record.launch)
        clock = source.condition.clock
        runs = {operator: _runs(launches[operator], clock) for operator in source.entries}
        left_out = tuple(operator for operator, found in runs.items() if not found)
        if len(left_out) == len(runs):
            raise ConfigError(
                "None of the operators has samples of its own, and pyperf compares nothing else: "
                "a table file keeps none, and some methods tell an operator from other models. "
                "Export what was timed: elat export --device DEVICE --as pyperf --out FILE."
            )
        names = Counter(map(str, runs))
        benchmarks = [
            {"metadata": _metadata(operator, names[str(operator)] == 1, source), "runs": found}
            for operator, found in runs.items()
            if found
        ]
        suite = {"benchmarks": benchmarks, "version": VERSION}
        return Exported((canonical_json(suite) + "\n").encode(), len(benchmarks), left_out)


def _runs(launches: Sequence[Launch], clock: Clock) -> list[dict[str, Any]]:
    """A run for each launch; samples that the clock took for nothing are no values of pyperf."""
    runs = []
    for launch in launches:
        values = [sample.run_ms(clock) * S_PER_MS for sample in launch.samples]
        if values := [value for value in values if value > 0]:
            runs.append({"metadata": {"date": _date(launch)}, "values": values})
    return runs


def _date(launch: Launch) -> str:
    """When the launch began, as pyperf writes times."""
    return launch.started_utc.replace("T", " ").removesuffix("Z").removesuffix("+00:00")


def _metadata(operator: Operator, is_alone: bool, source: Source) -> dict[str, str]:
    """What a benchmark says of itself; the name says more where operators are written alike."""
    document = canonical_json(to_json(operator))
    return {
        "name": str(operator) if is_alone else f"{operator} {sha256_of(document)[:8]}",
        "unit": "second",
        "operator": document,
        "condition": str(source.condition),
        "origin": source.origin,
    }
