"""Searches by query on a table of accuracies: what they choose, and what the best would be.

Every architecture of the space was trained with several seeds. A query answers with one of these
trainings; the truth is their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator, spawn
from .architecture import Architecture
from .bound import Bound
from .expected_latency import ExpectedLatency
from .samplers import Domain, Sampler


@dataclass(frozen=True, eq=False)
class Tabular:
    """The trainings of every architecture of a space, and what each costs.

    Attributes:
        cost: Of the space.
        answers: `architectures trainings`, in the order of `itertools.product` over the choices;
            greater is better.
    """

    cost: ExpectedLatency
    answers: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.answers.ndim != 2 or len(self.answers) != self.cost.space.size:
            raise ConfigError(
                f"{self.cost.space.name} has {self.cost.space.size:,} architectures, the table is "
                f"of shape {self.answers.shape}; give a row for each, a column for each training."
            )

    @property
    def truth(self) -> NDArray[np.float64]:
        """The mean over trainings, of each architecture."""
        return np.asarray(self.answers.mean(axis=1))

    @property
    def costs(self) -> NDArray[np.float64]:
        """The cost of each architecture, in the unit of `cost`; not exactly rounded."""
        total = np.array([float(self.cost.fixed)])
        for row, mask in zip(self.cost.cost.numpy(), self.cost.mask.numpy(), strict=True):
            total = (total[:, None] + row[mask][None, :]).reshape(-1)
        return total

    def bound(self, quantile: float) -> Bound:
        """The bound that this share of the architectures is within."""
        return Bound(self.cost.name, float(np.quantile(self.costs, quantile)))

    def index(self, architecture: Architecture) -> int:
        """The row of `architecture`."""
        self.cost.space.check(architecture)
        row = 0
        for choice, count in zip(architecture.choices, self.cost.space.options, strict=True):
            row = row * count + choice
        return row


@dataclass(frozen=True)
class TabularRow:
    """One search on a table.

    Attributes:
        quantile: Of the space's costs, which is the bound; `bound` in the unit of the cost.
        optimum: Greatest truth within the bound.
        regrets: Queries spent, and how far the truth of the architecture that the sampler then
            ranks first is below the optimum.
        again_regret: The same after all queries, when the truth of those that it ranks first is
            looked up: `again` of them.
        queries: Asked in all; fewer than wanted where nothing was left to ask.
        distinct: Architectures asked for.
        violations: Queries over the bound, by the exactly rounded cost.
    """

    quantile: float
    bound: float
    seed: int
    optimum: float
    regrets: tuple[tuple[int, float], ...]
    again: int
    again_regret: float
    queries: int
    distinct: int
    violations: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {**asdict(self), "regrets": [list(pair) for pair in self.regrets]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TabularRow:
        """The row that `to_json` wrote."""
        regrets = tuple((int(n), float(regret)) for n, regret in data["regrets"])
        return cls(**{**data, "regrets": regrets})


def search_table(
    table: Tabular,
    sampler: Sampler,
    quantile: float,
    seed: int,
    checkpoints: Sequence[int],
    again: int = 5,
) -> TabularRow:
    """One search by `sampler` under one bound.

    Which training answers depends on the seed and the architecture alone, so that all samplers
    see the same. Asked again, an architecture answers with another of its trainings, and starts
    over when all were seen.

    Args:
        table: Of the space.
        sampler: With its settings.
        quantile: Of the costs, which is the bound; in [0, 1].
        seed: Of the sampler and of the answers.
        checkpoints: Queries after which the choice is judged, ascending; the last is the budget.
        again: How many are looked up at the end.
    """
    bound = table.bound(quantile)
    truth = table.truth
    optimum = float(truth[table.costs <= bound.limit].max())
    queries = checkpoints[-1]
    domain = Domain(table.cost.space, (table.cost,), (bound,), is_noisy=True)
    sampling = sampler.start(domain, spawn(seed, "sampler"), queries)
    order = numpy_generator(seed, "answers").random(table.answers.shape).argsort(axis=1)
    asked: dict[int, int] = {}
    regrets: list[tuple[int, float]] = []
    violations = 0
    for query in range(1, queries + 1):
        architecture = sampling.ask()
        if architecture is not None:
            row = table.index(architecture)
            violations += not bound.allows(table.cost.of(architecture))
            training = order[row, asked.get(row, 0) % table.answers.shape[1]]
            asked[row] = asked.get(row, 0) + 1
            sampling.tell(architecture, float(table.answers[row, training]))
        if query in checkpoints:
            first = table.index(sampling.ranked()[0])
            regrets.append((query, optimum - float(truth[first])))
    best = [table.index(architecture) for architecture in sampling.ranked()[:again]]
    return TabularRow(
        quantile=quantile,
        bound=bound.limit,
        seed=seed,
        optimum=optimum,
        regrets=tuple(regrets),
        again=again,
        again_regret=optimum - float(truth[best].max()),
        queries=sum(asked.values()),
        distinct=len(asked),
        violations=violations,
    )
