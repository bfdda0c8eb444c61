"""What every search space answers; it knows no weights and no latencies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from ...core.errors import ConfigError
from ...latency.operators import Operator, Shape
from ..architecture import Architecture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from ...latency.operators.chain import Chain
    from ...latency.operators.dag import Dag

Row = tuple[Operator | None, ...]


class SearchSpace(ABC):
    """Choices, each one of a few options, and the networks that they make.

    What a network costs is a sum over *rows*: of each row it executes one operator. In a space of
    choice blocks a row is a choice; in a space of links it is how many links a layer reads. So the
    space says how probabilities, scores and choices turn into those of rows, and back.

    Instances are immutable and equal when their descriptions are.
    """

    @classmethod
    @abstractmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any], source: str) -> Self:
        """The space of this family that `settings` describe; `source` is named in errors.

        Raises:
            ConfigError: The settings are unknown, missing or out of range.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """A JSON object from which `space_from_description` builds an equal space."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that architectures carry."""

    @property
    @abstractmethod
    def options(self) -> tuple[int, ...]:
        """How many options each choice has, choices in execution order."""

    @abstractmethod
    def option_label(self, choice: int, option: int) -> str:
        """A few characters that tell the options of a choice apart: `e6k5`."""

    @abstractmethod
    def is_left_out(self, choice: int, option: int) -> bool:
        """Whether this option executes nothing at the place of the choice."""

    @property
    @abstractmethod
    def fixed(self) -> tuple[Operator, ...]:
        """The operators that every architecture executes, in execution order."""

    @property
    @abstractmethod
    def rows(self) -> tuple[Row, ...]:
        """The operators of each row; None where nothing is executed and no network may be so."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many architectures there are, exactly."""

    @property
    @abstractmethod
    def is_additive(self) -> bool:
        """Whether rows are the choices themselves, so that costs are sums over choices."""

    @abstractmethod
    def row_probabilities(self, probs: Tensor) -> Tensor:
        """The probability of every operator of every row, differentiably.

        Args:
            probs: `*batch choices options`; each row sums to one over its real options.

        Returns:
            `*batch rows operators`, as wide as the widest row.
        """

    @abstractmethod
    def row_choices(self, choices: Sequence[int]) -> tuple[int, ...]:
        """Which operator of each row the network of `choices` executes."""

    @abstractmethod
    def row_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The greatest sum of scores of options that gives each operator of each row.

        Args:
            scores: `choices options`; what stands in the padding does not count.

        Returns:
            `rows operators`; what no network may choose holds any finite number.
        """

    @abstractmethod
    def from_rows(
        self, rows: Sequence[int], scores: NDArray[np.float64] | None = None
    ) -> tuple[int, ...]:
        """The choices of greatest score among those that give `rows`; the first of equal ones.

        Where there is a `coverage` and they miss a set, choices near them that miss none.

        Args:
            rows: One operator that may be chosen of each row.
            scores: As `row_scores` takes them; None where all are worth the same.
        """

    @abstractmethod
    def coverage(self) -> tuple[tuple[int, ...], ...]:
        """Sets of choices of which at least one must take option 1; empty where none must.

        Where it is not empty every choice has two options, `counted` says what rows are, and
        choices make a network if no set is without and every row has an operator that is not None.
        """

    @abstractmethod
    def counted(self) -> tuple[tuple[int, ...], ...]:
        """Of each row the choices that it counts: its operator is how many take option 1.

        Empty where rows are the choices themselves.
        """

    @abstractmethod
    def capacity(self) -> NDArray[np.float64]:
        """E-folds of MACs over the smallest option of the choice that has any.

        `choices options`; an option without MACs is one e-fold below, and 0 stands in the padding.
        """

    @abstractmethod
    def fault(self, choices: Sequence[int]) -> str | None:
        """Why `choices`, each a valid index, make no network; None if they make one."""

    @abstractmethod
    def operators(self, architecture: Architecture) -> tuple[Operator, ...]:
        """What the architecture executes, in execution order, without what is free."""

    @abstractmethod
    def all_operators(self) -> tuple[Operator, ...]:
        """Every operator that some architecture executes, each once: what a table must hold."""

    @abstractmethod
    def network(self, architecture: Architecture) -> Chain | Dag:
        """The architecture as one operator, to build, to lower and to measure."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Tensor:
        """Choices of `count` architectures drawn uniformly: `count choices`, int64."""

    @abstractmethod
    def text(self, architecture: Architecture) -> str:
        """The architecture in a line."""

    @property
    def input_shape(self) -> Shape:
        """Shape of one image: `(channels, resolution, resolution)`."""
        return self.fixed[0].input_shapes[0]

    @property
    def classes(self) -> int:
        """Width of the network's output."""
        return self.fixed[-1].output_shape[0]

    def check(self, architecture: Architecture) -> None:
        """Refuse an architecture that is not of this space.

        Raises:
            ConfigError: It names another space, its choices are not one valid index each, or
                they make no network.
        """
        if architecture.space != self.name:
            raise ConfigError(
                f"The architecture is of space {architecture.space!r}, not of {self.name!r}."
            )
        if len(architecture.choices) != len(self.options):
            raise ConfigError(
                f"{self.name} has {len(self.options)} choices to make, "
                f"the architecture has {len(architecture.choices)}."
            )
        for index, (choice, count) in enumerate(
            zip(architecture.choices, self.options, strict=True)
        ):
            if not 0 <= choice < count:
                raise ConfigError(
                    f"Choice {choice} at place {index} of {self.name} is not in 0..{count - 1}."
                )
        if fault := self.fault(architecture.choices):
            raise ConfigError(f"The architecture is no network of {self.name}: {fault}.")

    def sample(self, generator: Generator) -> Architecture:
        """An architecture drawn uniformly."""
        return Architecture(self.name, tuple(self.draw(1, generator)[0].tolist()))
