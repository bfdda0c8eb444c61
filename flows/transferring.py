"""A latency model for a new device from models of others and a few measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import ConfigError, MissingOperatorError
from ..devices.device import Device
from ..latency.measure import Progress
from ..latency.methods import Subjects
from ..latency.models.folder import LoadedModel, model_folder, newest_model, no_model, read_model
from ..latency.operators import Operator
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..latency.transfer import Transferred, diverse_samples
from ..latency.transfer.folder import sources_of, write_transferred
from ..search.spaces import SearchSpace
from .fitting import ALL_OPERATORS, operators_table
from .measuring import Campaign, known_entries, measure_operators, spelled

NAME = "transferred"


def source_models(devices: Sequence[str], space: SearchSpace | None) -> tuple[LoadedModel, ...]:
    """The newest model in `ELAT_HOME` of each of `devices`, for `space` or for any operators.

    Raises:
        ConfigError: None is named, or one twice.
        MissingLatencyError: A device has no model.
    """
    if not devices or len(set(devices)) < len(devices):
        raise ConfigError(
            f"--transfer-from takes one or more devices, each once, with commas; found "
            f"{', '.join(devices) or 'none'}."
        )
    found = []
    for device in devices:
        wanted = None if space is None else space.name
        path = newest_model(elat_home(), device, wanted)
        path = path or newest_model(elat_home(), device, ALL_OPERATORS)
        if path is None:
            raise no_model(device, None if space is None else spelled(space))
        found.append(read_model(path))
    return tuple(found)


def choose_samples(
    space: SearchSpace, sources: Sequence[LoadedModel], samples: int, seed: int
) -> tuple[Operator, ...]:
    """The `samples` operators of `space` to measure on a new device."""
    return diverse_samples(space.all_operators(), sources_of(sources), samples, seed)


def measure_samples(
    campaign: Campaign, space: SearchSpace, sources: Sequence[LoadedModel], samples: int
) -> Iterator[Progress]:
    """Measure the operators of `space` that `choose_samples` takes; resumes by itself."""
    chosen = choose_samples(space, sources, samples, campaign.seed)
    yield from measure_operators(campaign, Subjects(chosen))


def transfer(
    store: MeasurementStore,
    campaign: Campaign,
    space: SearchSpace | None,
    sources: Sequence[LoadedModel],
    samples: int | None,
    out: Path | None,
) -> tuple[LoadedModel, Transferred]:
    """The model of the campaign's device from what was measured there, written to its folder.

    Args:
        store: Holds the samples.
        campaign: Whose device is new.
        space: Whose operators are the samples; None for all that were measured.
        sources: Models of known devices.
        samples: How many at most: those that stand for all that were measured; None for all.
        out: The folder; by default in `ELAT_HOME`.

    Raises:
        MissingOperatorError: Nothing was measured on the device.
        ConfigError: There are too few samples, or origins differ.
    """
    table = _measured(store, campaign.device, campaign, space)
    if samples is not None and samples < len(table):
        table = table.only(
            diverse_samples(list(table), sources_of(sources), samples, campaign.seed)
        )
    model = Transferred.of(sources_of(sources), table)
    home = ALL_OPERATORS if space is None else space.name
    folder = out or model_folder(elat_home(), campaign.device.id, home, NAME)
    name = None if space is None else space.name
    return write_transferred(folder, model, sources, name), model


def _measured(
    store: MeasurementStore, device: Device, campaign: Campaign, space: SearchSpace | None
) -> LatencyTable:
    if space is None:
        return operators_table(store, device)
    entries = known_entries(campaign, space)
    if not entries:
        raise MissingOperatorError(
            f"No operator of {space.name} was measured on {device.id}; measure some with: elat "
            f"measure --device {device.id} --space {spelled(space)} --samples 20 --transfer-from "
            "DEVICE."
        )
    condition = campaign.condition
    origins = {m.origin for m in store.measurements(condition.of_models)}
    return LatencyTable.of(condition, entries, origins)
