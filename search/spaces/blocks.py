"""Spaces whose choices are operators: fixed ones and choice blocks, joined by a program."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, cast

from ...core.errors import ConfigError
from ...latency.operators import Operator
from ..architecture import Architecture
from .base import Row, SearchSpace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from ...latency.operators.chain import Chain
    from ...latency.operators.dag import Dag


@dataclass(frozen=True)
class ChoiceBlock:
    """One place of the network and the operators that may stand there.

    A candidate that `is_free` leaves the place empty: the output is the input.

    Attributes:
        candidates: At least two, distinct, of the same input and output shapes.
        is_residual: Whether every candidate that is not free adds its input to its output, so that
            one whose own branch gives zeros is as good as none.
    """

    candidates: tuple[Operator, ...]
    is_residual: bool = False

    @property
    def is_skippable(self) -> bool:
        """Whether the block may be left out; it need not be residual for that."""
        return any(candidate.is_free for candidate in self.candidates)


@dataclass(frozen=True)
class Step:
    """One place of the network: a fixed operator, or a choice block.

    Attributes:
        inputs: The values that it reads; 0 is the image, `k` the output of step `k - 1`. A choice
            block reads one.
        operator: What stands there in every architecture; None for a choice block.
        block: Which choice block stands there; None for a fixed operator.
    """

    inputs: tuple[int, ...]
    operator: Operator | None = None
    block: int | None = None


def chain_of(
    before: Sequence[Operator], blocks: int, after: Sequence[Operator]
) -> tuple[Step, ...]:
    """The program of a chain: fixed operators, `blocks` choice blocks, fixed operators."""
    parts: list[tuple[Operator | None, int | None]] = [
        *((operator, None) for operator in before),
        *((None, block) for block in range(blocks)),
        *((operator, None) for operator in after),
    ]
    return tuple(Step((index,), operator, block) for index, (operator, block) in enumerate(parts))


class BlockSpace(SearchSpace):
    """A choice is a block's candidate, and so is a row's operator."""

    @property
    @abstractmethod
    def blocks(self) -> tuple[ChoiceBlock, ...]:
        """The choice blocks, numbered in execution order."""

    @property
    @abstractmethod
    def program(self) -> tuple[Step, ...]:
        """Every place of the network in execution order; each block occurs once, in order.

        The last step gives the output: one logit a class.
        """

    @abstractmethod
    def label(self, operator: Operator) -> str:
        """A few characters that tell the candidates of a block apart: `e6k5`."""

    @property
    def options(self) -> tuple[int, ...]:
        return tuple(len(block.candidates) for block in self.blocks)

    def option_label(self, choice: int, option: int) -> str:
        return self.label(self.blocks[choice].candidates[option])

    def is_left_out(self, choice: int, option: int) -> bool:
        return self.blocks[choice].candidates[option].is_free

    @property
    def fixed(self) -> tuple[Operator, ...]:
        return tuple(step.operator for step in self.program if step.operator is not None)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(block.candidates for block in self.blocks)

    @property
    def is_additive(self) -> bool:
        return True

    def row_probabilities(self, probs: Tensor) -> Tensor:
        return probs

    def row_choices(self, choices: Sequence[int]) -> tuple[int, ...]:
        return tuple(choices)

    def row_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return scores

    def from_rows(
        self, rows: Sequence[int], scores: NDArray[np.float64] | None = None
    ) -> tuple[int, ...]:
        return tuple(rows)

    def coverage(self) -> tuple[tuple[int, ...], ...]:
        return ()

    def counted(self) -> tuple[tuple[int, ...], ...]:
        return ()

    def capacity(self) -> NDArray[np.float64]:
        import numpy as np

        folds = np.zeros((len(self.blocks), max(self.options)))
        for row, block in zip(folds, self.blocks, strict=True):
            least = min((c.macs for c in block.candidates if c.macs), default=1)
            row[: len(block.candidates)] = [
                math.log(c.macs / least) if c.macs else -1.0 for c in block.candidates
            ]
        return folds

    def fault(self, choices: Sequence[int]) -> str | None:
        return None

    @property
    def is_chain(self) -> bool:
        """Whether every step reads the output of the step before it alone."""
        return all(step.inputs == (index,) for index, step in enumerate(self.program))

    @property
    def size(self) -> int:
        return prod(self.options)

    def chosen(self, architecture: Architecture) -> tuple[Operator, ...]:
        """The chosen candidate of each block, free ones included."""
        self.check(architecture)
        return tuple(
            block.candidates[choice]
            for block, choice in zip(self.blocks, architecture.choices, strict=True)
        )

    def operators(self, architecture: Architecture) -> tuple[Operator, ...]:
        return tuple(op for op in self._placed(architecture) if not op.is_free)

    def all_operators(self) -> tuple[Operator, ...]:
        found: dict[Operator, None] = {}
        for step in self.program:
            if step.operator is not None:
                found[step.operator] = None
            else:
                found |= dict.fromkeys(self.blocks[cast(int, step.block)].candidates)
        return tuple(operator for operator in found if not operator.is_free)

    def network(self, architecture: Architecture) -> Chain | Dag:
        from ...latency.operators.chain import Chain
        from ...latency.operators.dag import Dag

        if self.is_chain:
            return Chain(self.operators(architecture))
        placed = self._placed(architecture)
        return Dag(placed, tuple(step.inputs for step in self.program))

    def _placed(self, architecture: Architecture) -> tuple[Operator, ...]:
        """The operator at every step of the program, free ones included."""
        chosen = self.chosen(architecture)
        return tuple(
            step.operator if step.operator is not None else chosen[cast(int, step.block)]
            for step in self.program
        )

    def draw(self, count: int, generator: Generator) -> Tensor:
        import torch

        # One draw after another, so that a seed gives the same architectures one by one.
        return torch.tensor(
            [
                [int(torch.randint(n, (), generator=generator)) for n in self.options]
                for _ in range(count)
            ]
        )

    def text(self, architecture: Architecture) -> str:
        """The labels of the chosen candidates, in execution order."""
        return " ".join(self.label(operator) for operator in self.chosen(architecture))


def block_space(
    space: SearchSpace, purpose: str, repair: str = "take a space of blocks: elat spaces"
) -> BlockSpace:
    """`space`, where its choices are blocks of operators.

    Raises:
        ConfigError: They are not; the message says that `purpose` needs them to be, and `repair`.
    """
    if not isinstance(space, BlockSpace):
        raise ConfigError(
            f"{purpose} needs choice blocks, and {space.name} has links to choose; {repair}."
        )
    return space
