"""A latency model for a new device from models of others and a few measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import ConfigError, MissingOperatorError
from ..latency.measure import Progress
from ..latency.methods import Subjects
from ..latency.models.folder import LoadedModel, model_folder, newest_model, no_model, read_model
from ..latency.operators import Operator
from ..latency.table import LatencyTable
from ..latency.transfer import Transferred, diverse_samples
from ..latency.transfer.folder import sources_of, write_transferred
from ..search.spaces import SearchSpace
from .fitting import ALL_OPERATORS, operators_table
from .measuring import Campaign, evidence_of, measure_operators, spelled

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
    campaign: Campaign,
    space: SearchSpace | None,
    sources: Sequence[LoadedModel],
    samples: int | None,
    out: Path | None,
) -> tuple[LoadedModel, Transferred]:
    """The model of the campaign's device from what was measured there, written to its folder.

    Args:
        campaign: Whose device is new, and whose store holds the samples.
        space: Whose operators are the samples; None for all that were measured.
        sources: Models of known devices.
        samples: How many at most: those that stand for all that were measured; None for all.
        out: The folder; by default in `ELAT_HOME`.

    Raises:
        MissingOperatorError: Nothing was measured on the device.
        ConfigError: There are too few samples, or origins differ.
    """
    table = _measured(campaign, space)
    if samples is not None and samples < len(table):
        table = table.only(
            diverse_samples(list(table), sources_of(sources), samples, campaign.seed)
        )
    model = Transferred.of(sources_of(sources), table)
    home = ALL_OPERATORS if space is None else space.name
    folder = out or model_folder(elat_home(), campaign.device.id, home, NAME)
    name = None if space is None else space.name
    return write_transferred(folder, model, sources, name), model


def _measured(campaign: Campaign, space: SearchSpace | None) -> LatencyTable:
    """What was measured on the campaign's device: of `space`, or all operators."""
    if space is None:
        return operators_table(campaign.store, campaign.device)
    subjects = Subjects(space.all_operators())
    evidence = evidence_of(campaign.store, campaign.condition, subjects)
    if not evidence.measured:
        device = campaign.device.id
        raise MissingOperatorError(
            f"No operator of {space.name} was measured on {device}; measure some with: elat "
            f"measure --device {device} --space {spelled(space)} --samples 20 --transfer-from "
            "DEVICE."
        )
    return LatencyTable.derived(campaign.condition, subjects, evidence)
