"""Fitted models as folders: the table, the model's name and the seed; refitted when read.

A model folder holds `manifest.json`, `table.yaml`, `held_out.json` and, later, `calibration.json`.
Models that are expensive to fit have `state.safetensors`, too: arrays alone. Nothing in a folder
can run code, nor depend on a library's version unnoticed: a few predictions are kept in the
manifest and compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.artefact import (
    MANIFEST,
    canonical_json,
    manifest,
    read_json,
    read_manifest,
    replacing,
    sha256_of,
    write_json,
)
from ...core.errors import ArtefactError, ConfigError, MissingLatencyError
from ..calibration import Calibration
from ..condition import Condition
from ..network import NetworkLatency
from ..table import LatencyTable, read_table, write_table
from . import latency_models
from .base import LatencyModel, StoredModel
from .evaluate import HeldOut, noise
from .lookup import Lookup
from .starts import features_version

KIND = "latency-model"
TABLE = "table.yaml"
HELD_OUT = "held_out.json"
CALIBRATION = "calibration.json"
STATE = "state.safetensors"
TRANSFERRED = "transferred-"
"""How the names of models begin that start from other devices (`latency/transfer/folder.py`)."""
_PROBES = 8


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A fitted latency model and everything known of it.

    Attributes:
        name: Its name in the registry; or `transferred-` and a hash of what it started from.
        table: What it was fitted to.
        seed: The seed it was fitted with.
        sha256: Hash of table, name, seed and calibration: equal hashes, equal predictions.
        folder: Where it was read from; None for a bare table file.
        space: The search space it was fitted for, where that is known.
    """

    model: LatencyModel
    name: str
    table: LatencyTable
    seed: int
    held_out: HeldOut
    calibration: Calibration | None
    folder: Path | None
    space: str | None = None

    @property
    def condition(self) -> Condition:
        return self.table.condition

    @property
    def origin(self) -> str:
        return self.table.origin

    @property
    def sha256(self) -> str:
        calibration = self.calibration.to_json() if self.calibration else None
        fitted = _identity(self.name, self.table.sha256, self.seed)
        return sha256_of(canonical_json({"model": fitted, "calibration": calibration}))

    @property
    def network(self) -> NetworkLatency:
        """Latency of whole networks by this model and its calibration."""
        return NetworkLatency(self.model, self.calibration)


def write_model(
    folder: Path,
    name: str,
    table: LatencyTable,
    seed: int,
    held_out: HeldOut,
    space: str | None = None,
) -> LoadedModel:
    """Fit model `name` to `table` and write its folder, whole or not at all.

    A model folder that is there already is replaced, its calibration with it. `space` names the
    search space whose operators the table holds, for the manifest.

    Raises:
        ConfigError: `folder` holds something else, or the table is too small.
        UnknownNameError: There is no such model.
    """
    check_replaceable(folder)
    model = latency_models[name].fit(table, seed=seed)
    return write_fitted(folder, LoadedModel(model, name, table, seed, held_out, None, None, space))


def check_replaceable(folder: Path) -> None:
    """Refuse a `folder` that holds something other than a latency model.

    Raises:
        ConfigError: It does.
    """
    if folder.exists() and not _is_replaceable(folder):
        raise ConfigError(f"{folder} exists and is no latency model; name another --out folder.")


def write_fitted(
    folder: Path,
    fitted: LoadedModel,
    parents: Mapping[str, str] | None = None,
    add: Callable[[Path], None] = lambda made: None,
) -> LoadedModel:
    """`fitted` in `folder`, written whole or not at all; what was there is replaced.

    Args:
        folder: A path that `check_replaceable` takes.
        fitted: The model and what is known of it.
        parents: Hashes of what it was made of besides its table.
        add: Adds what else reading it needs to the folder in the making.
    """
    model, table = fitted.model, fitted.table
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        made = Path(temporary) / "new"
        made.mkdir()
        write_table(table, made / TABLE)
        write_json(made / HELD_OUT, fitted.held_out.to_json())
        add(made)
        if isinstance(model, StoredModel):
            _write_state(made / STATE, model)
        record = manifest(
            KIND,
            config={
                "model": fitted.name,
                "device": table.condition.device,
                "origin": table.origin,
                "space": fitted.space,
            },
            seed=fitted.seed,
            parents={"table": table.sha256, **(parents or {})},
        )
        told = {
            "features": features_version(table.condition),
            "probes_ms": _probes(model, table),
        }
        write_json(made / MANIFEST, {**record, **told})
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        made.rename(folder)
    return replace(fitted, folder=folder)


def write_calibration(
    loaded: LoadedModel, calibration: Calibration, networks: Sequence[Mapping[str, Any]] = ()
) -> LoadedModel:
    """`loaded` with `calibration`, which is written beside the model.

    Args:
        loaded: The model that was calibrated.
        calibration: Fitted to its sums.
        networks: A JSON object for each measured network it rests on: `choices`, `macs`, `sum_ms`,
            `predicted_ms`, `measured_ms`, `low_ms`, `high_ms`.

    Raises:
        ConfigError: The model is a bare table file, which has no folder to hold a calibration.
    """
    if loaded.folder is None:
        raise ConfigError(
            "A bare table cannot hold a calibration; make a model folder of it first with: "
            "elat fit --model lookup --out DIR."
        )
    fitted = _identity(loaded.name, loaded.table.sha256, loaded.seed)
    record = {
        "model_sha256": fitted,
        "calibration": calibration.to_json(),
        "networks": [dict(network) for network in networks],
    }
    write_json(loaded.folder / CALIBRATION, record)
    return replace(loaded, calibration=calibration)


def read_model(path: Path) -> LoadedModel:
    """The model in the folder `path`, fitted again; or the table in the file `path`, looked up.

    Raises:
        ArtefactError: It is missing, damaged, of another kind, or does not predict what it
            predicted when it was written (another version of its library).
    """
    if path.is_file():
        table = read_table(path)
        return LoadedModel(Lookup.fit(table, seed=0), "lookup", table, 0, noise(table), None, None)
    if not path.exists():
        raise ArtefactError(
            f"{path} does not exist; --latency takes a model folder (elat fit ... --out DIR) or a "
            "table file (elat table ... --out FILE)."
        )
    record = read_manifest(path, KIND)
    table = read_table(path / TABLE)
    try:
        name, seed = str(record["config"]["model"]), int(record["seed"])
        space = record["config"].get("space")
        probes = [float(value) for value in record["probes_ms"]]
        is_same_table = record["parents"]["table"] == table.sha256
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{path / MANIFEST} lacks what a model needs ({error!r}); fit again with: elat fit."
        ) from error
    if not is_same_table:
        raise ArtefactError(
            f"{path} holds another table than the one it was fitted to; fit again with: elat fit."
        )
    try:
        model = _checked(path, name, table, seed, probes)
    except ArtefactError as error:
        if record.get("features", 1) == features_version(table.condition):
            raise
        raise ArtefactError(
            f"The model {name} in {path} was fitted by another version, which described operators "
            f"on {table.condition} otherwise; fit again with: elat fit."
        ) from error
    held = HeldOut.from_json(read_json(path / HELD_OUT))
    calibration = _read_calibration(path, _identity(name, table.sha256, seed))
    return LoadedModel(model, name, table, seed, held, calibration, path, space)


def model_folder(home: Path, device: str, space: str, name: str) -> Path:
    """Where the model `name` for `device` and `space` lives under `ELAT_HOME`."""
    return home / "models" / device / space / name


def newest_model(home: Path, device: str, space: str | None = None) -> Path | None:
    """The folder of the model written last for `device` (and `space`) under `home`, if any."""
    pattern = f"{device}/{space or '*'}/*/{MANIFEST}"
    found = [path for path in (home / "models").glob(pattern) if path.is_file()]
    if not found:
        return None
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent


def devices_with_models(home: Path, space: str) -> tuple[str, ...]:
    """The devices that have a model for `space` under `home`, sorted."""
    found = (home / "models").glob(f"*/{space}/*/{MANIFEST}")
    return tuple(sorted({path.parents[2].name for path in found}))


def no_model(device: str, space: str | None = None) -> MissingLatencyError:
    """The error where there is no latency model for `device` and `space`: how to make one."""
    flags = f"--device {device} --space {space or 'SPACE'}"
    return MissingLatencyError(
        f"There is no latency model for {device}{f' and {space}' if space else ''}; make one "
        f"with: elat measure {flags}; elat table {flags} --out FILE (to look at it); "
        f"elat fit {flags} --model xgboost. Or name one with --latency FOLDER|FILE."
    )


def _write_state(path: Path, model: StoredModel) -> None:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in model.state().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(arrays))


def _checked(
    folder: Path, name: str, table: LatencyTable, seed: int, probes: Sequence[float]
) -> LatencyModel:
    """The model as `_refitted` gives it, which predicts the `probes` that were kept."""
    model = _refitted(folder, name, table, seed)
    try:
        found = _probes(model, table)
    except ValueError as error:
        raise ArtefactError(
            f"{folder / STATE} holds arrays of other shapes ({error}); fit again with: elat fit."
        ) from error
    if len(found) != len(probes) or not np.allclose(found, probes, rtol=1e-6, atol=0):
        raise ArtefactError(
            f"The model {name} in {folder} no longer predicts what it did when it was written "
            "(its library has changed); fit again with: elat fit."
        )
    return model


def _refitted(folder: Path, name: str, table: LatencyTable, seed: int) -> LatencyModel:
    """The model fitted to `table`, by what its folder keeps of it where it keeps something."""
    if name.startswith(TRANSFERRED):
        from ..transfer.folder import read_transferred

        return read_transferred(folder, name, table)
    kind = latency_models[name]
    if not issubclass(kind, StoredModel):
        return kind.fit(table, seed=seed)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / STATE
    try:
        return kind.restored(table, seed, load(path.read_bytes()))
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise ArtefactError(
            f"{path} is missing or damaged ({error}); fit again with: elat fit."
        ) from error


def _read_calibration(folder: Path, fitted: str) -> Calibration | None:
    path = folder / CALIBRATION
    if not path.exists():
        return None
    data: Any = read_json(path)
    if not isinstance(data, dict) or data.get("model_sha256") != fitted:
        raise ArtefactError(
            f"{path} belongs to another model; calibrate again with: elat calibrate --latency "
            f"{folder}."
        )
    return Calibration.from_json(data.get("calibration") or {})


def _identity(name: str, table_sha256: str, seed: int) -> str:
    return sha256_of(canonical_json({"model": name, "table": table_sha256, "seed": seed}))


def _probes(model: LatencyModel, table: LatencyTable) -> list[float]:
    """A few predictions, by which a refitted model is recognised."""
    operators = list(table)[:: max(1, len(table) // _PROBES)]
    return list(model.predict(operators).latency_ms.tolist())


def _is_replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        read_manifest(folder, KIND)
    except ArtefactError:
        return False
    return True
