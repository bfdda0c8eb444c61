"""A file of latency limits, and whether what was measured keeps them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..core.config import Settings, parse, read_yaml
from ..core.errors import ConfigError
from ..latency.budget import Held, Limit, Line, check_limits
from ..latency.condition import Condition, Method
from ..latency.measure import Progress
from ..latency.methods import METHODS
from ..latency.methods.recipe import RecipeMethod
from ..latency.operators import Operator
from ..latency.operators.serial import from_json
from ..latency.runtimes import runtimes
from ..latency.sums import LEVEL
from ..search.architecture import Architecture
from ..search.spaces import SearchSpace
from .measuring import Campaign, measure_cases
from .zoo import NetworkOrder, find_config

_SELECTORS = ("operator", "network", "choices", "sum")


class _Entry(Settings):
    """One limit; exactly one of `operator`, `network`, `choices` and `sum` says of what."""

    limit_ms: float = Field(gt=0, allow_inf_nan=False)
    margin: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    name: str | None = Field(default=None, min_length=1)
    operator: dict[str, Any] | None = None
    network: str | None = None
    choices: tuple[int, ...] | None = None
    sum: Literal["table"] | None = None


class _Budget(Settings):
    schema_: Literal[1] = Field(alias="schema")
    level: float = Field(default=LEVEL, gt=0, lt=1)
    entries: tuple[_Entry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Budget:
    """Limits of a file, resolved to the models that are measured for them."""

    limits: tuple[Limit, ...]
    level: float

    @property
    def cases(self) -> tuple[Operator, ...]:
        """The distinct models to measure."""
        return tuple(dict.fromkeys(model for limit in self.limits for model, _ in limit.terms))


@dataclass(frozen=True)
class BudgetReport:
    """Whether each limit holds, under which condition."""

    lines: tuple[Line, ...]
    condition: Condition
    origin: str

    def count(self, held: Held) -> int:
        """How many lines are `held`."""
        return sum(line.held is held for line in self.lines)


def read_budget(path: Path, method: Method, space: SearchSpace | None) -> Budget:
    """The budget in the YAML file at `path`.

    Args:
        path: Where it is.
        method: How the device times single operators.
        space: Whose networks `choices`, and whose table `sum` are about.

    Raises:
        ArtefactError: It is not readable, or an operator in it is not.
        ConfigError: A key is unknown or out of range, two entries have one name, or an entry
            cannot be resolved.
    """
    read = parse(_Budget, read_yaml(path), str(path))
    limits = tuple(
        _limit(entry, number, method, space) for number, entry in enumerate(read.entries, start=1)
    )
    names = [limit.name for limit in limits]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{path} has {repeated[0]!r} twice; give each entry a name of its own.")
    return Budget(limits, read.level)


def measure_budget(campaign: Campaign, budget: Budget) -> Iterator[Progress]:
    """Measure what the limits are about and the store does not know yet."""
    yield from measure_cases(campaign, budget.cases)


def check_budget(campaign: Campaign, budget: Budget) -> BudgetReport:
    """The limits against what the campaign's store holds."""
    condition = campaign.condition.of_models
    origin = runtimes[condition.runtime].origin
    found = campaign.store.measurements(condition, budget.cases)
    measured = {m.operator: m for m in found if m.origin == origin}
    lines = tuple(check_limits(budget.limits, measured, budget.level))
    return BudgetReport(lines, condition, origin)


def _limit(entry: _Entry, number: int, method: Method, space: SearchSpace | None) -> Limit:
    given = [name for name in _SELECTORS if getattr(entry, name) is not None]
    if len(given) != 1:
        raise ConfigError(
            f"Entry {number} of the budget needs exactly one of {', '.join(_SELECTORS)}; found "
            f"{' and '.join(given) or 'none'}."
        )
    name, terms = _resolved(entry, number, method, space)
    return Limit(entry.name or name, terms, entry.limit_ms, entry.margin)


_Terms = tuple[tuple[Operator, float], ...]


def _resolved(
    entry: _Entry, number: int, method: Method, space: SearchSpace | None
) -> tuple[str, _Terms]:
    """What an entry is called where it has no name, and the models it is about."""
    if entry.network is not None:
        return entry.network, ((find_config(NetworkOrder(entry.network))[0], 1.0),)
    if entry.operator is not None:
        operator = from_json(entry.operator)
        return str(operator), _summed([operator], method)
    if space is None:
        raise ConfigError(
            f"Entry {number} of the budget is about a space; say which one with --space."
        )
    if entry.choices is not None:
        architecture = Architecture(space.name, entry.choices)
        space.check(architecture)
        return f"{space.name} {list(entry.choices)}", ((space.network(architecture), 1.0),)
    return f"all operators of {space.name}", _summed(space.all_operators(), method)


def _summed(operators: Iterable[Operator], method: Method) -> _Terms:
    """The sum of the latencies of `operators` as one weighted sum of measured models.

    A model that several operators share enters once, so that its error is not taken for several.
    """
    recipes = METHODS[method]
    if not isinstance(recipes, RecipeMethod):
        raise ConfigError(
            f"With method {method} an operator is no sum of measured models, which has an "
            "interval; set limits on networks, or measure by block, isolated, slope or in_situ."
        )
    weights: defaultdict[Operator, float] = defaultdict(float)
    for operator in operators:
        if not operator.is_free:
            for model, weight in recipes.recipe(operator).terms:
                weights[model] += weight
    return tuple((model, weight) for model, weight in weights.items() if weight)
