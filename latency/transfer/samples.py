"""Which operators to measure on a new device, when others are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.seeding import numpy_generator
from ..models.features import FeatureSpace
from ..operators import Operator
from .model import Source

Vector = NDArray[np.float64]
_DISAGREEMENT = 2.0


def diverse_samples(
    operators: Sequence[Operator], sources: Sequence[Source], count: int, seed: int
) -> tuple[Operator, ...]:
    """`count` of `operators` that stand for all; a longer list begins with a shorter one.

    Greedy: always the operator that brings all others nearest to one of those taken (facility
    location; Nemhauser, Wolsey and Fisher 1978 bound what greed loses). Distance is in
    standardised features and in where the sources disagree, so that what devices differ by is
    sampled.

    Args:
        operators: To choose from; free ones are left out.
        sources: Known devices.
        count: How many; all where there are fewer.
        seed: Decides between operators that are worth the same.

    Raises:
        MissingOperatorError: A source cannot answer for one of the operators.
    """
    busy = [o for o in dict.fromkeys(operators) if not o.is_free]
    if count >= len(busy):
        return tuple(busy)
    places = _places(busy, sources)
    order = numpy_generator(seed, "samples").permutation(len(busy))
    shuffled = places[order]
    apart = np.linalg.norm(shuffled[:, None, :] - shuffled[None, :, :], axis=2)
    nearest = np.full(len(busy), apart.max() + 1.0)
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(np.argmin(np.minimum(apart, nearest[:, None]).sum(axis=0)))
        chosen.append(best)
        nearest = np.minimum(nearest, apart[:, best])
        apart[:, best] = apart.max()
    return tuple(busy[order[index]] for index in chosen)


def _places(operators: list[Operator], sources: Sequence[Source]) -> Vector:
    table = max((source.table for source in sources), key=len)
    features = FeatureSpace.of(table).matrix(operators)
    varied = features[:, np.ptp(features, axis=0) > 0]
    z = (varied - varied.mean(axis=0)) / varied.std(axis=0)
    logs = np.stack([np.log(s.model.predict(operators).latency_ms) for s in sources], axis=1)
    apart = logs - logs.mean(axis=1, keepdims=True)
    spread = apart.std(axis=0)
    differ = (apart - apart.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.hstack([z / np.sqrt(max(1, z.shape[1])), _DISAGREEMENT * differ / len(sources)])
