"""E[LAT]: the expected cost of an architecture drawn from choice probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError, MissingLatencyError
from ..latency.operators import Operator
from ..latency.operators.aggregate import Aggregate
from .architecture import Architecture
from .result import LINKS, MACS, PARAMS, unit_of
from .spaces import SearchSpace

if TYPE_CHECKING:
    from ..latency.calibration import Calibration
    from ..latency.network import NetworkLatency

CostFunction = Callable[[Sequence[Operator]], Sequence[float]]

_CHUNK = 1 << 16


class ExpectedLatency(nn.Module):
    """E[LAT] = fixed + sum over rows of <probabilities, costs> (Cai et al. 2019, section 3.3).

    A row is a choice block, or how many links an aggregation reads (`SearchSpace.rows`). Linear in
    the probabilities of the rows, so any source of costs works, also one without gradients;
    another device is another buffer. The unit is milliseconds on a device, MACs, parameters or
    links.

    Args:
        space: The space; its name is carried by the architectures returned here.
        name: A device id, `"macs"`, `"params"` or `"links"`.
        fixed: Cost of what every architecture executes, and of the network as such.
        rows: One cost per operator, for each row of the space; of what no network may choose, what
            the relaxation is charged for it.
        calibration: Whose errors on measured networks tell upper limits.

    Attributes:
        cost: `rows operators`, float64; padding is 0.
        mask: `choices options`, true for real options.
        row_mask: `rows operators`, true for what a network may execute.
    """

    cost: Tensor
    fixed: Tensor
    mask: Tensor
    row_mask: Tensor

    def __init__(
        self,
        space: SearchSpace,
        name: str,
        fixed: float,
        rows: Sequence[Sequence[float]],
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        found = [len(row) for row in rows]
        wanted = [len(row) for row in space.rows]
        if found != wanted:
            raise ConfigError(f"{space.name} has {wanted} candidates a row, {found} costs came.")
        if not all(math.isfinite(value) for row in (*rows, [fixed]) for value in row):
            raise MissingLatencyError(
                f"The costs of {space.name} on {name} are not all finite numbers; "
                f"fit the latency model again."
            )
        self.space = space
        self.name = name
        width = max(wanted)
        padded = [[*row, *[0.0] * (width - len(row))] for row in rows]
        self.register_buffer("cost", torch.tensor(padded, dtype=torch.float64))
        self.register_buffer("fixed", torch.tensor(fixed, dtype=torch.float64))
        allowed = [
            [c is not None for c in row] + [False] * (width - len(row)) for row in space.rows
        ]
        self.register_buffer("row_mask", torch.tensor(allowed))
        counts = torch.tensor(space.options)
        self.register_buffer("mask", torch.arange(int(counts.max()))[None, :] < counts[:, None])
        # Looked up for every architecture that a search asks about.
        self._rows = [[float(value) for value in row] for row in rows]
        self._fixed = float(fixed)
        self._calibration = calibration

    @classmethod
    def from_costs(
        cls,
        space: SearchSpace,
        name: str,
        costs: CostFunction,
        network: float = 0.0,
        calibration: Calibration | None = None,
    ) -> ExpectedLatency:
        """E[cost] of `space` where `costs` answers for operators and `network` is added once.

        `costs` is called once, with every distinct operator, and returns as many numbers in the
        unit of the result. Candidates that are free by definition are not asked for and cost 0.
        """
        operators = space.all_operators()
        known = dict(zip(operators, map(float, costs(operators)), strict=True))
        # What no network may choose is charged like the next: nothing is to be gained by it.
        charged = [[c or row[i + 1] for i, c in enumerate(row)] for row in space.rows]
        rows = [[0.0 if c is None or c.is_free else known[c] for c in row] for row in charged]
        fixed = math.fsum([network, *(known[o] for o in space.fixed if not o.is_free)])
        return cls(space, name, fixed, rows, calibration)

    @classmethod
    def from_network_latency(
        cls, space: SearchSpace, name: str, latency: NetworkLatency
    ) -> ExpectedLatency:
        """E[LAT] in ms on the device `name`, with the whole-network calibration of `latency`.

        The calibration is additive: a network takes its `intercept_ms`, and what each of its
        operators adds (`additive_costs`).

        Raises:
            MissingOperatorError: The latency model cannot answer for a candidate.
        """
        return cls.from_costs(
            space,
            name,
            lambda operators: latency.additive_costs(operators).tolist(),
            network=latency.intercept_ms,
            calibration=latency.calibration,
        )

    @classmethod
    def from_macs(cls, space: SearchSpace) -> ExpectedLatency:
        """Expected multiply-adds of one image, exactly."""
        return cls.from_costs(space, MACS, lambda operators: [o.macs for o in operators])

    @classmethod
    def from_params(cls, space: SearchSpace) -> ExpectedLatency:
        """Expected trainable parameters, exactly."""
        return cls.from_costs(space, PARAMS, lambda operators: [o.params for o in operators])

    @classmethod
    def from_links(cls, space: SearchSpace) -> ExpectedLatency:
        """Expected number of links: outputs that aggregations read, the fixed ones included.

        Raises:
            ConfigError: The space aggregates nothing.
        """
        if not any(isinstance(operator, Aggregate) for operator in space.all_operators()):
            raise ConfigError(
                f"{space.name} has no links to bound; take a space of aggregations: elat spaces."
            )
        return cls.from_costs(
            space,
            LINKS,
            lambda operators: [o.sources if isinstance(o, Aggregate) else 0 for o in operators],
        )

    @property
    def unit(self) -> str:
        """`"ms"`, `"MACs"`, `"parameters"` or `"links"`."""
        return unit_of(self.name)

    def forward(self, probs: Tensor) -> Tensor:
        """The expected cost.

        Args:
            probs: `*batch choices options`; each row sums to one over its real options. What
                stands in the padding does not count.

        Returns:
            `*batch`, in `unit`.
        """
        return self.fixed + (self.space.row_probabilities(probs) * self.cost).sum(dim=(-2, -1))

    def slopes(self, probs: Tensor) -> Tensor:
        """The derivative of the expected cost by each probability: `choices options`, detached.

        Of a space whose costs are sums over choices it is `cost` itself, wherever `probs` are.
        """
        if self.space.is_additive:
            return self.cost
        free = probs.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(self(free), free)
        return found

    def of(self, architecture: Architecture) -> float:
        """The cost of one architecture, correctly rounded from the exact sum."""
        self.space.check(architecture)
        return self.of_choices(architecture.choices)

    def of_choices(self, choices: Sequence[int]) -> float:
        """`of` for bare choice indices that are known to be valid."""
        executed = self.space.row_choices(choices)
        chosen = [row[index] for row, index in zip(self._rows, executed, strict=True)]
        return math.fsum([self._fixed, *chosen])

    def upper(self, architecture: Architecture, level: float) -> float:
        """Cost that a share of `level` of networks like this one keep below on the device.

        Raises:
            MissingLatencyError: The latencies were never held against whole networks.
            ConfigError: Too few networks were measured to tell `level`, or it is none.
        """
        return self.of(architecture) * self.known_errors.upper_factor(level)

    def upper_of_pick(self, architecture: Architecture, level: float) -> float:
        """The same if `architecture` was picked under a bound (`latency/picked_errors.py`).

        Raises:
            MissingLatencyError: As `upper`.
            ConfigError: As `upper`; or the calibration kept no multiply-adds.
        """
        import numpy as np

        at = np.array([self.of(architecture)])
        macs = np.array([float(self.space.network(architecture).macs)])
        return float(self.known_errors.upper_of_picks(at, macs, level)[0])

    @property
    def known_errors(self) -> Calibration:
        """The calibration whose errors on measured networks tell upper limits.

        Raises:
            MissingLatencyError: There is none.
        """
        if self._calibration is None:
            raise MissingLatencyError(
                f"Nothing tells how far the costs of {self.space.name} on {self.name} lie from "
                "whole networks, as an upper limit or a level of a bound needs to know; measure "
                f"some with: elat calibrate --device {self.name} --space {self.space.name}."
            )
        return self._calibration

    def fastest(self) -> Architecture:
        """The architecture of least cost; of equal operators the first."""
        cost = self.cost.masked_fill(~self.row_mask, math.inf)
        return self._of_rows(cost.argmin(dim=-1))

    def slowest(self) -> Architecture:
        """The architecture of greatest cost; of equal operators the first."""
        cost = self.cost.masked_fill(~self.row_mask, -math.inf)
        return self._of_rows(cost.argmax(dim=-1))

    def _of_rows(self, rows: Tensor) -> Architecture:
        return Architecture(self.space.name, self.space.from_rows(rows.tolist()))

    def quantile(self, q: float, n: int, generator: torch.Generator) -> float:
        """The `q` quantile of the cost of `n` uniformly drawn architectures.

        Args:
            q: In [0, 1].
            n: At least 1; 10,000 give the 35th percentile of a chain within about 1 %.
            generator: Draws the architectures.
        """
        if not 0.0 <= q <= 1.0 or n < 1:
            raise ConfigError(f"A quantile needs q in [0, 1] and n >= 1, not q={q} and n={n}.")
        costs = []
        for start in range(0, n, _CHUNK):
            executed = self._drawn_rows(min(_CHUNK, n - start), generator)
            rows = torch.arange(len(self.cost)).expand_as(executed)
            costs.append(self.fixed + self.cost[rows, executed].sum(dim=-1))
        # NumPy's quantile has no limit on the number of values; torch's has.
        import numpy as np

        return float(np.quantile(torch.cat(costs).numpy(), q))

    def _drawn_rows(self, count: int, generator: torch.Generator) -> Tensor:
        """Operators of the rows of `count` uniformly drawn architectures: `count rows`."""
        if self.space.is_additive:
            counts = self.mask.sum(dim=-1)
            draws = torch.rand((count, len(counts)), generator=generator, dtype=torch.float64)
            return (draws * counts).long()
        drawn = self.space.draw(count, generator).tolist()
        return torch.tensor([self.space.row_choices(choices) for choices in drawn])


def counted_cost(space: SearchSpace, name: str) -> ExpectedLatency:
    """The cost that is counted, not predicted: `"macs"`, `"params"` or `"links"`.

    Raises:
        ConfigError: `name` is none of them, or the space has no links.
    """
    if name == MACS:
        return ExpectedLatency.from_macs(space)
    if name == PARAMS:
        return ExpectedLatency.from_params(space)
    if name == LINKS:
        return ExpectedLatency.from_links(space)
    raise ConfigError(f"Only {MACS}, {PARAMS} and {LINKS} can be counted, {name!r} cannot.")
