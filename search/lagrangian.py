"""Multipliers that drive the expected cost below its bounds while the search runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_DECAY = 0.9
_LARGEST = 10.0


@dataclass(frozen=True)
class AugmentedLagrangian:
    """Penalty `sum_b lam_b h_b + rho/2 max(0, h_b)^2` on violations `h = E[LAT]/T - 1`.

    Nocedal and Wright 2006, section 17.4, with gradient ascent on the multipliers in place of full
    minimisations. Immutable; `updated` returns the next one.

    Attributes:
        rho: Weight of the quadratic part, in nats.
        eta: Ascent rate, as a share of the task loss per step and unit of violation.
        lam: One multiplier per bound, in nats.
        average: Exponential moving average of each violation; empty before the first step.
    """

    rho: float
    eta: float
    lam: tuple[float, ...]
    average: tuple[float, ...] = ()

    @classmethod
    def fresh(cls, rho: float, eta: float, bounds: int) -> AugmentedLagrangian:
        """Multipliers of zero for `bounds` bounds."""
        return cls(rho, eta, (0.0,) * bounds)

    def penalty(self, violations: Tensor) -> Tensor:
        """The term to add to the loss; `violations` has one entry per bound."""
        lam = torch.tensor(self.lam, dtype=violations.dtype)
        return (lam * violations + 0.5 * self.rho * violations.clamp(min=0).square()).sum()

    def updated(self, violations: Sequence[float], loss: float) -> AugmentedLagrangian:
        """Multipliers after one step: `lam <- max(0, lam + eta * loss * average of h)`.

        The average damps oscillation. A multiplier is kept at or below `10 loss / |h|`, where the
        penalty is ten times the task loss: without the cap it would wind up while the
        probabilities cannot follow.
        """
        before = self.average or tuple(violations)
        average = tuple(
            _DECAY * a + (1 - _DECAY) * h for a, h in zip(before, violations, strict=True)
        )
        lam = []
        for old, mean, h in zip(self.lam, average, violations, strict=True):
            new = max(0.0, old + self.eta * loss * mean)
            lam.append(min(new, _LARGEST * loss / abs(h)) if h else new)
        return AugmentedLagrangian(self.rho, self.eta, tuple(lam), average)

    def to_json(self) -> dict[str, Any]:
        """The part that changes, for a checkpoint."""
        return {"lam": list(self.lam), "average": list(self.average)}

    def restored(self, data: dict[str, Any]) -> AugmentedLagrangian:
        """These settings with the multipliers that `to_json` wrote."""
        return AugmentedLagrangian(self.rho, self.eta, tuple(data["lam"]), tuple(data["average"]))
