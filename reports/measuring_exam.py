"""How far a meter's statistics hold, as `elat exam measuring` writes and reports read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import read_json
from ..core.errors import ArtefactError
from ..latency.condition import Condition

MEASURING = "measuring.json"

COVERAGE = (0.92, 0.98)
"""Within which the share of intervals that hold the truth must lie."""
FALSE_VERDICTS = 0.05
"""Largest share of FASTER or SLOWER among comparisons of a thing with itself."""
FOUND = 0.9
"""Least share of 3 % slowdowns that `standard` must find."""


@dataclass(frozen=True)
class Share:
    """A share of so many, with the standard error between independent campaigns.

    Attributes:
        value: In [0, 1].
        error: None where there is one campaign only.
    """

    value: float
    of: int
    error: float | None


@dataclass(frozen=True)
class Slowdown:
    """Cases that are slower by `effect` (0.03 is 3 %), compared in the same rounds.

    Attributes:
        slower: How much of them were found slower, and `faster` found faster.
    """

    effect: float
    slower: Share
    faster: Share


@dataclass(frozen=True)
class Outcome:
    """One protocol on one kind of machine.

    Attributes:
        scenario: Name of the simulated machine, or the device of recorded stores.
        origin: `simulated`, or `measured` where stores of a real device were compared.
        covered: Intervals that hold the truth; None for recorded stores, whose truth is unknown.
        differences: Differences of two complete measurements of the same within the combined
            interval of the two.
        apart: FASTER or SLOWER among such pairs measured at different times.
        together: The same among pairs measured in the same rounds; None for recorded stores.
        slowdowns: By rising effect; those that some machine was tried with.
        half_width: Mean half-width of the 95 % interval, and `launches` the mean number.
        not_converged: How much of the cases missed the protocol's target.
        within_2: Differences of at most 2 % between two complete measurements, the machine's
            speed taken off.
        condition: Of recorded stores.
    """

    scenario: str
    protocol: str
    origin: str
    is_within_limits: bool
    covered: Share | None
    differences: Share
    apart: Share
    together: Share | None
    slowdowns: tuple[Slowdown, ...]
    half_width: float
    launches: float
    not_converged: float
    within_2: float
    condition: Condition | None = None


@dataclass(frozen=True)
class MeasuringExam:
    """Everything that one exam found."""

    outcomes: tuple[Outcome, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `read_measuring_exam` reads back."""
        return {"outcomes": [_plain(outcome) for outcome in self.outcomes]}


def _plain(outcome: Outcome) -> dict[str, Any]:
    condition = None if outcome.condition is None else outcome.condition.to_json()
    return {**asdict(outcome), "condition": condition}


def read_measuring_exam(folder: Path) -> MeasuringExam:
    """What the exam in `folder` found.

    Raises:
        ArtefactError: It is missing, damaged or of an earlier form.
    """
    path = folder / MEASURING
    data = read_json(path)
    try:
        return MeasuringExam(tuple(map(_outcome, data["outcomes"])))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{path} is damaged or of an earlier form ({error!r}); elat exam measuring with the "
            "same --out writes it again."
        ) from error


def _outcome(data: Mapping[str, Any]) -> Outcome:
    condition = data["condition"]
    return Outcome(
        **{
            **data,
            "covered": _share(data["covered"]),
            "differences": Share(**data["differences"]),
            "apart": Share(**data["apart"]),
            "together": _share(data["together"]),
            "slowdowns": tuple(
                Slowdown(float(s["effect"]), Share(**s["slower"]), Share(**s["faster"]))
                for s in data["slowdowns"]
            ),
            "condition": None if condition is None else Condition.from_json(condition),
        }
    )


def _share(data: Mapping[str, Any] | None) -> Share | None:
    return None if data is None else Share(**data)
