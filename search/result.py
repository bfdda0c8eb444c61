"""What a search found, what was measured of it later, and what training it gave.

Three records, each a JSON file of the run folder, each written by one verb: `result.json` by
`elat search`, `certificate.json` by `elat verify`, `training.json` by `elat train`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..core.artefact import read_json, write_json
from ..core.errors import ArtefactError
from .architecture import Architecture

RESULT = "result.json"
CERTIFICATE = "certificate.json"
TRAINING = "training.json"
HISTORY = "history.jsonl"

MACS = "macs"
PARAMS = "params"
LINKS = "links"

R = TypeVar("R", "SearchResult", "Certificate", "TrainingRecord")


def unit_of(name: str) -> str:
    """The unit of a bound or cost: `"ms"`, or of a counted one its own name for it."""
    return {MACS: "MACs", PARAMS: "parameters", LINKS: "links"}.get(name, "ms")


@dataclass(frozen=True)
class Limit:
    """One bound of a search: `name` is a device id or what is counted; `limit` is in `unit`.

    Attributes:
        limit: Of what the model predicts.
        held: What the device shall keep, where that is more than `limit`; and `level` with what
            probability a network picked within `limit` does (`Bound`).
    """

    name: str
    limit: float
    fastest: float
    slowest: float
    held: float | None = None
    level: float | None = None

    @property
    def promise(self) -> float:
        """What the device shall keep."""
        return self.limit if self.held is None else self.held

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    def upper(self, predicted: float) -> float | None:
        """The prediction with the margin that networks at `limit` have; None without a level."""
        return None if self.held is None else predicted * self.held / self.limit


@dataclass(frozen=True)
class Candidate:
    """A derived architecture within every bound by the model, with the score that ranked it.

    Attributes:
        predicted: Predicted cost for each limit of the search, in the limit's unit.
        accuracy: Validation accuracy in [0, 1] with supernet weights and recalibrated batch norm.
    """

    architecture: Architecture
    score: float
    predicted: tuple[float, ...]
    accuracy: float | None
    macs: int
    params: int


@dataclass(frozen=True)
class SearchResult:
    """The outcome of one search: ranked candidates, the best first; nothing measured.

    Attributes:
        space: The space's own description, enough to build it again.
        origin: Where the latencies come from: `measured`, `imported` or `simulated`.
        model: Name and hash of the latency model, or of what was counted.
    """

    space: dict[str, Any]
    strategy: str
    seed: int
    steps: int
    limits: tuple[Limit, ...]
    origin: str
    model: dict[str, str]
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return _object(asdict(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchResult:
        """The result that `to_json` wrote."""
        return cls(
            **{
                **data,
                "limits": tuple(Limit(**limit) for limit in data["limits"]),
                "candidates": tuple(_candidate(c) for c in data["candidates"]),
            }
        )


@dataclass(frozen=True)
class MeasuredLatency:
    """A whole network measured on one device; the interval is of the latency, at `level`."""

    device: str
    condition: dict[str, Any]
    latency_ms: float
    low_ms: float
    high_ms: float
    level: float
    launches: int
    flags: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class UpperLimit:
    """What a share of `level` of networks like this one keep, by the errors of a calibration.

    Attributes:
        is_of_pick: Whether that holds of a network that was picked under a bound, too.
    """

    limit_ms: float
    level: float
    is_of_pick: bool = False


@dataclass(frozen=True)
class DeviceBound:
    """A bound on one device, and whether the upper confidence limit there is within it."""

    device: str
    bound_ms: float
    is_met: bool


@dataclass(frozen=True)
class Certificate:
    """Proof, or refutation, of the bounds on their devices, for the architecture verified.

    Attributes:
        bounds: One for each device with a bound; empty where something else was bounded.
        predicted_ms: What the latency models said of `architecture`.
        upper: By device, the upper limit of that where the model's calibration knows one.
        measured: On the devices of `bounds` first, then on the others.
        tried: Candidates measured before one held, as (architecture, measured latency), one pair
            for each bounded device.
        note: Why much of the bound is unused, where it is; else empty.
        unsure: By device, why no upper limit of what was picked is known, where none is.
    """

    architecture: Architecture
    bounds: tuple[DeviceBound, ...]
    predicted_ms: dict[str, float]
    measured: tuple[MeasuredLatency, ...]
    tried: tuple[tuple[Architecture, MeasuredLatency], ...]
    macs: int
    params: int
    files: dict[str, str]
    note: str = ""
    upper: dict[str, UpperLimit] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str | None:
        """The first device with a bound, if there is one."""
        return self.bounds[0].device if self.bounds else None

    @property
    def bound_ms(self) -> float | None:
        """The bound on `device`."""
        return self.bounds[0].bound_ms if self.bounds else None

    @property
    def is_met(self) -> bool | None:
        """Whether every bound holds as measured; None without a bound."""
        return all(bound.is_met for bound in self.bounds) if self.bounds else None

    def is_below(self, device: str) -> bool | None:
        """Whether what was measured on `device` is below its upper limit; None without either."""
        found, upper = self.on(device), self.upper.get(device)
        return None if found is None or upper is None else found.latency_ms <= upper.limit_ms

    def on(self, device: str) -> MeasuredLatency | None:
        """What was measured on `device`, if it was."""
        return next((m for m in self.measured if m.device == device), None)

    @property
    def used_share(self) -> float | None:
        """Measured latency over the bound: 1 uses it up, more breaks it."""
        found = self.on(self.device) if self.device else None
        return None if found is None or self.bound_ms is None else found.latency_ms / self.bound_ms

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return _object(asdict(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Certificate:
        """The certificate that `to_json` wrote."""
        return cls(
            **{
                **data,
                "architecture": Architecture.from_json(data["architecture"]),
                "bounds": tuple(DeviceBound(**bound) for bound in data["bounds"]),
                "measured": tuple(_measured(m) for m in data["measured"]),
                "tried": tuple(
                    (Architecture.from_json(a), _measured(m)) for a, m in data["tried"]
                ),
                "upper": {d: UpperLimit(**u) for d, u in data.get("upper", {}).items()},
            }
        )


@dataclass(frozen=True)
class Trained:
    """One network trained from scratch; accuracies in [0, 1], the test set touched once."""

    architecture: Architecture
    macs: int
    params: int
    epochs: int
    seeds: tuple[int, ...]
    validation_accuracy: tuple[float, ...]
    test_accuracy: tuple[float, ...]


@dataclass(frozen=True)
class TrainingRecord:
    """The verified network and a network of equal MACs of the same space, trained alike."""

    data: str
    network: Trained
    macs_matched: Trained | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return _object(asdict(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingRecord:
        """The record that `to_json` wrote."""
        matched = data["macs_matched"]
        return cls(
            data["data"], _trained(data["network"]), None if matched is None else _trained(matched)
        )


@dataclass(frozen=True)
class Run:
    """A run folder as read: the search, and what later verbs added."""

    folder: Path
    result: SearchResult
    certificate: Certificate | None
    training: TrainingRecord | None


def read_run(folder: Path) -> Run:
    """Everything the verbs wrote into the run folder `folder`.

    Raises:
        ArtefactError: The folder holds no finished search, or a file in it is cut short.
    """
    if not (folder / RESULT).exists():
        raise ArtefactError(
            f"{folder} holds no finished search; finish it with: elat search ... --out {folder}"
        )
    return Run(
        folder,
        _record(folder / RESULT, SearchResult),
        _record(folder / CERTIFICATE, Certificate) if (folder / CERTIFICATE).exists() else None,
        _record(folder / TRAINING, TrainingRecord) if (folder / TRAINING).exists() else None,
    )


def write_record(folder: Path, record: SearchResult | Certificate | TrainingRecord) -> Path:
    """Write `record` under its name in the run folder, whole or not at all."""
    names = {SearchResult: RESULT, Certificate: CERTIFICATE, TrainingRecord: TRAINING}
    path = folder / names[type(record)]
    write_json(path, record.to_json())
    return path


def _record(path: Path, kind: type[R]) -> R:
    data = read_json(path)
    try:
        return kind.from_json(data)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is no {kind.__name__}: {error}.") from error


def _object(data: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(item) for key, item in data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _candidate(data: dict[str, Any]) -> Candidate:
    return Candidate(
        **{
            **data,
            "architecture": Architecture.from_json(data["architecture"]),
            "predicted": tuple(data["predicted"]),
        }
    )


def _measured(data: dict[str, Any]) -> MeasuredLatency:
    return MeasuredLatency(**{**data, "flags": tuple(data["flags"])})


def _trained(data: dict[str, Any]) -> Trained:
    tuples = ("seeds", "validation_accuracy", "test_accuracy")
    return Trained(
        **{
            **data,
            **{name: tuple(data[name]) for name in tuples},
            "architecture": Architecture.from_json(data["architecture"]),
        }
    )
