"""pymoo's genetic algorithms as peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from .base import Domain
from .peer import Peer
from .told import Choices

if TYPE_CHECKING:
    from pymoo.core.algorithm import Algorithm

PACKAGE = "pymoo"
# Of individuals over a bound pymoo compares the excess alone.
_UNREAD = 0.0


def breeding(population: int, queries: int) -> dict[str, Any]:
    """How pymoo's genetic algorithms sample, cross and mutate integers.

    Args:
        population: Individuals alive, but at most a quarter of the queries.
        queries: Of the whole search.
    """
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PolynomialMutation
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    return {
        "pop_size": max(2, min(population, queries // 4)),
        "sampling": IntegerRandomSampling(),
        "crossover": UniformCrossover(repair=RoundingRepair()),
        "mutation": PolynomialMutation(eta=3.0, vtype=float, repair=RoundingRepair()),
        "eliminate_duplicates": True,
    }


@final
class PymooPeer(Peer):
    """A generation of pymoo at a time, by ask and tell.

    The next generation is bred when all of the last is answered: what is over a bound by its
    excess, what was asked for before by its value. While answers are outstanding it proposes
    nothing.

    Args:
        algorithm: One of pymoo's, not set up.
        has_costs: Whether the costs are objectives beside the value.
    """

    def __init__(
        self, algorithm: Algorithm, domain: Domain, seed: int, *, has_costs: bool
    ) -> None:
        from pymoo.core.problem import Problem
        from pymoo.termination import get_termination

        counts = np.array(domain.space.options)
        self._has_costs = has_costs
        self._problem = Problem(
            n_var=len(counts),
            n_obj=1 + len(domain.bounds) * has_costs,
            n_ieq_constr=len(domain.bounds),
            xl=np.zeros(len(counts)),
            xu=counts - 1,
            vtype=int,
        )
        self._algorithm = algorithm
        # The searcher decides when to stop.
        endless = get_termination("n_gen", 10**9)
        algorithm.setup(self._problem, termination=endless, seed=seed, verbose=False)
        self._generation: list[Any] = []
        self._answers: dict[Choices, tuple[float, NDArray[np.float64]]] = {}
        self._waiting: list[Choices] = []

    def propose(self) -> Choices | None:
        if not self._waiting:
            if not all(_of(one) in self._answers for one in self._generation):
                return None
            self._breed()
        return self._waiting.pop(0) if self._waiting else None

    def refuse(self, choices: Choices, excess: NDArray[np.float64]) -> None:
        self._answers[choices] = (_UNREAD, excess)

    def repeat(self, choices: Choices, value: float | None) -> None:
        """Nothing to do: what was answered once is known here."""

    def accept(self, choices: Choices, value: float, excess: NDArray[np.float64]) -> None:
        self._answers[choices] = (value, excess)

    def _breed(self) -> None:
        """Tell the last generation and ask for the next."""
        from pymoo.core.evaluator import Evaluator
        from pymoo.core.population import Population
        from pymoo.problems.static import StaticProblem

        if self._generation:
            answers = [self._answers[_of(one)] for one in self._generation]
            values = np.array([[-value] for value, _ in answers])
            excess = np.array([over for _, over in answers])
            objectives = np.hstack([values, excess]) if self._has_costs else values
            static = StaticProblem(self._problem, F=objectives, G=excess)
            told = Population.create(*self._generation)
            Evaluator().eval(static, told)
            self._algorithm.tell(infills=told)
        asked = self._algorithm.ask()
        self._generation = [] if asked is None else list(asked)
        self._waiting = [_of(one) for one in self._generation]


def _of(individual: Any) -> Choices:
    return tuple(round(float(gene)) for gene in individual.X)
