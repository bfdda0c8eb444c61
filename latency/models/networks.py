"""Small ensembles of neural networks on features: trained by torch, evaluated by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ...core.seeding import torch_generator
from ..table import LatencyTable
from .crossing import Crossing
from .features import Matrix

if TYPE_CHECKING:
    import torch

_HIDDEN = 32
_STEPS, _RATE, _DECAY = 250, 0.01, 0.1
_BATCH = 1024


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of two hidden layers with a linear path beside them; their answers are averaged.

    y = x a + softplus(softplus(x W1 + b1) W2 + b2) w3 + b3 on standardised features x.

    Attributes:
        centre: Means of the features, `(features,)`; `scale` their deviations, infinite for a
            feature that does not vary.
        linear: `(members, features)`.
        first: `(members, features, hidden)`, `second` `(members, hidden, hidden)`, `last`
            `(members, hidden)`; their offsets `(members, hidden)` twice and `(members,)`.
    """

    centre: Matrix
    scale: Matrix
    linear: Matrix
    first: Matrix
    first_offset: Matrix
    second: Matrix
    second_offset: Matrix
    last: Matrix
    last_offset: Matrix

    def votes(self, features: Matrix) -> Matrix:
        """What each member answers, `(rows, members)`.

        One row at a time: what a matrix product returns depends on what else is asked.
        """
        found = np.empty((len(features), len(self.linear)))
        for index, row in enumerate((features - self.centre) / self.scale):
            hidden = _softplus((row[:, None] * self.first).sum(axis=1) + self.first_offset)
            deep = _softplus((hidden[:, :, None] * self.second).sum(axis=1) + self.second_offset)
            found[index] = (
                (row * self.linear).sum(axis=1) + (deep * self.last).sum(axis=1) + self.last_offset
            )
        return found

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Every array by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """The networks of `arrays()`.

        Raises:
            KeyError: One is missing.
        """
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """Those networks alone; `chosen` is `(members,)`."""
        shared = {"centre": self.centre, "scale": self.scale}
        own = {name: array[chosen] for name, array in self.arrays().items() if name not in shared}
        return type(self)(**shared, **own)

    @classmethod
    def trained(
        cls,
        features: Matrix,
        target: Matrix,
        weights: Matrix,
        seed: int,
        *,
        rising: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Networks fitted to `target` by AdamW (Loshchilov and Hutter 2019) on a Huber loss.

        Args:
            features: `(rows, features)`.
            target: `(rows,)`.
            weights: What each row counts for each network, `(rows, members)`.
            seed: Decides the first weights and batches.
            rising: Features in which the answer must not fall, `(features,)`. The weights that
                lead from them, and all behind the first layer, are then kept at 0 or above: every
                path from such a feature is non-decreasing (Sill 1998, section 2).
        """
        import torch

        spread = features.std(axis=0)
        scale = np.where(spread > 1e-9, spread, np.inf)
        centre = features.mean(axis=0)
        rows = torch.from_numpy((features - centre) / scale)
        wanted, counts = torch.from_numpy(target), torch.from_numpy(weights)
        generator = torch_generator(seed, "networks")
        raw = _first_weights(weights.shape[1], features.shape[1], float(target.mean()), generator)
        mask = None if rising is None else torch.from_numpy(rising)
        adam = torch.optim.AdamW(raw.values(), lr=_RATE, weight_decay=_DECAY)
        decline = torch.optim.lr_scheduler.CosineAnnealingLR(adam, _STEPS)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for _ in range(_STEPS):
                batch = _batch(len(rows), generator)
                adam.zero_grad()
                answers = _answers(_constrained(raw, mask), rows[batch])
                errors = torch.nn.functional.huber_loss(
                    answers, wanted[batch, None].expand_as(answers), reduction="none", delta=0.2
                )
                (counts[batch] * errors).mean(dim=0).sum().backward()  # type: ignore[no-untyped-call]
                adam.step()
                decline.step()
        finally:
            torch.set_num_threads(threads)
        with torch.no_grad():
            found = {
                name: tensor.numpy().copy() for name, tensor in _constrained(raw, mask).items()
            }
        return cls(centre, scale, **found)


def cross_trained(
    table: LatencyTable,
    features: Matrix,
    target: Matrix,
    weights: Matrix,
    seed: int,
    *,
    rising: NDArray[np.bool_] | None = None,
) -> tuple[Networks, Matrix]:
    """Networks fitted to all rows, and the errors on each row of two fitted without it."""
    crossing = Crossing.of(table, seed)
    trained = Networks.trained(features, target, crossing.counts(weights), seed, rising=rising)
    votes = trained.only(~crossing.sees_all).votes(features)
    return trained.only(crossing.sees_all), target - crossing.held(votes).mean(axis=1)


def _softplus(values: Matrix) -> Matrix:
    return np.asarray(np.logaddexp(values, 0.0))


def _first_weights(
    members: int, features: int, level: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    import torch

    def normal(*shape: int, deviation: float) -> torch.Tensor:
        return deviation * torch.randn(shape, generator=generator, dtype=torch.float64)

    raw = {
        "linear": torch.zeros(members, features, dtype=torch.float64),
        "first": normal(members, features, _HIDDEN, deviation=features**-0.5),
        "first_offset": normal(members, _HIDDEN, deviation=0.5),
        "second": normal(members, _HIDDEN, _HIDDEN, deviation=_HIDDEN**-0.5),
        "second_offset": normal(members, _HIDDEN, deviation=0.5),
        "last": normal(members, _HIDDEN, deviation=0.1 * _HIDDEN**-0.5),
        "last_offset": torch.full((members,), level, dtype=torch.float64),
    }
    for tensor in raw.values():
        tensor.requires_grad_(True)
    return raw


def _constrained(
    raw: Mapping[str, torch.Tensor], rising: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """The weights; where some features must not lower the answer, by their absolute values."""
    found = dict(raw)
    if rising is not None:
        import torch

        found["linear"] = torch.where(rising, raw["linear"].abs(), raw["linear"])
        found["first"] = torch.where(rising[:, None], raw["first"].abs(), raw["first"])
        found["second"] = raw["second"].abs()
        found["last"] = raw["last"].abs()
    return found


def _answers(weights: Mapping[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """What each member answers, `(rows, members)`."""
    import torch

    softplus = torch.nn.functional.softplus
    hidden = softplus(torch.matmul(rows, weights["first"]) + weights["first_offset"][:, None])
    deep = softplus(torch.matmul(hidden, weights["second"]) + weights["second_offset"][:, None])
    curved = (deep * weights["last"][:, None]).sum(dim=2).T
    return rows @ weights["linear"].T + curved + weights["last_offset"]


def _batch(count: int, generator: torch.Generator) -> torch.Tensor:
    import torch

    if count <= _BATCH:
        return torch.arange(count)
    return torch.randint(count, (_BATCH,), generator=generator)
