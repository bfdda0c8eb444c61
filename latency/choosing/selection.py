"""A batch of operators that together tell most about networks, for the time that they take.

Greedy: each step takes the operator whose measurement lessens the expected squared error of a
random network's latency most per second, given those taken before (an I-optimal design, built
sequentially; Seo et al. 2000, "Gaussian process regression: active data selection and test point
rejection", which follows Cohn). An operator that is measured may be offered again: what more
launches of it tell is one more observation. Operators share what is measured for them, as hosts
do, so that the price of the next depends on those taken.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from .beliefs import Beliefs

Vector = NDArray[np.float64]
_LEAST_S = 1e-3


@dataclass(frozen=True)
class Offer:
    """One operator that may be measured now.

    Attributes:
        variance: Of the logarithm of what that finds (`noise_variance`, `repeat_variance`).
        work: Seconds of each piece of it; pieces of the same name are done once.
    """

    operator: Operator
    variance: float
    work: Mapping[Hashable, float]


@dataclass(frozen=True)
class Selection:
    """What to measure, in the order of its worth, and about how long that takes."""

    offers: tuple[Offer, ...]
    seconds: float

    @property
    def operators(self) -> tuple[Operator, ...]:
        return tuple(offer.operator for offer in self.offers)


def choose(
    beliefs: Beliefs,
    importance: Vector,
    offers: Collection[Offer],
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
        offers: What may be taken, each operator once; of other operators is passed over.
        seconds: To be used at most.
        most: Operators at most.
        seen: Operators that were measured before.
    """
    place = {operator: index for index, operator in enumerate(beliefs.operators)}
    left = [offer for offer in offers if offer.operator in place]
    covariance = beliefs.covariance.copy()
    traits = {trait for operator in seen for trait in traits_of(operator)}
    done: set[Hashable] = set()
    taken: list[Offer] = []
    spent = 0.0
    while left and len(taken) < most:
        prices = [_price_s(offer, done) for offer in left]
        fitting = [i for i, price in enumerate(prices) if spent + price <= seconds]
        if not fitting:
            break
        variances = np.array([left[i].variance for i in fitting])
        indices = [place[left[i].operator] for i in fitting]
        gains = _gains(covariance, importance, indices, variances)
        fresh = [len(traits_of(left[i].operator) - traits) for i in fitting]
        worth = [
            (new, gain / max(prices[i], _LEAST_S))
            for i, new, gain in zip(fitting, fresh, gains, strict=True)
        ]
        best = fitting[max(range(len(fitting)), key=worth.__getitem__)]
        spent += prices[best]
        offer = left.pop(best)
        taken.append(offer)
        done |= offer.work.keys()
        traits |= traits_of(offer.operator)
        index = place[offer.operator]
        column = covariance[:, index]
        covariance = covariance - np.outer(column, column) / (column[index] + offer.variance)
    return Selection(tuple(taken), spent)


def _price_s(offer: Offer, done: Collection[Hashable]) -> float:
    return sum(seconds for piece, seconds in offer.work.items() if piece not in done)


def _gains(
    covariance: Vector, importance: Vector, chosen: list[int], variances: Vector
) -> list[float]:
    """By how much measuring each of `chosen` alone lessens the expected squared error."""
    columns = covariance[:, chosen]
    lessened = np.einsum("ij,ij->j", columns, importance @ columns)
    return list((lessened / (np.diag(covariance)[chosen] + variances)).tolist())


def traits_of(operator: Operator) -> frozenset[Hashable]:
    """What models know of an operator by having seen it only: its kind, and its choices."""
    values = ((field.name, getattr(operator, field.name)) for field in fields(operator))
    choices = ((type(operator), name, v) for name, v in values if isinstance(v, bool | str))
    return frozenset({type(operator), *choices})
