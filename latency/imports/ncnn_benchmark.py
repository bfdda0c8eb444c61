"""What ncnn's benchncnn prints: a line for each network."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import lines_of, whole_of
from .parsing import decimal, latency, shown
from .rows import judged, of_runs

STEP_MS = 0.01

_NUMBER = r"[-+.\w]+"
_NETWORK = re.compile(
    rf"\s*(\S+)\s+min =\s*({_NUMBER})\s+max =\s*({_NUMBER})\s+avg =\s*({_NUMBER})"
)
_PART = re.compile(r"\b(?:min|max|avg) =")
_SIGN = re.compile(rb"^ *\S+ +min = *\S+ +max = *\S+ +avg = *\S+ *\r?$", re.M)
_SETTING = re.compile(r"(loop_count|num_threads|powersave|gpu_device|cooling_down) = (-?\d{1,9})")


@importers.register("ncnn-benchmark")
class NcnnBenchmark(Importer):
    """The mean of each network: benchncnn prints no median."""

    def recognises(self, data: bytes) -> bool:
        return b" min = " in data and _SIGN.search(data) is not None

    def read(self, data: bytes) -> Imported:
        lines = [line.rstrip() for line in lines_of(data)]
        facts: dict[str, Fact] = {
            found[1]: int(found[2]) for line in lines if (found := _SETTING.fullmatch(line))
        }
        loops = facts.get("loop_count")
        count = None if loops is None else whole_of(str(loops), "loop_count")
        rows = _rows(lines, count)
        return Imported(
            kind="ncnn-benchmark",
            tool="ncnn benchncnn",
            variant="standard output",
            unit="ms",
            unit_source="benchncnn prints milliseconds, by definition",
            resolution=STEP_MS,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts=facts,
        )


def _rows(lines: Sequence[str], count: int | None) -> list[Row]:
    """A row for each network, whose lines follow each other.

    Raises:
        ArtefactError: A line among them is damaged, or a network stands twice.
    """
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, 1):
        found = _NETWORK.fullmatch(line)
        if found is None:
            if line and (rows or _PART.search(line)):
                raise ArtefactError(
                    f"line {number} should be `NETWORK min = … max = … avg = …`, found "
                    f"{shown(line)}: the log is damaged."
                )
            continue
        row = _row(found, count)
        if rows.setdefault(row.name, row) is not row:
            raise ArtefactError(f"the log holds {row.name!r} twice. Split it.")
    if not rows:
        raise ArtefactError("the log has no line `NETWORK min = … max = … avg = …`.")
    return list(rows.values())


def _row(found: re.Match[str], count: int | None) -> Row:
    name, *printed = found.groups()
    shortest, longest, mean = (
        latency(decimal(text, what), what)
        for text, what in zip(
            printed, (f"{key} of {name!r}" for key in ("min", "max", "avg")), strict=True
        )
    )
    if not shortest <= mean <= longest:
        raise ArtefactError(f"avg of {name!r} is not between min and max: the log is damaged.")
    return judged(
        name,
        mean,
        of_runs(count or 0, Statistic.MEAN),
        count=count,
        resolution=STEP_MS,
        reported={"min": shortest, "max": longest},
    )
