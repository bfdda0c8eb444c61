"""A graph network of cells that knows devices by vectors, and a new one by tuning its vector.

Each device has a vector that is joined to the features of every operation, so that the network
learns how devices differ operation by operation: the operation-wise hardware embedding of NASFLAT
(Akhauri and Abdelfattah 2024, "On latency predictors for neural architecture search"). As there, a
new device's vector starts at that of the most correlated known one. Here the vector and a factor
are then tuned on the samples; the network stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ...core.seeding import torch_generator
from ..graph_ensemble import BENDS_AT
from ..graph_network import (
    Descent,
    Graphs,
    Shape,
    Wiring,
    answers,
    descend,
    first_weights,
    one_thread,
)
from .cell import Cells
from .graphs import NODES, cell_graphs
from .latencies import checked, relative_logs

if TYPE_CHECKING:
    import torch

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WIDTH = 8
DESCENT = Descent(steps=500, rate=0.01, decay=0.02, batch=16)
_MEMBERS, _HIDDEN, _ROUNDS = 3, 16, 2
_NOISE = 0.05
_TUNING = 25
_TOGETHER = 2000


@dataclass(frozen=True, eq=False)
class DeviceVectors:
    """A device as each network sees it.

    Attributes:
        vectors: `(networks, width)`.
        level: Logarithm of its typical latency in ms by each network, `(networks,)`.
    """

    vectors: Matrix
    level: Vector


@dataclass(frozen=True, eq=False)
class EmbeddedDevices:
    """Networks that were learnt on several devices at once.

    Attributes:
        weights: As `first_weights` names them, networks along the first axis.
        vectors: Of the known devices, `(networks, devices, width)`.
        typical_ms: Their median latencies, `(devices,)`.
    """

    weights: Mapping[str, torch.Tensor]
    vectors: Matrix
    typical_ms: Vector

    @classmethod
    def fit(
        cls,
        cells: Cells,
        latency_ms: Matrix,
        *,
        seed: int,
        width: int = WIDTH,
        descent: Descent = DESCENT,
    ) -> Self:
        """Learn from `latency_ms` of the known devices.

        Args:
            cells: What was measured, on all of them.
            latency_ms: `(cells, devices)`, above 0.
            seed: Decides the first weights, and what each step of learning sees.
            width: Of the vectors; 0 takes all devices for one, but for a factor.
            descent: How the networks learn.

        Raises:
            ConfigError: Fewer than three cells, or a latency that is not above 0.
        """
        import torch

        typical_ms, logs = relative_logs(checked(cells, latency_ms))
        graphs, wanted = cell_graphs(cells), torch.tensor(logs)
        devices = logs.shape[1]
        generator = torch_generator(seed, "embedded devices")
        shape = Shape(graphs.features.shape[1] + width, _HIDDEN, _ROUNDS)
        weights = first_weights(shape, _MEMBERS, generator)
        first = torch.randn((_MEMBERS, devices, width), generator=generator, dtype=torch.float64)
        vectors = first.requires_grad_(True)

        def loss() -> torch.Tensor:
            drawn = torch.randint(len(cells), (descent.batch,), generator=generator)
            part = graphs.only(np.repeat(drawn.numpy(), devices))
            asked = vectors[:, None].expand(-1, descent.batch, -1, -1).flatten(1, 2)
            found = _asked(weights, part, asked)
            return _bent(found - wanted[drawn].reshape(-1)).mean(dim=1).sum()

        descend([*weights.values(), vectors], loss, descent)
        fixed = {name: tensor.detach() for name, tensor in weights.items()}
        return cls(fixed, vectors.detach().numpy().copy(), typical_ms)

    def predict(self, cells: Cells, device: DeviceVectors) -> Vector:
        """Latency of each of `cells` on `device` in milliseconds, `(cells,)`."""
        parts = np.array_split(cells, -(-len(cells) // _TOGETHER))
        logs = [self._logs(part, device.vectors) for part in parts]
        found = np.concatenate(logs, axis=1) + device.level[:, None]
        return np.asarray(np.exp(found.mean(axis=0)))

    def known(self, device: int) -> DeviceVectors:
        """The known device at that position."""
        level = float(np.log(self.typical_ms[device]))
        return DeviceVectors(self.vectors[:, device], np.full(len(self.vectors), level))

    def tuned(self, cells: Cells, latency_ms: Vector) -> DeviceVectors:
        """A new device from a few samples.

        Its vector starts at that of the known device with the greatest correlation of logarithms
        on the samples. Vector and level minimise the samples' Huber losses in units of 5 %, plus
        half the square of what the vector moves by, in units of how the known ones vary.

        Args:
            cells: The samples, at least three.
            latency_ms: What was measured of them, above 0, `(samples,)`.

        Raises:
            ConfigError: Too few samples, or a latency that is not above 0.
        """
        import torch

        typical_ms, logs = relative_logs(checked(cells, np.asarray(latency_ms)[:, None]))
        nearest = self._nearest(cells, logs[:, 0])
        start = torch.tensor(self.vectors[:, nearest])
        scale = torch.tensor(self.vectors.std(axis=1) + 1e-9)
        graphs, wanted = cell_graphs(cells), torch.tensor(logs[:, 0])
        moves = torch.zeros_like(start, requires_grad=True)
        level = torch.zeros(len(start), dtype=torch.float64, requires_grad=True)

        def loss() -> torch.Tensor:
            joined = (start + scale * moves)[:, None].expand(-1, len(cells), -1)
            errors = _asked(self.weights, graphs, joined) + level[:, None] - wanted
            return _bent(errors).sum() / _NOISE**2 + 0.5 * moves.square().sum()

        _minimise([moves, level], loss)
        found = (start + scale * moves).detach().numpy()
        return DeviceVectors(found, level.detach().numpy() + np.log(typical_ms))

    def _nearest(self, cells: Cells, logs: Vector) -> int:
        """The known device that correlates most with `logs`; the first where none can tell."""
        known = [
            self._logs(cells, self.vectors[:, device]).mean(axis=0)
            for device in range(len(self.typical_ms))
        ]
        centred = np.array(known) - np.mean(known, axis=1, keepdims=True)
        lengths = np.sqrt((centred**2).sum(axis=1)) + 1e-12
        return int(np.argmax(centred @ (logs - logs.mean()) / lengths))

    def _logs(self, cells: Cells, vectors: Matrix) -> Matrix:
        """Logarithms over typical ones by each network, `(networks, cells)`."""
        import torch

        joined = torch.tensor(vectors)[:, None].expand(-1, len(cells), -1)
        with torch.no_grad(), one_thread():
            return np.asarray(_asked(self.weights, cell_graphs(cells), joined).numpy())


def _asked(
    weights: Mapping[str, torch.Tensor], graphs: Graphs, vectors: torch.Tensor
) -> torch.Tensor:
    """What each network says of each graph on a device, `(networks, graphs)`.

    Args:
        weights: Of the networks.
        graphs: The cells.
        vectors: The device of each graph, `(networks, graphs, width)`.
    """
    import torch

    joined = vectors[:, :, None].expand(-1, -1, NODES, -1).flatten(1, 2)
    own = torch.tensor(graphs.features)[None].expand(len(vectors), -1, -1)
    return answers(weights, torch.cat([own, joined], dim=2), Wiring.of(graphs))


def _bent(errors: torch.Tensor) -> torch.Tensor:
    """Huber's loss of each error."""
    import torch

    none = torch.zeros_like(errors)
    return torch.nn.functional.huber_loss(errors, none, reduction="none", delta=BENDS_AT)


def _minimise(parameters: list[torch.Tensor], loss: Callable[[], torch.Tensor]) -> None:
    """Find the minimum next to where `parameters` are, by L-BFGS with a line search."""
    import torch

    search = torch.optim.LBFGS(
        parameters, max_iter=_TUNING, history_size=10, line_search_fn="strong_wolfe"
    )

    def evaluated() -> torch.Tensor:
        search.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with one_thread():
        search.step(evaluated)  # type: ignore[no-untyped-call]
