"""Upper bounds on what an architecture may cost, refused before the search if unreachable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import ConfigError, InfeasibleError
from .expected_latency import ExpectedLatency
from .result import Limit, unit_of


@dataclass(frozen=True)
class Bound:
    """At most `limit` ms on the device `name`, or of what `macs`, `params` or `links` counts.

    Attributes:
        limit: Of what the model predicts.
        held: What the device itself shall keep, where that is more: predictions err, and `limit`
            is so far below that whatever is picked keeps `held` with probability `level`
            (`picked_bound.py`).
    """

    name: str
    limit: float
    held: float | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.limit) or self.limit <= 0:
            raise ConfigError(
                f"The bound on {self.name} is {self.limit}; it must be a number above 0."
            )

    @property
    def unit(self) -> str:
        """`"ms"`, `"MACs"`, `"parameters"` or `"links"`."""
        return unit_of(self.name)

    def allows(self, cost: float) -> bool:
        """Whether `cost` is within the bound; equal is within."""
        return cost <= self.limit


def limits_of(costs: Sequence[ExpectedLatency], bounds: Sequence[Bound]) -> tuple[Limit, ...]:
    """Each bound with the fastest and slowest cost of the space.

    Args:
        costs: One for each bound, of the same name and in the same order, all of one space.
        bounds: At least one.

    Raises:
        ConfigError: There is no bound, one occurs twice, or costs and bounds do not correspond.
        InfeasibleError: No architecture is within a bound; the message names the fastest one.
    """
    if not bounds:
        raise ConfigError("A search needs a bound: give --bound-ms, or a bound on MACs.")
    names = [bound.name for bound in bounds]
    if names != [cost.name for cost in costs] or len(set(names)) != len(names):
        raise ConfigError(
            f"The bounds are on {', '.join(names)}, "
            f"the costs of {', '.join(cost.name for cost in costs)}; give one cost a bound."
        )
    return tuple(_limit(cost, bound) for cost, bound in zip(costs, bounds, strict=True))


def _limit(cost: ExpectedLatency, bound: Bound) -> Limit:
    fastest = cost.fastest()
    least, most = cost.of(fastest), cost.of(cost.slowest())
    if not bound.allows(least) and bound.held is not None:
        raise InfeasibleError(
            f"No architecture of {cost.space.name} is sure enough to stay within "
            f"{_amount(bound.held, bound)} on {bound.name}: at level {bound.level:g} at most "
            f"{_amount(bound.limit, bound)} may be predicted, and the fastest takes "
            f"{_amount(least, bound)} ({cost.space.text(fastest)}). Ask for at least "
            f"{_rounded_up(least * bound.held / bound.limit)} {bound.unit}, or a lower level."
        )
    if not bound.allows(least):
        raise InfeasibleError(
            f"No architecture of {cost.space.name} stays within {_amount(bound.limit, bound)} "
            f"on {bound.name}: the fastest takes {_amount(least, bound)} "
            f"({cost.space.text(fastest)}). Ask for at least {_rounded_up(least)} {bound.unit}."
        )
    return Limit(bound.name, bound.limit, least, most, bound.held, bound.level)


def _amount(value: float, bound: Bound) -> str:
    return f"{value:.4g} ms" if bound.unit == "ms" else f"{value:,.0f} {bound.unit}"


def _rounded_up(value: float) -> str:
    """Four significant digits, never below `value`."""
    digits = 3 - math.floor(math.log10(value))
    text = f"{math.ceil(value * 10**digits) / 10**digits:.4g}"
    return text if float(text) >= value else repr(value)
