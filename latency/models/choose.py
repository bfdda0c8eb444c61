"""Choosing a model by nested cross-validation (Varma and Simon 2006)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...core.errors import ConfigError
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .evaluate import HeldOut, errors_of, folds_of, held_out_by

AUTO = "auto"
CANDIDATES = ("roofline", "ridge", "random-forest", "xgboost", "gaussian-process")
"""What `auto` chooses from unless told otherwise: what is fitted to 300 operators in seconds."""

_OUTER, _INNER = 4, 3


@dataclass(frozen=True)
class Score:
    """How a candidate did on operators that it was not fitted to.

    Attributes:
        error: Mean of |log(predicted / measured)|, each capped at 1.
        standard_error: Of that mean, over operators.
        within_5: Share of operators within 5 %; `within_10` within 10 %.
    """

    model: str
    operators: int
    error: float
    standard_error: float
    within_5: float
    within_10: float


@dataclass(frozen=True)
class Choice:
    """Which model was chosen, and why.

    Attributes:
        scores: Of every candidate by cross-validation on the whole table, best first.
        chosen_in_folds: What the same procedure chose without each outer fold.
        held_out: Errors of the procedure itself, choosing included, on the outer folds.
    """

    model: str
    scores: tuple[Score, ...]
    chosen_in_folds: tuple[str, ...]
    held_out: HeldOut

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        best, *others = self.scores
        text = f"{best.model} has the smallest held-out error, {_error(best)}"
        if others:
            second = others[0]
            is_clear = second.error - best.error > np.hypot(
                best.standard_error, second.standard_error
            )
            text += f"; next is {second.model} with {_error(second)}"
            text += "" if is_clear else ", a difference within their standard errors"
        return f"{text}."

    def to_json(self) -> dict[str, Any]:
        """A JSON object without the held-out errors."""
        return {
            "model": self.model,
            "reason": self.reason,
            "scores": [asdict(score) for score in self.scores],
            "chosen_in_folds": list(self.chosen_in_folds),
        }


def choose(table: LatencyTable, *, seed: int, candidates: Sequence[str] = CANDIDATES) -> Choice:
    """The candidate with the smallest cross-validated error on `table`.

    The error of the winner is optimistic, as it won; the errors in `held_out` are not: for each
    outer fold the choice is made anew on the other operators alone.

    Raises:
        ConfigError: There are no candidates, or too few operators.
        UnknownNameError: One of `candidates` is no model.
    """
    if not candidates:
        raise ConfigError(f"There is nothing to choose from; models are: {', '.join(CANDIDATES)}.")
    inner: list[str] = []

    def chosen_without(kept: LatencyTable) -> str:
        inner.append(_scores(kept, candidates, seed)[0].model)
        return inner[-1]

    held_out = held_out_by(
        table,
        lambda kept: latency_models[chosen_without(kept)].fit(kept, seed=seed),
        folds=_OUTER,
        seed=seed,
    )
    scores = _scores(table, candidates, seed)
    return Choice(scores[0].model, tuple(scores), tuple(inner), held_out)


def _scores(table: LatencyTable, candidates: Sequence[str], seed: int) -> list[Score]:
    """Every candidate's score, best first; of equal ones the one named first."""
    found = [_score(table, name, seed) for name in candidates]
    return sorted(found, key=lambda score: score.error)


def _score(table: LatencyTable, name: str, seed: int) -> Score:
    kind = latency_models[name]
    errors = np.concatenate(
        [errors_of(kind.fit(kept, seed=seed), table, held) for kept, held in _parts(table, seed)]
    )
    logs = np.minimum(np.abs(np.log1p(errors)), 1.0)
    return Score(
        name,
        len(errors),
        float(logs.mean()),
        float(logs.std() / np.sqrt(len(logs))),
        float(np.mean(np.abs(errors) <= 0.05)),
        float(np.mean(np.abs(errors) <= 0.10)),
    )


def _parts(table: LatencyTable, seed: int) -> Iterator[tuple[LatencyTable, list[Operator]]]:
    """The table without each inner fold, and the fold."""
    operators = list(table)
    fold_of = folds_of(operators, _INNER, seed + 1)
    for fold in range(_INNER):
        held = [o for o, number in zip(operators, fold_of, strict=True) if number == fold]
        kept = [o for o, number in zip(operators, fold_of, strict=True) if number != fold]
        yield table.only(kept), held


def _error(score: Score) -> str:
    return f"{score.error:.1%} ± {score.standard_error:.1%}"
