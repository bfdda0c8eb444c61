"""The range of operators that a model learnt from, and what lies outside of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from ..operators import Operator
from ..operators.serial import kind_of
from .executed import primitives

Limits = tuple[float, float]


@dataclass(frozen=True)
class Excess:
    """A quantity of an operator that is outside what was learnt from.

    Attributes:
        name: An attribute of the operator, or one of its costs; or `kind` where nothing of its
            sort was learnt from, and then there are no limits.
        value: Of the operator; multiply-adds, parameters and moved elements as numbers of them.
        low, high: The least and the greatest that was learnt from, among operators of its sort.
    """

    name: str
    value: float | str
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if isinstance(self.value, str) or self.low is None or self.high is None:
            return f"no {self.value} was learnt from"
        value, low, high = (f"{number:,}" for number in (self.value, self.low, self.high))
        return f"{self.name} {value} (learnt: {low} to {high})"


@dataclass(frozen=True)
class Domain:
    """For every sort of operator, the limits of its attributes and costs.

    A sort is a kind together with the loop that does most of its work: dense, pointwise, depthwise
    and grouped convolutions are sorts of their own, as what is true of one is not of the next.
    Only single quantities are looked at: an operator of a combination that was never seen may lie
    inside.
    """

    limits: Mapping[str, Mapping[str, Limits]]

    @classmethod
    def of(cls, operators: Iterable[Operator]) -> Domain:
        """The range that `operators` span; free ones have none."""
        values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for operator in operators:
            if not operator.is_free:
                for name, value in _quantities(operator).items():
                    values[_sort(operator)][name].append(value)
        return cls(
            {
                sort: {name: (min(found), max(found)) for name, found in quantities.items()}
                for sort, quantities in values.items()
            }
        )

    def beyond(self, operator: Operator) -> tuple[Excess, ...]:
        """What of `operator` is outside; nothing of a free one, which costs 0 by definition."""
        if operator.is_free:
            return ()
        sort = _sort(operator)
        if sort not in self.limits:
            return (Excess("kind", sort),)
        limits = self.limits[sort]
        return tuple(
            Excess(name, value, *limits[name])
            for name, value in _quantities(operator).items()
            if name in limits and not limits[name][0] <= value <= limits[name][1]
        )


def _sort(operator: Operator) -> str:
    parts = primitives(operator)
    longest = max(parts, key=lambda part: (part.macs, part.moved))
    kind = kind_of(operator)
    return kind if longest.kind == kind or not longest.macs else f"{longest.kind} {kind}"


def _quantities(operator: Operator) -> dict[str, float]:
    """Numeric attributes that are set, and costs."""
    found: dict[str, float] = {}
    for attribute in fields(operator):
        value = getattr(operator, attribute.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[attribute.name] = value
    costs: dict[str, float] = {
        "multiply-adds": operator.macs,
        "parameters": operator.params,
        "moved elements": operator.traffic_elements,
    }
    return found | costs
