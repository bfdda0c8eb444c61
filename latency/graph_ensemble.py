"""Several graph networks, learnt side by side: each from its own targets, or the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from .graph_network import (
    Descent,
    Graphs,
    Shape,
    Wiring,
    answers,
    descend,
    first_weights,
    one_thread,
)

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]

BENDS_AT = 0.2
"""Errors of the logarithm beyond this count linearly and not squared (Huber's loss)."""
_CENTRE, _SCALE = "centre", "scale"


@dataclass(frozen=True, eq=False)
class GraphNetworks:
    """Networks on standardised features of nodes.

    Attributes:
        centre: Means of the features, `(features,)`; `scale` their deviations, infinite for a
            feature that does not vary.
        weights: As `first_weights` names them, networks along the first axis.
    """

    centre: Matrix
    scale: Matrix
    weights: Mapping[str, Matrix]

    @classmethod
    def trained(
        cls,
        graphs: Graphs,
        target: Matrix,
        counts: Matrix,
        seed: int,
        descent: Descent,
        *,
        hidden: int,
        rounds: int,
    ) -> Self:
        """Networks fitted to logarithms of times.

        Args:
            graphs: What to learn from.
            target: `(graphs, networks)`.
            counts: What each graph counts for each network, `(graphs, networks)`.
            seed: Decides the first weights and parts.
            descent: How they learn.
            hidden: Width of a node's state.
            rounds: Of messages.

        Raises:
            ConfigError: Targets are not finite, or of another number of graphs.
        """
        import torch

        if target.shape != counts.shape or len(target) != graphs.count:
            raise ConfigError(f"{graphs.count} graphs have targets of shape {target.shape}.")
        if not np.isfinite(target).all():
            raise ConfigError("A logarithm of a time is not finite; times must be above 0.")
        spread = graphs.features.std(axis=0)
        scale = np.where(spread > 1e-9, spread, np.inf)
        centre = graphs.features.mean(axis=0)
        generator = torch_generator(seed, "graph networks")
        shape = Shape(graphs.features.shape[1], hidden, rounds)
        raw = first_weights(shape, target.shape[1], generator)
        with torch.no_grad():
            raw["level"] += torch.tensor(_first_level(graphs, target, counts))
        parts = _Parts(graphs, (graphs.features - centre) / scale, descent.batch, generator)
        wanted, worth = torch.tensor(target.T.copy()), torch.tensor(counts.T.copy())

        def loss() -> torch.Tensor:
            chosen, features, wiring = parts.draw()
            found = answers(raw, features, wiring)
            errors = torch.nn.functional.huber_loss(
                found, wanted[:, chosen], reduction="none", delta=BENDS_AT
            )
            return (worth[:, chosen] * errors).mean(dim=1).sum()

        descend(raw.values(), loss, descent)
        return cls(centre, scale, {name: w.detach().numpy().copy() for name, w in raw.items()})

    def votes(self, graphs: Graphs) -> Matrix:
        """Logarithm of each graph's time by each network, `(graphs, networks)`.

        The last bits depend on which graphs are asked together.
        """
        import torch

        features = torch.tensor((graphs.features - self.centre) / self.scale)[None]
        with torch.no_grad(), one_thread():
            found = answers(self._tensors, features, Wiring.of(graphs))
        return np.asarray(found.numpy().T)

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """Those networks alone; `chosen` is `(networks,)`."""
        kept = {name: array[chosen] for name, array in self.weights.items()}
        return type(self)(self.centre, self.scale, kept)

    def arrays(self) -> dict[str, Matrix]:
        """Every array by its name."""
        return {_CENTRE: self.centre, _SCALE: self.scale, **self.weights}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Matrix]) -> Self:
        """The networks of `arrays()`.

        Raises:
            KeyError: One is missing.
        """
        names = first_weights(Shape(1, 1, 1), 1, torch_generator(0))
        weights = {name: arrays[name] for name in names}
        return cls(arrays[_CENTRE], arrays[_SCALE], weights)

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        import torch

        return {name: torch.tensor(array) for name, array in self.weights.items()}


class _Parts:
    """What a step of learning sees: all graphs, or some."""

    def __init__(
        self, graphs: Graphs, features: Matrix, most: int, generator: torch.Generator
    ) -> None:
        self._graphs = Graphs(features, graphs.nominal, graphs.edges, graphs.owner)
        self._most = most
        self._generator = generator
        self._whole = _with_tensors(self._graphs, np.arange(graphs.count))

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, Wiring]:
        """Which graphs, their features `(1, nodes, features)`, and how they are wired."""
        import torch

        if self._graphs.count <= self._most:
            return self._whole
        count = self._graphs.count
        drawn = torch.randint(count, (self._most,), generator=self._generator).numpy()
        return _with_tensors(self._graphs.only(drawn), drawn)


def _with_tensors(
    graphs: Graphs, chosen: NDArray[np.intp]
) -> tuple[torch.Tensor, torch.Tensor, Wiring]:
    import torch

    return torch.tensor(chosen), torch.tensor(graphs.features)[None], Wiring.of(graphs)


def _first_level(graphs: Graphs, target: Matrix, counts: Matrix) -> Matrix:
    """By how much the nominal times are off on average, `(networks,)`."""
    nominal = np.log(np.bincount(graphs.owner, graphs.nominal))
    return np.average(target - nominal[:, None], axis=0, weights=counts)
