"""How often networks hold operators, as a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .operators import Operator


def busy_operators(networks: Iterable[Iterable[Operator]]) -> tuple[Operator, ...]:
    """Every operator of `networks` that is not free, each once, in order."""
    return tuple(dict.fromkeys(o for network in networks for o in network if not o.is_free))


def operator_counts(
    networks: Sequence[Iterable[Operator]], operators: Sequence[Operator]
) -> NDArray[np.float64]:
    """How often each of `networks` holds each of `operators`, `(networks, operators)`.

    Args:
        networks: The operators of each; free ones are skipped.
        operators: All of theirs that are not free; others may be among them.
    """
    place = {operator: index for index, operator in enumerate(operators)}
    counts = np.zeros((len(networks), len(operators)))
    for row, network in zip(counts, networks, strict=True):
        np.add.at(row, [place[o] for o in network if not o.is_free], 1.0)
    return counts
