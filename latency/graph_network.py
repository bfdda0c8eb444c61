"""Message passing over graphs of operations whose times add up: trained and evaluated by torch.

Each node is an operation with its features and the time it nominally takes; edges lead from an
operation to one that reads what it writes, or that runs after it. The network says by how much
each node's time differs from the nominal one, and a graph takes the sum over its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError

if TYPE_CHECKING:
    import torch

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Graphs:
    """Some graphs, their nodes one after another.

    Attributes:
        features: `(nodes, features)`.
        nominal: Time of each node in units of anything, above 0, `(nodes,)`.
        edges: From and to, as positions of nodes, `(2, edges)`; in the order of their graphs.
        owner: The graph of each node, ascending from 0 without gaps, `(nodes,)`.
    """

    features: Matrix
    nominal: Vector
    edges: Indices
    owner: Indices

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ConfigError(
                f"These are no graphs: {problem}. Every graph needs a node, every node finite "
                "features and a nominal time above 0, and edges stay within a graph."
            )

    @classmethod
    def joined(cls, parts: Sequence[Graphs]) -> Self:
        """All of `parts`, at least one, in order."""
        nodes = np.cumsum([0, *(len(part.nominal) for part in parts)])
        graphs = np.cumsum([0, *(part.count for part in parts)])
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.nominal for part in parts]),
            np.concatenate([p.edges + n for p, n in zip(parts, nodes, strict=False)], axis=1),
            np.concatenate([p.owner + n for p, n in zip(parts, graphs, strict=False)]),
        )

    @property
    def count(self) -> int:
        """How many graphs there are."""
        return int(self.owner[-1]) + 1

    def only(self, chosen: Indices) -> Self:
        """The graphs `chosen`, in that order, also several times each."""
        starts = np.searchsorted(self.owner, np.arange(self.count + 1))
        sizes = np.diff(starts)[chosen]
        nodes = _stretches(starts[chosen], sizes)
        edge_starts = np.searchsorted(self.owner[self.edges[0]], np.arange(self.count + 1))
        edge_sizes = np.diff(edge_starts)[chosen]
        edges = self.edges[:, _stretches(edge_starts[chosen], edge_sizes)]
        moved = np.cumsum(sizes) - sizes - starts[chosen]
        return type(self)(
            self.features[nodes],
            self.nominal[nodes],
            edges + np.repeat(moved, edge_sizes),
            np.repeat(np.arange(len(chosen)), sizes),
        )

    def _problem(self) -> str | None:
        nodes = len(self.nominal)
        if not nodes or len(self.features) != nodes or len(self.owner) != nodes:
            return f"{len(self.features)} rows of features for {nodes} nodes"
        if self.owner[0] != 0 or not np.isin(np.diff(self.owner), (0, 1)).all():
            return "a graph without nodes"
        if not np.isfinite(self.features).all():
            return "a feature that is not finite"
        if not (np.isfinite(self.nominal) & (self.nominal > 0)).all():
            return "a nominal time that is not above 0"
        if self.edges.size and not (self.edges.min() >= 0 and self.edges.max() < nodes):
            return f"an edge to a node that is none of {nodes}"
        owners = self.owner[self.edges]
        if (owners[0] != owners[1]).any() or (np.diff(owners[0]) < 0).any():
            return "edges between graphs, or in another order than these"
        return None


@dataclass(frozen=True)
class Shape:
    """Numbers of a network: features of a node, width inside, and rounds of messages."""

    features: int
    hidden: int
    rounds: int


def first_weights(
    shape: Shape, members: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Random weights of `members` networks side by side, float64, by name.

    Each has `members` as its first axis: `linear` (features), `enter` (features, hidden), `own`,
    `fed` and `read` (rounds, hidden, hidden), `last` (hidden), `level` (), and offsets.
    """
    import torch

    inputs, hidden, rounds = shape.features, shape.hidden, shape.rounds

    def normal(*sizes: int, deviation: float) -> torch.Tensor:
        found = torch.randn((members, *sizes), generator=generator, dtype=torch.float64)
        return deviation * found

    raw = {
        "linear": torch.zeros(members, inputs, dtype=torch.float64),
        "enter": normal(inputs, hidden, deviation=max(1, inputs) ** -0.5),
        "enter_offset": normal(hidden, deviation=0.5),
        **{
            name: normal(rounds, hidden, hidden, deviation=hidden**-0.5)
            for name in ("own", "fed", "read")
        },
        "offset": normal(rounds, hidden, deviation=0.5),
        "last": normal(hidden, deviation=0.1 * hidden**-0.5),
        "level": torch.zeros(members, dtype=torch.float64),
    }
    return {name: tensor.requires_grad_(True) for name, tensor in raw.items()}


@dataclass(frozen=True, eq=False)
class Wiring:
    """What `answers` needs of graphs besides features; the matrices are sparse.

    Attributes:
        nominal: `(nodes,)`.
        fed: 1 in the row of a node for each that leads to it, `(nodes, nodes)`.
        read: 1 in the row of a node for each that it leads to, `(nodes, nodes)`.
        sums: 1 in the row of a graph for each of its nodes, `(graphs, nodes)`.
    """

    nominal: torch.Tensor
    fed: torch.Tensor
    read: torch.Tensor
    sums: torch.Tensor

    @classmethod
    def of(cls, graphs: Graphs) -> Self:
        """The wiring of `graphs`."""
        import torch

        nodes = len(graphs.nominal)
        places = np.stack([graphs.owner, np.arange(nodes)])
        return cls(
            torch.tensor(graphs.nominal),
            _ones(graphs.edges[::-1], (nodes, nodes)),
            _ones(graphs.edges, (nodes, nodes)),
            _ones(places, (graphs.count, nodes)),
        )


def answers(
    weights: Mapping[str, torch.Tensor], features: torch.Tensor, wiring: Wiring
) -> torch.Tensor:
    """Logarithm of each graph's time by each network, `(members, graphs)`.

    A node's state starts from its features, and in every round is changed by itself, by the sum of
    those that lead to it and by the sum of those that it leads to: a graph convolution in both
    directions (Dudziak et al. 2020, "BRP-NAS: Prediction-based NAS using GCNs", section 3.1) with
    weights of its own for each. Sums are over the nodes' nominal times multiplied by the
    exponential of what the states say; their order does not matter.

    Args:
        weights: As `first_weights` gives them.
        features: `(members or 1, nodes, features)`.
        wiring: Of the same nodes.
    """
    import torch

    silu = torch.nn.functional.silu
    state = silu(features @ weights["enter"] + weights["enter_offset"][:, None])
    for number in range(weights["own"].shape[1]):
        own, fed, read, offset = (
            weights[name][:, number] for name in ("own", "fed", "read", "offset")
        )
        before, behind = _summed(wiring.fed, state), _summed(wiring.read, state)
        state = state + silu(state @ own + before @ fed + behind @ read + offset[:, None])
    steps = (features * weights["linear"][:, None]).sum(dim=2)
    steps = steps + (state * weights["last"][:, None]).sum(dim=2) + weights["level"][:, None]
    times = wiring.nominal * torch.exp(steps)
    return _summed(wiring.sums, times[:, :, None])[:, :, 0].log()


@dataclass(frozen=True)
class Descent:
    """How weights are learnt: by AdamW, its rate falling to 0 along a cosine.

    Attributes:
        batch: Graphs, or cells, that a step sees at most, drawn anew each time.
    """

    steps: int
    rate: float
    decay: float
    batch: int


def descend(
    parameters: Iterable[torch.Tensor], loss: Callable[[], torch.Tensor], descent: Descent
) -> None:
    """Lower `loss` by changing `parameters` in place (AdamW: Loshchilov and Hutter 2019)."""
    import torch

    adam = torch.optim.AdamW(parameters, lr=descent.rate, weight_decay=descent.decay)
    decline = torch.optim.lr_scheduler.CosineAnnealingLR(adam, descent.steps)
    with one_thread():
        for _ in range(descent.steps):
            adam.zero_grad()
            loss().backward()  # type: ignore[no-untyped-call]
            adam.step()
            decline.step()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch: with several, the order of sums and so the last bits may differ."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _ones(places: Indices, shape: tuple[int, int]) -> torch.Tensor:
    """A sparse matrix of ones at `places`, which are rows and columns, `(2, ones)`."""
    import torch

    ones = torch.ones(places.shape[1], dtype=torch.float64)
    found: torch.Tensor = torch.sparse_coo_tensor(
        torch.tensor(places.copy()), ones, shape, check_invariants=False
    ).coalesce()
    return found


def _summed(matrix: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """Sparse `matrix` times the state of each network, `(members, rows, hidden)`."""
    import torch

    members, nodes, hidden = state.shape
    flat = state.transpose(0, 1).reshape(nodes, members * hidden)
    found: torch.Tensor = torch.sparse.mm(matrix, flat)
    return found.reshape(-1, members, hidden).transpose(0, 1)


def _stretches(starts: Indices, sizes: Indices) -> Indices:
    """Positions start, start + 1 ... of stretches of such sizes, one after another."""
    ends = np.cumsum(sizes)
    return np.asarray(np.repeat(starts - ends + sizes, sizes) + np.arange(sizes.sum()))
