"""A launch as a row of the store, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ...core.artefact import canonical_json
from ...core.errors import ConfigError
from ..condition import Condition
from ..launch import Launch
from ..measurement import ORIGINS
from ..operators import Operator
from ..protocol import SCREEN, Protocol
from ..sample import ROW, Sample
from .database import Database
from .documents import Documents

COLUMNS = "id, operator, origin, protocol, environment, meta, samples, sentinel, state"
_GPU, _GPU_SENTINEL = "gpu", "gpu_sentinel"
_META = frozenset(field.name for field in fields(Launch)) - {"samples", "sentinel"}


@dataclass(frozen=True)
class Record:
    """One launch and all that is kept with it.

    Attributes:
        operator: What was timed.
        condition: Under what.
        launch: What one worker found.
        state: The machine's state at the launch (`devices.state.state`).
        origin: `measured`, `imported` or `simulated`.
        protocol: Under which it was taken.
        environment: The machine's fingerprint, stored once however many launches share it.
    """

    operator: Operator
    condition: Condition
    launch: Launch
    state: Mapping[str, Any] = field(hash=False)
    origin: str
    protocol: Protocol = SCREEN
    environment: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise ConfigError(f"Origin {self.origin!r} is unknown. Known: {', '.join(ORIGINS)}.")


@dataclass(frozen=True)
class LaunchRow:
    """One launch as read, with what a measurement takes from it.

    Attributes:
        operator: The operator's number, as are `protocol` and `environment`.
    """

    id: int
    operator: int
    origin: str
    protocol: int
    environment: int
    launch: Launch
    state: dict[str, Any]


def packed(launch: Launch, state: Mapping[str, Any]) -> tuple[str, str, bytes, bytes, str]:
    """The columns worker, meta, samples, sentinel and state."""
    meta = launch.to_json()
    samples, sentinel = meta.pop("samples"), meta.pop("sentinel")
    for name, rows in ((_GPU, samples), (_GPU_SENTINEL, sentinel)):
        if any(len(row) > ROW for row in rows):
            meta[name] = [row[ROW:] for row in rows]
    return (
        launch.worker,
        canonical_json(meta),
        _packed_samples(samples),
        _packed_samples(sentinel),
        canonical_json(dict(state)),
    )


def unpacked(row: tuple[Any, ...], database: Database, documents: Documents) -> LaunchRow:
    """The launch in `row`, whose columns are `COLUMNS`.

    What a later elat noted besides is left out, and what an earlier one did not note yet has its
    default.

    Raises:
        ArtefactError: It is not readable.
    """
    number, operator, origin, protocol, environment, meta, samples, sentinel, state = row
    noted = documents.parsed(meta)
    facts = documents.parsed(state)
    try:
        launch = Launch(
            **{name: _plain(value) for name, value in noted.items() if name in _META},
            samples=_unpacked_samples(samples, noted.get(_GPU, [])),
            sentinel=_unpacked_samples(sentinel, noted.get(_GPU_SENTINEL, [])),
        )
        if not launch.samples or not isinstance(facts, dict):
            raise ValueError("it has no sample, or no state")
    except (AttributeError, TypeError, ValueError) as error:
        raise database.corrupt(f"a launch is not readable: {error}") from error
    return LaunchRow(number, operator, origin, protocol, environment, launch, facts)


def _packed_samples(rows: list[list[int]]) -> bytes:
    """Samples as little-endian 64-bit integers, four a sample; what a GPU told is left out."""
    return np.asarray([row[:ROW] for row in rows], dtype="<i8").tobytes()


def _unpacked_samples(blob: bytes, gpu: Sequence[Sequence[int]] = ()) -> tuple[Sample, ...]:
    """The samples that `_packed_samples` was given, with what a GPU told of each, if any.

    Raises:
        ValueError: The length is not that of whole samples, or not that of `gpu`, or a sample is
            of no run.
    """
    numbers = np.frombuffer(blob, dtype="<i8").reshape(-1, ROW)
    if numbers[:, 0].min(initial=1) < 1:
        raise ValueError("a sample is of no run")
    rows = numbers.tolist()
    if not gpu:
        return tuple(Sample(*row) for row in rows)
    return tuple(Sample.from_row([*row, *told]) for row, told in zip(rows, gpu, strict=True))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
