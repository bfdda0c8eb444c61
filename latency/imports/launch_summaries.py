"""Summaries of launches, as experiments on how to measure keep them: ten numbers a launch."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Importer
from .parsing import MS_PER, json_of, json_or_none, latency, shown, whole
from .rows import median_of

_QUANTILES = ("min", "p1", "p5", "p10", "p25", "p50", "p75", "p90")
_NUMBERS = len(_QUANTILES) + 2
_MEDIAN = _QUANTILES.index("p50")


@importers.register("launch-summaries")
class LaunchSummaries(Importer):
    """Repeats, each a list of launches, each `{operator: [min, p1 … p90, mean, n]}` in ns.

    A launch counts as one sample, its median: single runs were not kept.
    """

    def recognises(self, data: bytes) -> bool:
        if not data.lstrip().startswith(b"["):
            return False
        launches = _launches(json_or_none(data))
        return bool(launches) and all(
            isinstance(summary, list) and len(summary) == _NUMBERS
            for launch in launches
            for summary in launch.values()
        )

    def read(self, data: bytes) -> Imported:
        samples: dict[str, list[float]] = defaultdict(list)
        runs: dict[str, int] = defaultdict(int)
        document = json_of(data)
        launches = _launches(document)
        for launch in launches:
            for name, summary in launch.items():
                median_ns, count = _summary(name, summary)
                samples[name].append(median_ns * MS_PER["ns"])
                runs[name] += count
        if not samples:
            raise ArtefactError("it holds no launches.")
        return Imported(
            kind="launch-summaries",
            tool="elat's experiments on protocols",
            variant=f"{len(document)} repeats of together {len(launches)} launches",
            unit="ns",
            unit_source="definition of the format: nanoseconds",
            resolution=None,
            rows=tuple(
                median_of(name, found, facts={"runs": runs[name]})
                for name, found in samples.items()
            ),
            sha256=sha256_of(data),
            notes=("A sample is the median of a launch; the runs in it were not kept.",),
        )


def _launches(document: Any) -> list[dict[str, Any]]:
    """The launches of all repeats; none where the document is something else."""
    if not isinstance(document, list) or not all(isinstance(repeat, list) for repeat in document):
        return []
    launches = [launch for repeat in document for launch in repeat]
    return launches if all(isinstance(launch, dict) for launch in launches) else []


def _summary(name: str, summary: Any) -> tuple[float, int]:
    """Median in nanoseconds and number of runs of one launch."""
    if not isinstance(summary, list) or len(summary) != _NUMBERS:
        raise ArtefactError(f"{name} should have {_NUMBERS} numbers a launch: {shown(summary)}.")
    *quantiles, mean, count = summary
    values = [latency(value, f"a quantile of {name}") for value in quantiles]
    latency(mean, f"the mean of {name}")
    if values != sorted(values):
        raise ArtefactError(f"the quantiles of {name} do not rise: {shown(summary)}.")
    return values[_MEDIAN], whole(count, f"the number of runs of {name}")
