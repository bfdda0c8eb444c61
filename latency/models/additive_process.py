"""Operators as sums of loops, with a Gaussian process on how long each loop takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.seeding import numpy_generator
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .additive_posterior import Matrix, Posterior, Seen, learnt, mode, nominal_logs
from .executed_nodes import NodeSpace
from .features import FeatureSpace, log_targets
from .kernels import subset
from .layout_features import difference_method
from .limits import Conformal
from .noise import standard_errors
from .process import Process

MOST = 600
"""Operators that a process is conditioned on; of a larger table a random subset of so many."""

_LEARN_FROM, _FOLDS = 300, 3


@latency_models.register("additive-process")
class AdditiveProcess(Process):
    """log(ms) of an operator = log of the sum of its nodes' nominal times times exp(g(node)).

    g is a Gaussian process over what is executed (Duvenaud 2014, "Automatic model construction
    with Gaussian processes", section 2.4, has sums of functions that are seen only as a sum; the
    logarithm around it is elat's), so that what a mobile block tells about a depthwise loop
    counts for every operator that runs one. Its kernel is that of `gaussian-process`.

    It learns from at most 600 operators of a table and its lengths from at most 300: both are
    random subsets that the seed decides. Limits come from leave-one-out errors, to first order,
    with lengths that were learnt without the operator.
    """

    def __init__(
        self,
        table: LatencyTable,
        seed: int,
        state: Mapping[str, Matrix] | None,
    ) -> None:
        operators = list(table)
        self._space = FeatureSpace.of(table)
        chosen = subset("additive-process", len(operators), MOST, seed)
        known = [operators[i] for i in chosen]
        self._nodes = NodeSpace.of(
            known, self._space.element_bytes, difference_method(table.condition)
        )
        logs = log_targets(table)[chosen]
        rows = self._nodes.rows(known)
        nominal = nominal_logs(rows)
        self._level = float(np.median(logs - nominal))
        seen = Seen(rows, logs - self._level, standard_errors(table)[chosen] ** 2)
        fold = _folds(len(known), seed)
        if state is None:
            parts = (np.ones(len(known), bool), *(fold != number for number in range(_FOLDS)))
            state = _learnt(known, self._nodes, seen, parts)
        self._state = {name: state[name] for name in ("theta", "latent")}
        posteriors = [
            Posterior(theta, latent, seen)
            for theta, latent in zip(state["theta"], state["latent"], strict=True)
        ]
        self._posterior = posteriors[0]
        self._limits = _limits(posteriors[1:], fold)

    def state(self) -> dict[str, NDArray[np.float64]]:
        return dict(self._state)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        self._space.matrix(operators)  # refuses what is of a kind, or has a choice, not seen
        # One at a time: nodes that several share would change the order in which each adds up.
        found = [self._posterior.predict(self._nodes.rows([o])) for o in operators]
        means, deviations = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self._level + means, deviations


def _learnt(
    known: Sequence[Operator],
    space: NodeSpace,
    seen: Seen,
    parts: Sequence[NDArray[np.bool_]],
) -> dict[str, Matrix]:
    """Hyperparameters learnt from each of `parts`, and the mode of all nodes under them."""
    thetas = np.array([learnt(_some(known, space, seen, part)) for part in parts])
    return {"theta": thetas, "latent": np.array([mode(theta, seen) for theta in thetas])}


def _some(
    known: Sequence[Operator], space: NodeSpace, seen: Seen, part: NDArray[np.bool_]
) -> Seen:
    """At most so many of the operators of `part`, as they come."""
    places = np.flatnonzero(part)
    few = places[subset("additive-process", len(places), _LEARN_FROM, len(places))]
    rows = space.rows([known[i] for i in few])
    return Seen(rows, seen.target[few], seen.variances[few])


def _limits(posteriors: Sequence[Posterior], fold: NDArray[np.intp]) -> Conformal:
    """Errors on each fold with lengths learnt from the others."""
    errors, spread = np.empty(len(fold)), np.empty(len(fold))
    for number, posterior in enumerate(posteriors):
        error, deviation = posterior.left_out
        is_judged = fold == number
        errors[is_judged], spread[is_judged] = error[is_judged], deviation[is_judged]
    return Conformal.of(errors, spread)


def _folds(count: int, seed: int) -> NDArray[np.intp]:
    """A fold for each of `count` operators, as evenly as can be."""
    order = numpy_generator(seed, "additive-process", "folds").permutation(count)
    return np.asarray(order % _FOLDS)
