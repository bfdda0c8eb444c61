"""Latency models of a space: fitting one, and finding one that was fitted."""

from __future__ import annotations

from pathlib import Path

from ..core.artefact import elat_home
from ..devices.device import Device
from ..latency.models import latency_models
from ..latency.models.evaluate import held_out
from ..latency.models.folder import (
    LoadedModel,
    model_folder,
    newest_model,
    no_model,
    read_model,
    write_model,
)
from ..latency.store import MeasurementStore
from ..search.spaces import SearchSpace
from .measuring import space_table, spelled


def fit_space(
    store: MeasurementStore,
    device: Device,
    space: SearchSpace,
    name: str,
    out: Path | None,
    seed: int,
) -> LoadedModel:
    """Fit the model `name` to the table of `space` on `device` and write its folder.

    Raises:
        UnknownNameError: There is no model of that name.
        MissingOperatorError: An operator of the space was never measured.
    """
    kind = latency_models[name]
    table = space_table(store, device, space)
    folder = out or model_folder(elat_home(), device.id, space.name, name)
    return write_model(folder, name, table, seed, held_out(table, kind, seed=seed), space.name)


def find_latency(given: Path | None, device_id: str, space: SearchSpace) -> LoadedModel:
    """The model at `given`, or the newest one in `ELAT_HOME` for the device and space.

    Raises:
        MissingLatencyError: None is given and none is there; names the commands that make one.
        ArtefactError: What is there is corrupt, or of another kind.
    """
    found = given or newest_model(elat_home(), device_id, space.name)
    if found is None:
        raise no_model(device_id, spelled(space))
    return read_model(found)
