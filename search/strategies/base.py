"""What every search algorithm is given, yields and returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..bound import Bound
from ..data import SearchData
from ..distributed import Alone, World
from ..executor import Executor, InTurn
from ..expected_latency import ExpectedLatency
from ..journal import Journal
from ..result import Candidate
from ..spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """The most accurate architecture of `space` within all `bounds` is wanted.

    Attributes:
        costs: One for each bound, in the same order.
        seed: Fixes every random choice of the search.
        world: The processes that search together; each sees its own part of every batch.
        executor: Where candidates are evaluated that do not depend on each other.
    """

    space: SearchSpace
    costs: tuple[ExpectedLatency, ...]
    bounds: tuple[Bound, ...]
    data: SearchData
    seed: int
    world: World = field(default_factory=Alone)
    executor: Executor = field(default_factory=InTurn)


@dataclass(frozen=True)
class SearchStep:
    """The state of a search after one step.

    Attributes:
        step: Steps done, 1 to `total`.
        phase: `"warm-up"`, `"search"`, `"score"` or `"rank"`.
        loss: Cross-entropy of the weight step on training images, in nats.
        accuracy: Share of the images of that batch which the sampled path got right, in [0, 1].
        validation_loss: Cross-entropy of the latest architecture step, in nats.
        expected: E[cost] for each bound, in the bound's unit.
        lam: Multiplier of each bound, in nats.
        entropy: Mean entropy of the choice probabilities over blocks, in nats.
        probabilities: Of each candidate of each block.
    """

    step: int
    total: int
    phase: str
    loss: float | None
    accuracy: float | None
    validation_loss: float | None
    expected: tuple[float, ...]
    lam: tuple[float, ...]
    entropy: float
    probabilities: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchStep:
        """The step that `to_json` wrote."""
        return cls(
            **{
                **data,
                "expected": tuple(data["expected"]),
                "lam": tuple(data["lam"]),
                "probabilities": tuple(tuple(row) for row in data["probabilities"]),
            }
        )


def state_of(
    problem: Problem,
    probabilities: Tensor,
    multipliers: tuple[float, ...],
    *,
    step: int,
    total: int,
    phase: str,
    loss: float | None = None,
    accuracy: float | None = None,
    validation_loss: float | None = None,
) -> SearchStep:
    """The record of a step at these choice probabilities `blocks choices`."""
    import torch

    probs = probabilities.detach()
    rows = tuple(
        tuple(row[:count])
        for row, count in zip(probs.tolist(), problem.space.options, strict=True)
    )
    return SearchStep(
        step=step,
        total=total,
        phase=phase,
        loss=loss,
        accuracy=accuracy,
        validation_loss=validation_loss,
        expected=tuple(float(cost(probs)) for cost in problem.costs),
        lam=multipliers,
        entropy=float(torch.special.entr(probs).sum(dim=-1).mean()),
        probabilities=rows,
    )


class Strategy(ABC):
    """A search algorithm with its settings; holds no state of a run."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        """The algorithm with `settings`, and defaults for the rest; `source` is named in errors.

        Raises:
            ConfigError: A setting is unknown or out of range.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All settings, as JSON; equal settings give equal results."""

    @abstractmethod
    def weight_steps(self, data: SearchData) -> int:
        """Steps that train weights on `data`, for the record."""

    @abstractmethod
    def check(self, problem: Problem) -> None:
        """Refuse what cannot succeed, ahead of everything else.

        Raises:
            ConfigError: The settings do not fit the problem; the message says the repair.
            InfeasibleError: Nothing is within the bounds.
        """

    @abstractmethod
    def run(
        self, problem: Problem, journal: Journal, folder: Path
    ) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        """Yields after every step and returns candidates within every bound, the best first.

        Resumes from `journal`: what is yielded, recorded and returned from there is to the bit
        what an uninterrupted run gives. What it leaves beside the result goes to `folder`.
        """
