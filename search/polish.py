"""Swaps of one or two choices around an architecture, the most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .bound import Bound
from .expected_latency import ExpectedLatency

T = TypeVar("T")

# Pairs are made of so many swaps that score most, and as many that save most.
_PAIRED = 64


def climb(
    best: T,
    around: Callable[[T], Iterator[Architecture]],
    evaluate: Callable[[Architecture], T],
    order: Callable[[T], Any],
    budget: int,
) -> Iterator[T]:
    """Yields evaluations of neighbours of the best so far, until `budget` of them or none is left.

    Args:
        best: The evaluation to begin at.
        around: Neighbours of an evaluated architecture that have not been evaluated, the most
            promising first; asked again whenever a better one is found.
        evaluate: Costs one of the budget.
        order: Less is better.
        budget: At least 0.
    """
    neighbours = around(best)
    for _ in range(budget):
        architecture = next(neighbours, None)
        if architecture is None:
            return
        found = evaluate(architecture)
        yield found
        if order(found) < order(best):
            best = found
            neighbours = around(best)


def swaps(
    start: Architecture,
    scores: NDArray[np.float64],
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    known: Iterable[Architecture] = (),
) -> Iterator[Architecture]:
    """Yields architectures within every bound that differ from `start` in one choice or in two.

    The order is that of the sum of scores, the greatest first: a surrogate decides what is worth
    an evaluation, and the evaluation what is better. Pairs let one choice pay for another; of
    links they move one of them.

    Args:
        start: Within every bound or not.
        scores: `choices options`; what stands in the padding does not count.
        costs: One for each bound, in the same order, all of one space.
        bounds: At least one.
        known: Left out.
    """
    seen = {start, *known}
    space = costs[0].space
    at = np.array(start.choices)
    mask = costs[0].mask.numpy()
    mask = mask & (np.arange(mask.shape[1]) != at[:, None])
    gain = scores - scores[np.arange(len(at)), at][:, None]
    block, choice = np.nonzero(mask)
    gains = gain[mask]
    extras = np.stack([_extra(c, start, block, choice) for c in costs])
    rooms = np.array([b.limit - c.of(start) for c, b in zip(costs, bounds, strict=True)])
    # Rounding may let too much in here; what is yielded is decided exactly.
    rooms += 1e-9 * np.array([b.limit for b in bounds])
    fitting = np.flatnonzero((extras <= rooms[:, None]).all(axis=0))
    ones = [(gains[i], (int(i),)) for i in fitting]
    pairs = _pairs(block, gains, extras, rooms, adds_up=space.is_additive)
    for _, moves in sorted(chain(ones, pairs), key=lambda item: (-item[0], item[1])):
        choices = list(start.choices)
        for move in moves:
            choices[block[move]] = int(choice[move])
        found = Architecture(start.space, tuple(choices))
        if found in seen or space.fault(choices):
            continue
        if all(b.allows(c.of_choices(choices)) for c, b in zip(costs, bounds, strict=True)):
            seen.add(found)
            yield found


def _extra(
    cost: ExpectedLatency,
    start: Architecture,
    block: NDArray[np.int64],
    choice: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What each swap of one choice adds to the cost of `start`."""
    if cost.space.is_additive:
        values = cost.cost.numpy()
        return np.asarray(values[block, choice] - values[block, np.array(start.choices)[block]])
    known, choices, extras = cost.of_choices(start.choices), list(start.choices), []
    for place, option in zip(block.tolist(), choice.tolist(), strict=True):
        choices[place] = option
        extras.append(cost.of_choices(choices) - known)
        choices[place] = start.choices[place]
    return np.array(extras)


def _pairs(
    block: NDArray[np.int64],
    gains: NDArray[np.float64],
    extras: NDArray[np.float64],
    rooms: NDArray[np.float64],
    *,
    adds_up: bool,
) -> Iterator[tuple[np.float64, tuple[int, ...]]]:
    """Pairs of swaps of different choices that may fit: the sum of gains, and the swaps.

    Where costs do not add up over choices (`adds_up`) none is left out: two links of one layer
    may cost nothing together.
    """
    promising = np.argsort(-gains, kind="stable")[:_PAIRED]
    saving = np.argsort((extras / np.abs(rooms).clip(1e-300)[:, None]).sum(axis=0), kind="stable")
    moves = np.unique(np.concatenate([promising, saving[:_PAIRED]]))
    first, second = np.triu_indices(len(moves), k=1)
    a, b = moves[first], moves[second]
    fits = block[a] != block[b]
    if adds_up:
        fits &= (extras[:, a] + extras[:, b] <= rooms[:, None]).all(axis=0)
    for i, j in zip(a[fits], b[fits], strict=True):
        yield gains[i] + gains[j], (int(i), int(j))
