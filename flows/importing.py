"""What files of other tools say: detected, read, kept in the store, made a latency table."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ArtefactError, ConfigError, UnknownNameError
from ..latency.imports import Imported, Importer, importers
from ..latency.imports.base import UnitlessImporter
from ..latency.imports.detect import detect
from ..latency.imports.parsing import MS_PER
from ..latency.imports.tables import imported_table, known_condition
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable

UNITS = (*MS_PER, "cycles")


def read_import(path: Path, unit: str | None = None, kind: str | None = None) -> Imported:
    """What the file `path` says.

    Args:
        path: The file; what it is called does not matter.
        unit: The unit of its numbers, for files that do not say it; others must agree.
        kind: The importer to use; by default the one that recognises the file.

    Raises:
        UnknownNameError: There is no such unit or importer.
        ConfigError: The file does not say its unit and neither does `unit`, or they differ.
        ArtefactError: It is missing, of no known kind or of another one, or damaged.
    """
    if unit is not None and unit not in UNITS:
        raise UnknownNameError("unit", unit, UNITS)
    chosen = None if kind is None else importers[kind]()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except OSError as error:
        raise ArtefactError(f"{path} is not readable ({error.strerror or error}).") from error
    try:
        if chosen is None:
            _, chosen = detect(data)
        elif not chosen.recognises(data):
            raise ArtefactError(f"it is no {kind} file; leave --as out to see what it is.")
        return _read(chosen, data, unit)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(importer: Importer, data: bytes, unit: str | None) -> Imported:
    if isinstance(importer, UnitlessImporter) and unit is not None:
        if unit not in MS_PER:
            raise ConfigError(
                f"latencies are no {unit}; name a unit of time: {', '.join(MS_PER)}."
            )
        return importer.read_as(data, unit)
    imported = importer.read(data)
    if unit is not None and unit != imported.unit:
        raise ConfigError(
            f"its numbers are in {imported.unit} ({imported.unit_source}), not in {unit}."
        )
    return imported


def keep(store: MeasurementStore, imported: Imported) -> bool:
    """Keep `imported` in `store`; False where the same bytes were kept before.

    Raises:
        ConfigError: They were kept before in another unit.
    """
    if store.record_import(imported):
        return True
    before = next(i for i in store.imports() if i.sha256 == imported.sha256)
    if before.unit != imported.unit:
        raise ConfigError(
            f"{store.location} keeps the same file, read in {before.unit}; a second reading in "
            f"{imported.unit} needs a store of its own: --store FILE."
        )
    return False


def table_of(imported: Imported, device: str | None = None) -> LatencyTable:
    """The latency table of what `imported` says, on `device` as far as that is known.

    Raises:
        ConfigError: The rows are no latencies, or name no operators.
        ArtefactError: Two rows name one operator, or one costs nothing.
    """
    return imported_table(imported, known_condition(imported, device))
