"""A batch of operators that together tell most about networks, for the time that they take.

Greedy: each step takes the operator whose measurement lessens the expected squared error of a
random network's latency most per second, given those taken before (an I-optimal design, built
sequentially; Seo et al. 2000, "Gaussian process regression: active data selection and test point
rejection", which follows Cohn). Operators share what is measured for them, as hosts do, so that
the price of the next depends on those taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from .beliefs import Beliefs, noise_variance

Vector = NDArray[np.float64]
_LEAST_S = 1e-3


@dataclass(frozen=True)
class Selection:
    """Operators to measure, in the order of their worth, and about how long that takes."""

    operators: tuple[Operator, ...]
    seconds: float


def choose(
    beliefs: Beliefs,
    importance: Vector,
    candidates: Collection[Operator],
    seconds_of: Callable[[Collection[Operator]], float],
    *,
    seconds: float,
    most: int,
    seen: Iterable[Operator] = (),
) -> Selection:
    """The operators to measure next.

    What no operator of has been seen (a kind, an activation) comes first: a model refuses to
    answer for it.

    Args:
        beliefs: Given what is measured.
        importance: Of `beliefs` for the networks that matter.
        candidates: Operators that may be taken.
        seconds_of: How long measuring some operators takes that are not measured yet, together.
        seconds: To be used at most.
        most: Operators at most.
        seen: Operators that were measured before.
    """
    place = {operator: index for index, operator in enumerate(beliefs.operators)}
    left = [operator for operator in candidates if operator in place]
    covariance = beliefs.covariance.copy()
    traits = {trait for operator in seen for trait in traits_of(operator)}
    taken: list[Operator] = []
    spent = 0.0
    while left and len(taken) < most:
        prices = {o: max(seconds_of([*taken, o]) - spent, _LEAST_S) for o in left}
        fitting = [o for o in left if spent + prices[o] <= seconds]
        if not fitting:
            break
        gains = _gains(covariance, importance, [place[o] for o in fitting])
        fresh = [len(traits_of(o) - traits) for o in fitting]
        worth = [
            (new, gain / prices[o]) for o, new, gain in zip(fitting, fresh, gains, strict=True)
        ]
        best = fitting[max(range(len(fitting)), key=worth.__getitem__)]
        spent = seconds_of([*taken, best])
        taken.append(best)
        left.remove(best)
        traits |= traits_of(best)
        column = covariance[:, place[best]]
        covariance = covariance - np.outer(column, column) / (
            column[place[best]] + noise_variance()
        )
    return Selection(tuple(taken), spent)


def _gains(covariance: Vector, importance: Vector, chosen: list[int]) -> list[float]:
    """By how much measuring each of `chosen` alone lessens the expected squared error."""
    columns = covariance[:, chosen]
    lessened = np.einsum("ij,ij->j", columns, importance @ columns)
    variances = np.diag(covariance)[chosen] + noise_variance()
    return list((lessened / variances).tolist())


def traits_of(operator: Operator) -> frozenset[Hashable]:
    """What models know of an operator by having seen it only: its kind, and its choices."""
    values = ((field.name, getattr(operator, field.name)) for field in fields(operator))
    choices = ((type(operator), name, v) for name, v in values if isinstance(v, bool | str))
    return frozenset({type(operator), *choices})
