"""Optuna's samplers as peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from .base import Domain
from .peer import Peer
from .told import Choices

if TYPE_CHECKING:
    import optuna

PACKAGE = "optuna"
# What no constrained sampler of Optuna reads: of trials over a bound only the excess counts.
_UNREAD = 0.0


@final
class OptunaPeer(Peer):
    """A study of Optuna that maximises under constraints, by ask and tell.

    What is over a bound is told as a completed trial with its constraints
    (`Trial.set_constraint`); what was tried before as a failed one.

    Args:
        sampler: One of Optuna's that handles constraints, with a seed of its own.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler, domain: Domain) -> None:
        import optuna

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        optuna.logging.set_verbosity(verbosity)
        self._space = {
            f"{block:04d}": optuna.distributions.CategoricalDistribution(range(count))
            for block, count in enumerate(domain.space.options)
        }
        self._failed = optuna.trial.TrialState.FAIL
        self._names = tuple(bound.name for bound in domain.bounds)
        self._last: optuna.trial.Trial | None = None
        self._open: dict[Choices, optuna.trial.Trial] = {}
        self._refused: set[Choices] = set()

    def propose(self) -> Choices:
        trial = self._study.ask(self._space)
        choices = tuple(int(trial.params[name]) for name in self._space)
        # What is within the bounds and new stays open until it is told.
        self._last = trial
        self._open.setdefault(choices, trial)
        return choices

    def refuse(self, choices: Choices, excess: NDArray[np.float64]) -> None:
        trial = self._open.pop(choices)
        if choices in self._refused:
            self._study.tell(trial, state=self._failed)
        else:
            self._refused.add(choices)
            self._complete(trial, _UNREAD, excess)

    def repeat(self, choices: Choices, value: float | None) -> None:
        if self._open.get(choices) is self._last:
            del self._open[choices]
        self._study.tell(self._last, state=self._failed)

    def accept(self, choices: Choices, value: float, excess: NDArray[np.float64]) -> None:
        trial = self._open.pop(choices, None)
        if trial is None:
            self._study.enqueue_trial(dict(zip(self._space, choices, strict=True)))
            trial = self._study.ask(self._space)
        self._complete(trial, value, excess)

    def _complete(
        self, trial: optuna.trial.Trial, value: float, excess: NDArray[np.float64]
    ) -> None:
        for name, amount in zip(self._names, excess, strict=True):
            trial.set_constraint(name, float(amount))
        self._study.tell(trial, value)
