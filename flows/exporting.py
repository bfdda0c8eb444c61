"""Latencies from the store or a table file, as files for other programs."""

from __future__ import annotations

from pathlib import Path

from ..core.artefact import write_bytes
from ..core.errors import ConfigError, MissingOperatorError
from ..devices.device import Device
from ..latency.condition import Condition
from ..latency.entry import Entry
from ..latency.exports import Exported, Source, exporters
from ..latency.store import MeasurementStore
from ..latency.table import read_table
from ..search.spaces import SearchSpace
from .measuring import space_table


def table_source(path: Path) -> Source:
    """What the table file `path` holds.

    Raises:
        ArtefactError: It is missing, damaged or no table.
    """
    return Source.of_table(read_table(path))


def store_source(
    store: MeasurementStore, device: Device, space: SearchSpace | None = None
) -> Source:
    """What `store` knows of `device`: every model that was timed, or the table of `space`.

    The launches are those of the models, which for methods other than `block` are not the
    operators themselves.

    Raises:
        MissingOperatorError: Nothing was measured there, or not every operator of `space`.
        ConfigError: The measurements have several origins.
    """
    condition = Condition.of(device).of_models
    records = tuple(store.records(condition))
    if space is not None:
        return Source.of_table(space_table(store, device, space), records)
    measurements = store.measurements(condition)
    origins = sorted({m.origin for m in measurements})
    if not measurements:
        known = sorted({found.device for found in store.conditions()})
        raise MissingOperatorError(
            f"Nothing was measured on {condition} in {store.location}, which knows "
            f"{', '.join(known) or 'no device'}; measure with: elat measure --device {device.id} "
            "--space SPACE."
        )
    if len(origins) > 1:
        raise ConfigError(
            f"{store.location} has {' and '.join(origins)} launches on {condition}: they cannot "
            "share one file; keep them in stores of their own."
        )
    entries = {m.operator: Entry(m.count, m.latency_ms, m.std_ms) for m in measurements}
    return Source(condition, origins[0], entries, records)


def export(source: Source, kind: str, out: Path) -> Exported:
    """Write `source` in the format `kind` to `out`, whole or not at all.

    Raises:
        UnknownNameError: There is no such format.
        ConfigError: The format can say none of the operators.
    """
    made = exporters[kind]().export(source)
    write_bytes(out, made.data)
    return made
