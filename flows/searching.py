"""A search from what the user names: space, latency, bound, data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.artefact import sha256_of
from ..core.config import read_yaml, with_overrides
from ..core.errors import ArtefactError, ConfigError
from ..core.seeding import torch_generator
from ..devices.device import find_device
from ..latency.models.folder import LoadedModel
from ..latency.table import check_device
from ..search.bound import Bound, limits_of
from ..search.distributed import Alone, ShardedData, World, working_folder
from ..search.executor import Executor, InTurn
from ..search.expected_latency import ExpectedLatency, counted_cost
from ..search.picked_bound import picked_bound
from ..search.result import LINKS, MACS, PARAMS, SearchResult, read_run
from ..search.run import search
from ..search.spaces import SearchSpace, find_space
from ..search.strategies import Problem, SearchStep
from .fitting import find_latency
from .images import open_data, split_data

QUANTILE_SAMPLES = 20_000
# One thread: results depend on the number in the last bits, and several fight over busy cores.
THREADS = 1


@dataclass(frozen=True)
class SearchOrder:
    """What `elat search` was asked for; at least one bound is given.

    Attributes:
        devices: Devices with a bound in milliseconds each.
        latency: Their latency models, in the same order; empty for the newest ones.
        bound_ms: One for each device; or else
        bound_quantile: one for all devices, or one for each.
        bound_level: Probability that the network which is found keeps a latency bound on the
            device, by the errors of the model's calibration; None bounds the prediction itself.
        bound_macs: In multiply-adds; `bound_params` in trainable parameters, `bound_links` in
            links of an aggregation space.
    """

    space: str
    out: Path
    devices: tuple[str, ...] = ()
    latency: tuple[Path, ...] = ()
    bound_ms: tuple[float, ...] = ()
    bound_quantile: tuple[float, ...] = ()
    bound_level: float | None = None
    bound_macs: float | None = None
    bound_params: float | None = None
    bound_links: float | None = None
    data: str = "digits"
    strategy: str = "proxyless-g"
    seed: int = 0
    config: Path | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Started:
    """A search about to run: the bounds that were resolved, and the steps to come."""

    models: tuple[LoadedModel, ...]
    bounds: tuple[Bound, ...]
    steps: Iterator[SearchStep | SearchResult]


def run_search(
    order: SearchOrder, world: World | None = None, executor: Executor | None = None
) -> Started:
    """Resolve names and bounds, refuse what cannot be met, and return the search to iterate.

    The iterator yields steps and, last, the result; a finished folder yields the result alone.

    Args:
        order: What was asked for.
        world: The processes that search together, each of which calls this with the same order;
            this one alone by default. Only the first writes into the run folder.
        executor: Where independent evaluations run; here by default.

    Raises:
        ConfigError: No bound is given, or one without its device.
        MissingLatencyError: There is no latency model for a device and the space.
        InfeasibleError: No architecture is within the bounds.
    """
    world = world or Alone()
    order = replace(order, seed=world.agreed(order.seed))
    settings = read_settings(order.config, order.overrides)
    space = find_space(order.space)
    models, costs, bounds = _latency_bounds(order, space)
    for name, limit in _counted(order).items():
        costs.append(counted_cost(space, name))
        bounds.append(Bound(name, limit))
    limits_of(costs, bounds)
    data = split_data(open_data(order.data, space), order.seed)
    problem = Problem(
        space=space,
        costs=tuple(costs),
        bounds=tuple(bounds),
        data=data if world.size == 1 else ShardedData(data, world),
        seed=order.seed,
        world=world,
        executor=executor or InTurn(),
    )
    return Started(tuple(models), tuple(bounds), _steps(order, problem, settings, models))


def _counted(order: SearchOrder) -> dict[str, float]:
    """The bounds on what is counted that the order gives, by name."""
    asked = {MACS: order.bound_macs, PARAMS: order.bound_params, LINKS: order.bound_links}
    return {name: limit for name, limit in asked.items() if limit is not None}


def latency_quantile(cost: ExpectedLatency, quantile: float) -> float:
    """The cost below which the share `quantile` of uniformly drawn architectures lies.

    The draw is seeded by the name of the cost alone, so that a bound given as a quantile is the
    same number in every search under the same model.
    """
    generator = torch_generator(0, "quantile", cost.name)
    return cost.quantile(quantile, QUANTILE_SAMPLES, generator)


def read_settings(config: Path | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The settings in the YAML file `config`, changed by `key=value` overrides.

    Raises:
        ArtefactError: The file is missing, cut short or holds no settings.
    """
    data: Any = {} if config is None else read_yaml(config)
    if not isinstance(data, Mapping):
        raise ArtefactError(f"{config} holds no mapping of settings; it was cut short: repair it.")
    return with_overrides(data, overrides)


def _latency_bounds(
    order: SearchOrder, space: SearchSpace
) -> tuple[list[LoadedModel], list[ExpectedLatency], list[Bound]]:
    models: list[LoadedModel] = []
    costs: list[ExpectedLatency] = []
    bounds: list[Bound] = []
    for name, latency, bound_ms, quantile in _asked(order):
        device = find_device(name)
        model = find_latency(latency, device.id, space)
        check_device(model.condition, device.id)
        cost = ExpectedLatency.from_network_latency(space, device.id, model.network)
        models.append(model)
        costs.append(cost)
        limit = latency_quantile(cost, quantile) if bound_ms is None else bound_ms
        bounds.append(_bound(cost, limit, order.bound_level))
    if order.bound_level is not None and not bounds:
        raise ConfigError("--bound-level is about a latency bound; give --device and --bound-ms.")
    origins = sorted({model.origin for model in models})
    if len(origins) > 1:
        raise ConfigError(
            f"The latencies of these devices are {' and '.join(origins)}; numbers of different "
            "origin never decide together: use models of one origin."
        )
    return models, costs, bounds


def _bound(cost: ExpectedLatency, limit: float, level: float | None) -> Bound:
    """The bound of `limit` ms on the device of `cost`, kept by its predictions or at `level`.

    Raises:
        ConfigError: Too few networks were measured to tell `level`, or it is none.
        MissingLatencyError: None were.
    """
    return Bound(cost.name, limit) if level is None else picked_bound(cost, limit, level)


def _asked(order: SearchOrder) -> Iterator[tuple[str, Path | None, float | None, float]]:
    """Device, model, bound in ms or else quantile, for each latency bound."""
    if order.bound_ms and order.bound_quantile:
        raise ConfigError("Give --bound-ms or --bound-quantile, not both.")
    given = order.bound_ms or order.bound_quantile
    if not given:
        if order.devices:
            raise ConfigError(
                f"A search needs a bound: give --bound-ms or --bound-quantile for --device "
                f"{order.devices[0]}, or leave the device out."
            )
        return
    if not order.devices:
        raise ConfigError("A latency bound is about a device; name it with --device.")
    count = len(order.devices)
    if order.bound_quantile and len(given) == 1:
        given = given * count
    flag = "--bound-ms" if order.bound_ms else "--bound-quantile"
    for flag_, values in ((flag, given), ("--latency", order.latency)):
        if len(values) != count and (values or flag_ == flag):
            raise ConfigError(
                f"{count} devices ({', '.join(order.devices)}) and {len(values)} times {flag_}: "
                f"give one {flag_} for each --device, in the same order."
            )
    models: tuple[Path | None, ...] = order.latency or (None,) * count
    for name, latency, value in zip(order.devices, models, given, strict=True):
        yield name, latency, value if order.bound_ms else None, value


def _steps(
    order: SearchOrder,
    problem: Problem,
    settings: Mapping[str, Any],
    models: Sequence[LoadedModel],
) -> Iterator[SearchStep | SearchResult]:
    with working_folder(order.out, problem.world) as folder:
        yield from search(
            problem,
            order.strategy,
            settings,
            folder=folder,
            origin=models[0].origin if models else "counted",
            model=_named(order, models),
            threads=THREADS,
        )
        result = read_run(folder).result
    yield result


def _named(order: SearchOrder, models: Sequence[LoadedModel]) -> dict[str, str]:
    """Name and hash of the model; of several the names, and one hash over all."""
    if not models:
        return {"name": ", ".join(_counted(order))}
    if len(models) == 1:
        return {"name": models[0].name, "sha256": models[0].sha256}
    names = ", ".join(f"{model.name} on {model.condition.device}" for model in models)
    return {"name": names, "sha256": sha256_of("".join(model.sha256 for model in models))}
