"""How mechanisms fare where the supernet is perfect: a table of accuracies in its place.

The one-shot loss is replaced by the exact expected accuracy over all architectures, so that what
is left is the relaxation, the bound and the derivation alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator, torch_generator
from .architecture import Architecture
from .bound import Bound
from .expected_latency import ExpectedLatency
from .polish import climb, swaps
from .projection import project
from .relaxation import Relaxation
from .relaxations import Mechanism, RelaxationOptions, relaxation_of

_FLOOR = 1e-6
_RATE = 0.08
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Trial:
    """A mechanism with its rates, under a name of its own."""

    name: str
    mechanism: Mechanism
    options: RelaxationOptions


@dataclass(frozen=True)
class PerfectSettings:
    """Steps and noise of the simulated search.

    Attributes:
        steps: Of the relaxation.
        noise: Standard deviation of the noise on each gradient, as a share of its own spread.
        candidates: Projections that the derivation evaluates, and `swaps` around the best.
        points_per_nat: Accuracy points that count as one nat of the task's loss.
    """

    steps: int = 250
    noise: float = 0.3
    points_per_nat: float = 20.0
    candidates: int = 8
    swaps: int = 8


@dataclass(frozen=True)
class PerfectRow:
    """One search under one bound.

    Attributes:
        mechanism: Name of the trial.
        quantile: Of the space's cost, which is the bound.
        bound: In the unit of the cost.
        optimum: Greatest accuracy within the bound, in percent.
        expected_share: E[cost] over the bound at the end.
        is_argmax_feasible: Whether the most probable architecture is within the bound.
        argmax_share: Its cost over the bound.
        argmax_regret: Accuracy points below the optimum; below 0 where it breaks the bound.
        is_feasible: Whether all projected and derived architectures are within the bound.
        log_regret: Of the projection on the logarithms of the probabilities.
        marginal_regret: Of the projection on the marginal gains of accuracy.
        marginal_share: Cost of the latter over the bound.
        derived_regret: Of the best, by the perfect supernet, of the projections of greatest score
            and of swaps around the best of them: the whole derivation of `proxyless-g`.
        refused: Why the mechanism is not defined here, all numbers being NaN then; else empty.
    """

    mechanism: str
    quantile: float
    seed: int
    bound: float
    optimum: float
    expected_share: float
    is_argmax_feasible: bool
    argmax_share: float
    argmax_regret: float
    is_feasible: bool
    log_regret: float
    marginal_regret: float
    marginal_share: float
    derived_regret: float
    refused: str = ""


def default_trials() -> tuple[Trial, ...]:
    """Every mechanism, those with a fixed strength at several."""
    linear = (
        Trial(
            f"add_linear {strength:g}",
            Mechanism.ADD_LINEAR,
            RelaxationOptions(rate=_RATE, strength=strength),
        )
        for strength in (0.05, 0.2, 1.0)
    )
    plain = RelaxationOptions(rate=_RATE)
    return (
        Trial("task_alone", Mechanism.TASK_ALONE, plain),
        *linear,
        Trial(
            "mul_log 0.6", Mechanism.MUL_LOG, RelaxationOptions(rate=_RATE, alpha=1.0, beta=0.6)
        ),
        Trial("augmented_lagrangian", Mechanism.AUGMENTED_LAGRANGIAN, plain),
        Trial("frank_wolfe", Mechanism.FRANK_WOLFE, plain),
    )


def perfect_supernet(
    accuracy: NDArray[np.float64],
    cost: ExpectedLatency,
    quantiles: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    seeds: Sequence[int] = tuple(range(20)),
    mechanisms: Sequence[Trial] = (),
    settings: PerfectSettings | None = None,
) -> Iterator[PerfectRow]:
    """Yields one row for each quantile, mechanism and seed, in that order.

    The task's loss is `(100 - E[acc]) / points_per_nat` with `E[acc]` over all architectures,
    which is linear in the probabilities of each block; its exact gradient is disturbed, as batches
    and sampled paths disturb it.

    Args:
        accuracy: In percent, of every architecture, in the order of `itertools.product` over the
            space's choices: the last block changes fastest.
        cost: Of the space.
        quantiles: The bounds are these quantiles of the costs of all architectures, in [0, 1].
        seeds: Of the noise and of where parameters begin.
        mechanisms: `default_trials()` if empty.
        settings: Steps and noise.

    Raises:
        ConfigError: `accuracy` has another size than the space, or the space is too large.
    """
    settings = settings or PerfectSettings()
    exam = _Exam(accuracy, cost, settings)
    for quantile in quantiles:
        bound = Bound(cost.name, float(np.quantile(exam.costs, quantile)))
        for trial in mechanisms or default_trials():
            for seed in seeds:
                yield exam.row(trial, quantile, bound, seed)


class _Exam:
    """The tables of a space that can be enumerated."""

    def __init__(
        self, accuracy: NDArray[np.float64], cost: ExpectedLatency, settings: PerfectSettings
    ) -> None:
        self._counts = list(cost.space.options)
        size = cost.space.size
        if size > _LARGEST or accuracy.shape != (size,):
            raise ConfigError(
                f"{cost.space.name} has {size:,} architectures, and accuracies came in the shape "
                f"{accuracy.shape}; give one for each, of at most {_LARGEST:,}."
            )
        self._cost = cost
        self._settings = settings
        self._mask: NDArray[np.bool_] = cost.mask.numpy()
        self._accuracy = np.asarray(accuracy, dtype=np.float64).reshape(self._counts)
        total = np.full([1] * len(self._counts), float(cost.fixed))
        for block, count in enumerate(self._counts):
            shape = [1] * len(self._counts)
            shape[block] = count
            total = total + cost.cost[block, :count].numpy().reshape(shape)
        self.costs: NDArray[np.float64] = total.reshape(-1)

    def row(self, trial: Trial, quantile: float, bound: Bound, seed: int) -> PerfectRow:
        """One search and its derivations."""
        within = self.costs <= bound.limit
        optimum = float(self._accuracy.reshape(-1)[within].max())
        generator = torch_generator(seed, "architecture")
        try:
            relaxation = relaxation_of(
                trial.mechanism, [self._cost], [bound], trial.options, generator
            )
        except ConfigError as error:
            return _refused(trial.name, quantile, seed, bound.limit, optimum, str(error))
        self._search(relaxation, numpy_generator(seed, "noise"))
        probs = relaxation.probabilities()
        most = Architecture(self._cost.space.name, tuple(probs.argmax(dim=-1).tolist()))
        _, gains = self._expectation(probs.numpy())
        by_log = self._projected(np.log(np.maximum(probs.numpy(), _FLOOR)), bound)
        by_gain = self._projected(gains, bound)
        derived = self._derived(gains, bound)
        chosen = (by_log, by_gain, derived)
        return PerfectRow(
            mechanism=trial.name,
            quantile=quantile,
            seed=seed,
            bound=bound.limit,
            optimum=optimum,
            expected_share=float(self._cost(probs)) / bound.limit,
            is_argmax_feasible=bound.allows(self._cost.of(most)),
            argmax_share=self._cost.of(most) / bound.limit,
            argmax_regret=optimum - self._of(most),
            is_feasible=all(bound.allows(self._cost.of(found)) for found in chosen),
            log_regret=optimum - self._of(by_log),
            marginal_regret=optimum - self._of(by_gain),
            marginal_share=self._cost.of(by_gain) / bound.limit,
            derived_regret=optimum - self._of(derived),
        )

    def _search(self, relaxation: Relaxation, noise: np.random.Generator) -> None:
        settings = self._settings
        counts = self._mask.sum(axis=-1, keepdims=True)
        for _ in range(settings.steps):
            expected, gains = self._expectation(relaxation.probabilities().numpy())
            gradient = -gains / settings.points_per_nat
            centred = (gradient - gradient.sum(-1, keepdims=True) / counts) * self._mask
            spread = np.sqrt((centred**2).sum(-1, keepdims=True) / np.maximum(counts - 1, 1))
            disturbance = noise.standard_normal(gradient.shape) * self._mask
            gradient = gradient + settings.noise * spread * disturbance
            task = (100.0 - expected) / settings.points_per_nat
            relaxation.step(task, torch.from_numpy(gradient))

    def _expectation(self, probs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """E[acc] in percent, and its derivative by every probability: `blocks choices`."""
        rows = [row[:count] for row, count in zip(probs, self._counts, strict=True)]
        # The joint probabilities of the blocks behind each one: the last changes fastest.
        behind = [np.ones(1)]
        for row in rows[:0:-1]:
            behind.append(np.outer(row, behind[-1]).reshape(-1))
        gains = np.zeros(probs.shape)
        rest = self._accuracy.reshape(-1)
        for block, (row, joint) in enumerate(zip(rows, behind[::-1], strict=True)):
            table = rest.reshape(len(row), -1)
            gains[block, : len(row)] = table @ joint
            rest = row @ table
        return float(rest[0]), gains

    def _projected(self, scores: NDArray[np.float64], bound: Bound) -> Architecture:
        return project(scores, [self._cost], [bound])[0].architecture

    def _derived(self, gains: NDArray[np.float64], bound: Bound) -> Architecture:
        """The best of the projections of greatest score and of swaps around the best of them."""
        settings = self._settings
        found = project(gains, [self._cost], [bound], settings.candidates)
        known = {item.architecture: self._of(item.architecture) for item in found}

        def around(start: Architecture) -> Iterator[Architecture]:
            return swaps(start, gains, [self._cost], [bound], known)

        def evaluate(architecture: Architecture) -> Architecture:
            known[architecture] = self._of(architecture)
            return architecture

        best = max(known, key=lambda item: known[item])
        for _ in climb(best, around, evaluate, lambda item: -known[item], settings.swaps):
            pass
        return max(known, key=lambda item: known[item])

    def _of(self, architecture: Architecture) -> float:
        return float(self._accuracy[architecture.choices])


def _refused(
    name: str, quantile: float, seed: int, bound: float, optimum: float, reason: str
) -> PerfectRow:
    nan = float("nan")
    return PerfectRow(
        mechanism=name,
        quantile=quantile,
        seed=seed,
        bound=bound,
        optimum=optimum,
        expected_share=nan,
        is_argmax_feasible=False,
        argmax_share=nan,
        argmax_regret=nan,
        is_feasible=False,
        log_regret=nan,
        marginal_regret=nan,
        marginal_share=nan,
        derived_regret=nan,
        refused=reason,
    )
