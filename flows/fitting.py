"""Latency models of a space, or of all operators measured: fitting one, and finding one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.artefact import elat_home, write_json
from ..core.errors import MissingOperatorError, UnsupportedOperatorError
from ..devices.device import Device
from ..latency.condition import Condition
from ..latency.methods import METHODS, Subjects
from ..latency.methods.hosts import NARROW
from ..latency.models import latency_models
from ..latency.models.choose import AUTO, CANDIDATES, Choice, choose
from ..latency.models.evaluate import held_out
from ..latency.models.folder import (
    LoadedModel,
    model_folder,
    newest_model,
    no_model,
    read_model,
    write_model,
)
from ..latency.operators import Operator
from ..latency.operators.base import Shape
from ..latency.operators.chain import Chain
from ..latency.operators.conv import Conv
from ..latency.operators.dag import Dag
from ..latency.operators.global_pool import GlobalPool
from ..latency.store import MeasurementStore
from ..latency.table import LatencyTable
from ..search.spaces import SearchSpace
from .measuring import evidence_of, space_table, spelled

ALL_OPERATORS = "all-operators"
"""Where a space has its name: the folder of models of every operator measured on a device."""

CHOICE = "choice.json"


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted and written.

    Attributes:
        choice: Why this one, where it was chosen by `auto`.
    """

    loaded: LoadedModel
    choice: Choice | None


def fit_space(
    store: MeasurementStore,
    device: Device,
    space: SearchSpace,
    name: str,
    out: Path | None,
    seed: int,
) -> LoadedModel:
    """Fit the model `name` (`auto` chooses one) to the table of `space` on `device`.

    Raises:
        UnknownNameError: There is no model of that name.
        MissingOperatorError: An operator of the space was never measured.
    """
    return fit_table(space_table(store, device, space), name, out, seed, space=space.name).loaded


def fit_table(
    table: LatencyTable,
    name: str,
    out: Path | None,
    seed: int,
    *,
    space: str | None = None,
    candidates: Sequence[str] = CANDIDATES,
) -> Fitted:
    """Fit the model `name` to `table` and write its folder, with its held-out errors.

    Args:
        table: What to learn from.
        name: A model of the registry, or `auto`.
        out: The folder; by default in `ELAT_HOME`, by device, space and model.
        seed: Fixes every random choice.
        space: The space whose operators `table` holds; None for all that were measured.
        candidates: What `auto` chooses from.

    Raises:
        UnknownNameError: There is no model of that name.
        ConfigError: The table is too small, or `out` holds something else.
    """
    for known in candidates if name == AUTO else (name,):
        latency_models[known]
    choice = choose(table, seed=seed, candidates=candidates) if name == AUTO else None
    chosen = name if choice is None else choice.model
    errors = (
        held_out(table, latency_models[chosen], seed=seed) if choice is None else (choice.held_out)
    )
    home = space or ALL_OPERATORS
    folder = out or model_folder(elat_home(), table.condition.device, home, chosen)
    loaded = write_model(folder, chosen, table, seed, errors, space)
    if choice is not None:
        write_json(folder / CHOICE, choice.to_json())
    return Fitted(loaded, choice)


def operators_table(store: MeasurementStore, device: Device) -> LatencyTable:
    """The table of every operator whose latency on `device` follows from what `store` holds.

    Neighbours that operators were timed between are no operators of their own: hosts' narrow
    convolutions, and global pools of shapes that a host has.

    Raises:
        MissingOperatorError: Nothing was measured there.
    """
    condition = Condition.of(device)
    method = METHODS[condition.method]
    found = []
    for operator in _single_operators(store.launch_counts(condition.of_models)):
        try:
            method.cases(Subjects((operator,)))
        except UnsupportedOperatorError:
            continue
        found.append(operator)
    subjects = Subjects(tuple(found))
    known = evidence_of(store, condition, subjects) if found else None
    if known is None or not method.latencies(subjects, known).entries:
        raise MissingOperatorError(
            f"No operator was measured on {condition} yet; measure some there with: elat measure "
            f"--device {device.id} --generate 300 --store {store.location}"
        )
    return LatencyTable.derived(condition, subjects, known)


def _single_operators(cases: Iterable[Operator]) -> list[Operator]:
    """Every operator that the measured `cases` are, or are made of, neighbours left out."""
    found: dict[Operator, None] = {}
    pools: dict[GlobalPool, None] = {}
    neighbours: set[Shape] = set()
    for case in cases:
        if not isinstance(case, Chain | Dag):
            found[case] = None
            continue
        own = [o for o in case.operators if not (o.is_free or _is_neck(o))]
        inside = [o for o in own if not isinstance(o, GlobalPool)]
        around = [o for o in own if isinstance(o, GlobalPool)]
        found.update(dict.fromkeys(inside))
        pools.update(dict.fromkeys(around))
        if inside:
            neighbours.update(pool.input_shapes[0] for pool in around)
            neighbours.update(shape for operator in inside for shape in operator.input_shapes)
    alone = [pool for pool in pools if pool.input_shapes[0] not in neighbours]
    return list(dict.fromkeys((*found, *alone)))


def _is_neck(operator: Operator) -> bool:
    return isinstance(operator, Conv) and operator == Conv(
        NARROW, operator.out_channels, operator.resolution, 1
    )


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
