"""Tables as the linter sees them: rows with names and values, whoever made them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import isfinite, prod

import numpy as np
from numpy.typing import NDArray

from ..imports.base import Fact, Quantity
from ..measurement import IMPORTED
from ..operators import Operator
from ..operators.mbconv import MBConv
from ..operators.serial import kind_of
from ..table import LatencyTable

_ROUNDING = 1e-9
_NO_FACTS: Mapping[str, Fact] = {}


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One value of a table; two rows are never equal.

    Attributes:
        value: In milliseconds, or cycles; whatever number the file holds.
        count: Runs or launches behind it, None where the file does not say.
        std: Their standard deviation in the unit of `value`, None where the file does not say.
        operators: What the row stands for, one operator or several that run together; empty where
            the name is of no known grammar.
        attributes: What decides the work: `kind` and numbers such as `kernel` and `in_channels`.
        choices: Of a row that is a whole network, the operator chosen at each place.
        facts: What the file says of the condition of this row alone.
    """

    name: str
    value: float
    count: int | None = None
    std: float | None = None
    operators: tuple[Operator, ...] = ()
    attributes: Mapping[str, Fact] = field(default_factory=lambda: _NO_FACTS)
    choices: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=lambda: _NO_FACTS)

    @property
    def spread(self) -> float:
        """Deviation as a share of the value; 0 where there is none but that of rounding."""
        if self.std is None or not abs(self.value) > 0:
            return 0.0
        share = self.std / abs(self.value)
        return share if share > _ROUNDING else 0.0

    @property
    def has_work(self) -> bool:
        """Whether anything but its name says what the row is of."""
        return bool(self.operators or self.attributes or self.choices)

    @property
    def macs(self) -> float | None:
        """Multiply-adds of one run; from the attributes to a small factor, None if neither tell.

        Without an operator it is the product of window, channels and output pixels, which is
        proportional to the work of rows of one kind.
        """
        if self.operators:
            return float(sum(operator.macs for operator in self.operators))
        a = self.attributes
        wanted = ("in_channels", "out_channels", "pixels")
        if not all(isinstance(a.get(name), int) for name in wanted):
            return None
        kernel, stride = _number(a.get("kernel"), 3.0), _number(a.get("stride"), 1.0)
        return (kernel / stride) ** 2 * prod(_number(a[name], 0.0) for name in wanted)

    @property
    def traffic(self) -> float | None:
        """Tensor elements read and written, None where no operator is known."""
        if not self.operators:
            return None
        return float(sum(operator.traffic_elements for operator in self.operators))


@dataclass(frozen=True)
class View:
    """One table.

    Attributes:
        title: Which table of the file, where it holds several.
        rows: In the file's order.
        origin: `measured`, `imported` or `simulated`.
        quantity: What the values are.
        facts: What the file says of the condition of all rows.
        is_own: Whether the file is a latency table of this project.
    """

    title: str
    rows: tuple[Row, ...]
    origin: str = IMPORTED
    quantity: Quantity = Quantity.LATENCY_MS
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    is_own: bool = False

    @classmethod
    def of(cls, table: LatencyTable) -> View:
        """The rows of `table`."""
        rows = [row_of(o, e.mean_ms, e.count, e.std_ms) for o, e in table.entries.items()]
        c = table.condition
        facts: dict[str, Fact] = {
            "device": c.device,
            "runtime": c.runtime,
            "precision": c.precision.value,
            "batch": c.batch,
            "threads": c.threads,
        }
        return cls("", tuple(rows), table.origin, facts=facts, is_own=True)

    def without(self, rows: Collection[Row]) -> View:
        """The view of the other rows."""
        if not rows:
            return self
        return replace(self, rows=tuple(row for row in self.rows if row not in rows))

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Of every row, `(rows,)`."""
        return np.array([row.value for row in self.rows], np.float64)

    @cached_property
    def step(self) -> float:
        """Step of the values: the first of 1, 0.1, ..., 10^-12 that all are multiples of, or 0.

        It is 0 where none divides them, and where the first that does would give a value ten
        digits or more: as far as can be told, such values have the step of their float format.
        """
        values = self.values[np.isfinite(self.values)]
        for digits in range(13):
            scaled = values * 10.0**digits
            if np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1, np.abs(scaled))):
                # Past 9 digits the tolerance, not the numbers, is what makes them whole.
                return 10.0**-digits if np.abs(scaled).max(initial=0.0) < 1e9 else 0.0
        return 0.0

    @property
    def is_exact(self) -> bool:
        """Whether the values are a simulation without noise, so that equal costs are equal."""
        return self.origin == "simulated" and not any(row.spread for row in self.rows)

    @property
    def batch(self) -> int:
        """Images a run, 1 where the file does not say."""
        batch = self.facts.get("batch", 1)
        return batch if isinstance(batch, int) else 1


def row_of(
    operator: Operator, value: float, count: int | None = None, std: float | None = None
) -> Row:
    """The row of one operator, named as the operator names itself."""
    return Row(str(operator), value, count, std, (operator,), operator_attributes(operator))


def operator_attributes(operator: Operator) -> dict[str, Fact]:
    """The fields of `operator` as plain values, `kind` among them.

    The expansion of an MBConv is the ratio of its widths, whether or not that is a whole number;
    whether it adds its input is one attribute more, as blocks with and without are no one series.
    """
    found: dict[str, Fact] = {"kind": kind_of(operator)}
    for each in fields(operator):
        value = getattr(operator, each.name)
        if value is not None:
            found[each.name] = value if isinstance(value, str | int | float) else str(value)
    if isinstance(operator, MBConv):
        found.pop("mid_channels", None)
        found["expand"] = round(operator.hidden_channels / operator.in_channels, 3)
        found["skip"] = operator.has_skip
    return found


def _number(value: Fact | None, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def usable(rows: Iterable[Row]) -> list[Row]:
    """The rows whose value is a finite number above 0."""
    return [row for row in rows if isfinite(row.value) and row.value > 0]
