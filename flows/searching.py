"""A search from what the user names: space, latency, bound, data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.config import read_yaml, with_overrides
from ..core.errors import ArtefactError, ConfigError
from ..core.seeding import torch_generator
from ..devices.device import find_device
from ..latency.models.folder import LoadedModel
from ..latency.table import check_device
from ..search.bound import Bound, limits_of
from ..search.expected_latency import MACS, ExpectedLatency
from ..search.result import SearchResult, read_run
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
    """What `elat search` was asked for; at least one of the three bounds is given."""

    space: str
    device: str | None
    latency: Path | None
    bound_ms: float | None
    bound_quantile: float | None
    bound_macs: float | None
    data: str
    strategy: str
    seed: int
    config: Path | None
    overrides: tuple[str, ...]
    out: Path


@dataclass(frozen=True, eq=False)
class Started:
    """A search about to run: the bounds that were resolved, and the steps to come."""

    model: LoadedModel | None
    bounds: tuple[Bound, ...]
    steps: Iterator[SearchStep | SearchResult]


def run_search(order: SearchOrder) -> Started:
    """Resolve names and bounds, refuse what cannot be met, and return the search to iterate.

    The iterator yields steps and, last, the result; a finished folder yields the result alone.

    Raises:
        ConfigError: No bound is given, or one without its device.
        MissingLatencyError: There is no latency model for the device and space.
        InfeasibleError: No architecture is within the bounds.
    """
    settings = read_settings(order.config, order.overrides)
    space = find_space(order.space)
    costs: list[ExpectedLatency] = []
    bounds: list[Bound] = []
    model = None
    if order.bound_ms is not None or order.bound_quantile is not None:
        model, cost, bound = _latency_bound(order, space)
        costs.append(cost)
        bounds.append(bound)
    if order.bound_macs is not None:
        costs.append(ExpectedLatency.from_macs(space))
        bounds.append(Bound(MACS, order.bound_macs))
    limits_of(costs, bounds)
    data = split_data(open_data(order.data, space), order.seed)
    problem = Problem(space, tuple(costs), tuple(bounds), data, order.seed)
    return Started(model, tuple(bounds), _steps(order, problem, settings, model))


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


def _latency_bound(
    order: SearchOrder, space: SearchSpace
) -> tuple[LoadedModel, ExpectedLatency, Bound]:
    if order.device is None:
        raise ConfigError("A latency bound is about a device; name it with --device.")
    device = find_device(order.device)
    model = find_latency(order.latency, device.id, space)
    check_device(model.condition, device.id)
    cost = ExpectedLatency.from_network_latency(space, device.id, model.network)
    if order.bound_ms is not None and order.bound_quantile is not None:
        raise ConfigError("Give --bound-ms or --bound-quantile, not both.")
    if order.bound_ms is not None:
        return model, cost, Bound(device.id, order.bound_ms)
    return model, cost, Bound(device.id, latency_quantile(cost, order.bound_quantile or 0.0))


def _steps(
    order: SearchOrder,
    problem: Problem,
    settings: Mapping[str, Any],
    model: LoadedModel | None,
) -> Iterator[SearchStep | SearchResult]:
    named = {"name": MACS} if model is None else {"name": model.name, "sha256": model.sha256}
    yield from search(
        problem,
        order.strategy,
        settings,
        folder=order.out,
        origin="counted" if model is None else model.origin,
        model=named,
        threads=THREADS,
    )
    yield read_run(order.out).result
