"""Operators as numbers that models learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from math import log1p, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError, MissingLatencyError, MissingOperatorError
from ..condition import Condition
from ..operators import Operator
from ..operators.checks import is_silent
from ..operators.serial import kind_of
from ..table import LatencyTable

Matrix = NDArray[np.float64]

MIN_OPERATORS = 8
_LEAST_SPREAD = 1e-9
COST_NAMES = (
    "macs",
    "params",
    "traffic_bytes",
    "intensity",
    "input",
    "output",
    "channels",
    "side",
)


@dataclass(frozen=True)
class FeatureSpace:
    """The columns that a table's operators span.

    Every operator has its kind (one column each) and its costs: multiply-adds, parameters, memory
    traffic, arithmetic intensity (multiply-adds a byte), elements of input and output, channels
    and resolution of the input. To these come its own attributes: numbers by their logarithm,
    choices (activation, squeeze-and-excitation) one column a value. What an operator lacks is 0.

    Attributes:
        kinds: Operator classes seen, in a stable order.
        numbers: Names of numeric attributes of any of them.
        choices: Values seen of each other attribute of each kind.
        element_bytes: Bytes of one tensor element at the table's precision.
    """

    condition: Condition
    kinds: tuple[type[Operator], ...]
    numbers: tuple[str, ...]
    choices: tuple[tuple[type[Operator], str, tuple[object, ...]], ...]
    element_bytes: int

    @classmethod
    def of(cls, table: LatencyTable) -> FeatureSpace:
        """The columns that the operators of `table` span.

        Raises:
            ConfigError: The table has too few operators to learn from.
        """
        if len(table) < MIN_OPERATORS:
            raise ConfigError(
                f"A table of {len(table)} operators is too small to learn from (at least "
                f"{MIN_OPERATORS} are needed); measure more with: elat measure --device "
                f"{table.condition.device} --space SPACE, or use --model lookup."
            )
        seen: dict[type[Operator], None] = dict.fromkeys(map(type, table))
        numbers: dict[str, None] = {}
        values: dict[tuple[type[Operator], str], dict[object, None]] = {}
        for operator in table:
            for field in fields(operator):
                value = getattr(operator, field.name)
                if isinstance(value, bool | str):
                    values.setdefault((type(operator), field.name), {})[value] = None
                elif isinstance(value, int | float):
                    numbers[field.name] = None
        choices = tuple(
            (kind, name, tuple(sorted(found, key=str))) for (kind, name), found in values.items()
        )
        bytes_each = table.condition.precision.element_bytes
        return cls(table.condition, tuple(seen), tuple(numbers), choices, bytes_each)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.kinds) + len(COST_NAMES) + len(self.numbers) + len(self._choice_columns)

    @property
    def _choice_columns(self) -> list[tuple[type[Operator], str, object]]:
        """One a value; none for a later field that every operator has at its default."""
        return [
            (kind, name, value)
            for kind, name, found in self.choices
            for value in found
            if len(found) > 1 or not is_silent(_field(kind, name), value)
        ]

    def kind_indices(self, operators: Sequence[Operator]) -> NDArray[np.intp]:
        """Position in `kinds` of the class of each of `operators`.

        Raises:
            MissingOperatorError: One of them is of a kind that was not seen.
        """
        positions = {kind: index for index, kind in enumerate(self.kinds)}
        for operator in operators:
            if type(operator) not in positions:
                known = ", ".join(sorted(_name(kind) for kind in self.kinds))
                raise self._unknown(operator, f"no {kind_of(operator)}, only: {known}")
        return np.array([positions[type(o)] for o in operators], dtype=np.intp)

    def matrix(self, operators: Sequence[Operator]) -> Matrix:
        """Features of `operators`, none of them free, `(operators, width)`.

        Raises:
            MissingOperatorError: One is of a kind, or has a choice, that was not seen.
        """
        rows = np.zeros((len(operators), self.width))
        first_number = len(self.kinds) + len(COST_NAMES)
        first_choice = first_number + len(self.numbers)
        rows[np.arange(len(operators)), self.kind_indices(operators)] = 1.0
        for row, operator in zip(rows, operators, strict=True):
            row[len(self.kinds) : first_number] = self._costs(operator)
            row[first_number:first_choice] = [
                _log(getattr(operator, name, 0)) for name in self.numbers
            ]
            row[first_choice:] = self._chosen(operator)
        return rows

    def answers_for(self, operator: Operator) -> bool:
        """Whether the kind and every choice of `operator` were seen."""
        return type(operator) in self.kinds and all(
            getattr(operator, name) in found
            for kind, name, found in self.choices
            if kind is type(operator)
        )

    def _costs(self, operator: Operator) -> list[float]:
        traffic = operator.traffic_elements * self.element_bytes
        shape = operator.input_shapes[0]
        costs = (
            operator.macs,
            operator.params,
            traffic,
            operator.macs / max(1, traffic),
            sum(map(prod, operator.input_shapes)),
            prod(operator.output_shape),
            shape[0],
            shape[-1] if len(shape) > 1 else 1,
        )
        return [_log(cost) for cost in costs]

    def _chosen(self, operator: Operator) -> list[float]:
        for kind, name, found in self.choices:
            if kind is type(operator) and getattr(operator, name) not in found:
                known = ", ".join(map(str, found))
                raise self._unknown(operator, f"{_name(kind)} only with {name} {known}")
        return [
            float(kind is type(operator) and getattr(operator, name) == value)
            for kind, name, value in self._choice_columns
        ]

    def _unknown(self, operator: Operator, known: str) -> MissingOperatorError:
        device = self.condition.device
        return MissingOperatorError(
            f"The latency model for {self.condition} cannot answer for {operator}: it has seen "
            f"{known}. Measure such operators with: elat measure --device {device} --space SPACE, "
            f"then fit again with: elat fit --device {device} --space SPACE."
        )


def log_targets(table: LatencyTable) -> Matrix:
    """Logarithm of each latency of `table`: equal errors of it are equal relative errors."""
    return np.log([entry.mean_ms for entry in table.entries.values()])


def answer(
    operators: Sequence[Operator],
    predict_log: Callable[[list[Operator]], tuple[Matrix, Matrix]],
) -> tuple[Matrix, Matrix]:
    """Latency and deviation in ms of `operators` by a model of the logarithm; 0 for free ones.

    Args:
        operators: Any operators, free ones among them.
        predict_log: Logarithm of the latency in ms and its standard deviation, which is the
            relative deviation of the latency to first order.

    Raises:
        MissingLatencyError: The model overflows: the operator is far outside what was measured.
    """
    latency, std = np.zeros(len(operators)), np.zeros(len(operators))
    asked = [index for index, operator in enumerate(operators) if not operator.is_free]
    if asked:
        logs, spread = predict_log([operators[index] for index in asked])
        too_far = ~(np.abs(logs) < 30)
        if too_far.any():
            operator = operators[asked[int(np.argmax(too_far))]]
            raise MissingLatencyError(
                f"{operator} is too far from every measured operator to predict; measure it with: "
                "elat measure --device DEVICE --space SPACE."
            )
        latency[asked] = np.exp(logs)
        std[asked] = latency[asked] * spread
    return latency, std


def spread_by_kind(
    residuals: Matrix, kinds: NDArray[np.intp], count: int, minimum: int = 5
) -> Matrix:
    """Root mean square of `residuals` for each of `count` kinds, `(count,)`.

    A kind with fewer than `minimum` residuals gets the larger of its own and that of all together.
    All are above 0, also where there are no errors.
    """
    overall = max(float(np.sqrt(np.mean(residuals**2))), _LEAST_SPREAD)
    spread = np.full(count, overall)
    for kind in range(count):
        own = residuals[kinds == kind]
        if len(own):
            rms = float(np.sqrt(np.mean(own**2)))
            spread[kind] = max(rms, _LEAST_SPREAD if len(own) >= minimum else overall)
    return spread


def _log(value: object) -> float:
    """log(1 + value) of a number, 0 of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return log1p(value)


def _field(kind: type[Operator], name: str) -> Field[Any]:
    return next(field for field in fields(kind) if field.name == name)


def _name(kind: type[Operator]) -> str:
    from ..operators import operators

    return next((name for name, cls in operators.items() if cls is kind), kind.__name__)
