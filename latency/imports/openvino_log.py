"""What OpenVINO's benchmark_app prints."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer
from .lines import lines_of, whole_of
from .openvino_report import COUNTED_NOTE, TOOL, latency_row
from .parsing import MS_PER, decimal, latency

STEP = 0.01

_SIGN = re.compile(rb"^\[ INFO \] Latency: *\r?$", re.M)
_STATISTIC = re.compile(r"\[ INFO \] +(Median|Average|Min|Max|\d{1,2} percentile): +(\S+) (\w+)")
_NAMES = {"Median": "median", "Average": "mean", "Min": "min", "Max": "max"}
_COUNT = re.compile(r"\[ INFO \] Count: +(\d+) iterations", re.ASCII)
_BUILD = re.compile(r"\[ INFO \] Build \.+ (\d+(?:\.\d+)+)", re.ASCII)
_SETTING = re.compile(r"\[ INFO \]   (\w+): (.+)")
_SETTINGS = {
    "EXECUTION_DEVICES": "device",
    "INFERENCE_NUM_THREADS": "threads",
    "INFERENCE_PRECISION_HINT": "precision_hint",
    "NUM_STREAMS": "streams",
    "PERFORMANCE_HINT": "performance_hint",
}


@importers.register("openvino-log")
class OpenvinoLog(Importer):
    """The median, which it prints in microseconds below 1 ms: finer than its report."""

    def recognises(self, data: bytes) -> bool:
        return b"[ INFO ] Latency:" in data and _SIGN.search(data) is not None

    def read(self, data: bytes) -> Imported:
        lines = lines_of(data)
        values, unit = _statistics(lines)
        counts = [found[1] for line in lines if (found := _COUNT.match(line))]
        if len(counts) != 1:
            raise ArtefactError(
                f"the log says {len(counts)} times how many iterations there were, and once was "
                "expected: it was cut short, or is of several runs."
            )
        build = next((found[1] for line in lines if (found := _BUILD.match(line))), "")
        settings = {
            found[1]: found[2] for line in lines if (found := _SETTING.fullmatch(line.rstrip()))
        }
        facts: dict[str, Fact] = {
            fact: settings[key] for key, fact in _SETTINGS.items() if key in settings
        }
        step_ms = STEP * MS_PER[unit]
        return Imported(
            kind="openvino-log",
            tool=f"{TOOL} {build}".rstrip(),
            variant="standard output",
            unit=unit,
            unit_source="the log writes it behind every value",
            resolution=step_ms,
            rows=(latency_row(values, whole_of(counts[0], "Count"), step_ms),),
            sha256=sha256_of(data),
            facts=facts,
            notes=(COUNTED_NOTE,) if settings.get("PERF_COUNT") == "YES" else (),
        )


def _statistics(lines: Sequence[str]) -> tuple[dict[str, float], str]:
    """Statistics in ms by name, and the unit in which the first of them is printed.

    Raises:
        ArtefactError: One is printed twice, or in no unit of time.
    """
    values: dict[str, float] = {}
    units = []
    for line in lines:
        if not (found := _STATISTIC.fullmatch(line.rstrip())):
            continue
        printed, value, unit = found.groups()
        name = _NAMES.get(printed, f"p{printed.split()[0]}")
        if name in values:
            raise ArtefactError(f"the log holds {printed} twice: it is of several runs. Split it.")
        if unit not in MS_PER:
            raise ArtefactError(f"{printed} is in {unit}; one of {', '.join(MS_PER)} is known.")
        values[name] = latency(latency(decimal(value, printed), printed) * MS_PER[unit], printed)
        units.append(unit)
    if not units:
        raise ArtefactError("the log has no statistic below Latency: it was cut short.")
    return values, units[0]
