"""Methods by which a latency is a weighted sum of measured models."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from ..entry import Entry
from ..operators import Operator
from .base import Evidence, Found, Subjects, TimingMethod

Terms = tuple[tuple[Operator, float], ...]


@dataclass(frozen=True)
class Recipe:
    """How the latency of one operator follows from measured models: a weighted sum of theirs."""

    operator: Operator
    terms: Terms

    @classmethod
    def of(cls, operator: Operator, terms: Iterable[tuple[Operator, float]]) -> Recipe:
        """The recipe of `terms`, those of one model added up; what cancels is left out."""
        weights: defaultdict[Operator, float] = defaultdict(float)
        for model, weight in terms:
            weights[model] += weight
        return cls(operator, tuple((model, w) for model, w in weights.items() if w != 0.0))


class RecipeMethod(TimingMethod):
    """A method that is one recipe for each operator."""

    @abstractmethod
    def recipe(self, operator: Operator) -> Recipe:
        """The models to measure for `operator`, each with its weight in the sum.

        Raises:
            UnsupportedOperatorError: There is none for an operator of this shape.
        """

    def cases(self, subjects: Subjects) -> tuple[Operator, ...]:
        models = (model for o in subjects.busy for model, _ in self.recipe(o).terms)
        return tuple(dict.fromkeys(models))

    def profiled(self, subjects: Subjects) -> tuple[Operator, ...]:
        return ()

    def emphasised(self, subjects: Subjects) -> frozenset[Operator]:
        """The corrections that several operators' recipes have in common: no sums of parts."""
        terms = [(model, w) for o in subjects.busy for model, w in self.recipe(o).terms]
        recipes = Counter(model for model, _ in terms)
        return frozenset(model for model, w in terms if w != 1.0 and recipes[model] > 1)

    def latencies(self, subjects: Subjects, evidence: Evidence) -> Found:
        """As the base class says; deviations are those of a sum of independent models."""
        entries: dict[Operator, Entry] = {}
        origins: set[str] = set()
        below_ms: dict[Operator, float] = {}
        for operator in subjects.busy:
            terms = self.recipe(operator).terms
            if any(model not in evidence.measured for model, _ in terms):
                continue
            found = [(evidence.measured[model], weight) for model, weight in terms]
            mean = sum(weight * m.latency_ms for m, weight in found)
            if mean <= 0.0:
                below_ms[operator] = mean
                continue
            std = sqrt(sum((weight * m.std_ms) ** 2 for m, weight in found))
            origins.update(m.origin for m, _ in found)
            entries[operator] = Entry(min(m.count for m, _ in found), mean, std)
        return Found(entries, frozenset(origins), below_ms)
