"""How sums over operators compare by method: what `elat compare-methods` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.artefact import read_json
from ..core.errors import ArtefactError
from ..latency.condition import Method
from .source import Source
from .statistics import Errors, errors

KIND = "method-comparison"
COMPARISON = "compare-methods.json"


@dataclass(frozen=True)
class WholeNetwork:
    """A random network as measured, with its 95 % interval."""

    choices: tuple[int, ...]
    macs: int
    measured_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class MethodMark:
    """What one method says of the networks, and what it cost.

    Attributes:
        operators: How many operators it has a latency of.
        missing: Those that it has none of, in words.
        cases: How many models were timed for it, and `profiles` how many profiled.
        busy_s: Time that these were loaded, warmed up and timed.
        sums_ms: Of each network's operators; None where one of them is missing.
        form: Of the calibration; empty where no calibration fits.
        calibrated: Mean absolute error of the calibrated sum, each network left out of its own
            calibration; None where no calibration fits.
    """

    method: Method
    operators: int
    missing: tuple[str, ...]
    cases: int
    profiles: int
    busy_s: float
    sums_ms: tuple[float | None, ...]
    form: str
    calibrated: float | None


@dataclass(frozen=True)
class MethodComparison:
    """All methods on one device and space.

    Attributes:
        marks: In the order of `Method`.
        ceiling: Leave-one-out error of the best sum of one number an operator that a ridge fit to
            these networks finds, from nothing or around the sums of a method: what no method can
            be expected to beat by much.
    """

    source: Source
    space: str
    protocol: str
    networks: tuple[WholeNetwork, ...]
    marks: tuple[MethodMark, ...]
    ceiling: float

    def ratios(self, mark: MethodMark) -> tuple[float, ...]:
        """Sum over measured time of each network whose sum is known."""
        return tuple(total / measured for total, measured in self._pairs(mark))

    def errors(self, mark: MethodMark) -> Errors | None:
        """Of the plain sums; None where none is known."""
        pairs = self._pairs(mark)
        return errors(*zip(*pairs, strict=True)) if pairs else None

    def spread(self, mark: MethodMark) -> float | None:
        """Standard deviation of the ratios; None for fewer than two."""
        ratios = self.ratios(mark)
        return float(np.std(ratios, ddof=1)) if len(ratios) > 1 else None

    def _pairs(self, mark: MethodMark) -> list[tuple[float, float]]:
        return [
            (total, network.measured_ms)
            for total, network in zip(mark.sums_ms, self.networks, strict=True)
            if total is not None
        ]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; statistics are for readers."""
        condition = self.source.condition
        return {
            "device": self.source.device,
            "origin": self.source.origin,
            "condition": None if condition is None else condition.to_json(),
            "space": self.space,
            "protocol": self.protocol,
            "networks": [asdict(network) for network in self.networks],
            "ceiling": self.ceiling,
            "methods": [{**asdict(mark), **self._statistics(mark)} for mark in self.marks],
        }

    def _statistics(self, mark: MethodMark) -> dict[str, float | None]:
        found = self.errors(mark)
        return {
            "ratio_mean": None if found is None else 1 + found.bias,
            "ratio_std": self.spread(mark),
            "mape": None if found is None else found.mape,
            "spearman": None if found is None else found.spearman,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MethodComparison:
        """The comparison that `to_json` wrote."""
        return cls(
            Source.of(str(data["origin"]), data["condition"]),
            str(data["space"]),
            str(data["protocol"]),
            tuple(_network(each) for each in data["networks"]),
            tuple(_mark(each) for each in data["methods"]),
            float(data["ceiling"]),
        )


def read_method_comparison(folder: Path) -> MethodComparison:
    """The comparison in `folder`.

    Raises:
        ArtefactError: There is none, or the file is damaged.
    """
    path = folder / COMPARISON
    data = read_json(path)
    try:
        return MethodComparison.from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is damaged or of an earlier form ({error!r}); elat compare-methods with the "
            "same --out writes it again from its store."
        ) from error


def _network(data: Mapping[str, Any]) -> WholeNetwork:
    return WholeNetwork(
        tuple(map(int, data["choices"])),
        int(data["macs"]),
        *(float(data[name]) for name in ("measured_ms", "low_ms", "high_ms")),
    )


def _mark(data: Mapping[str, Any]) -> MethodMark:
    return MethodMark(
        Method(data["method"]),
        int(data["operators"]),
        tuple(map(str, data["missing"])),
        int(data["cases"]),
        int(data["profiles"]),
        float(data["busy_s"]),
        tuple(None if total is None else float(total) for total in data["sums_ms"]),
        str(data["form"]),
        None if data["calibrated"] is None else float(data["calibrated"]),
    )
