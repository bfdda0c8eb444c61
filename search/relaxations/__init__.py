"""How probabilities are kept within bounds while they are learnt: mechanisms by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

from ...core.errors import ConfigError
from ..bound import Bound
from ..expected_latency import ExpectedLatency
from ..relaxation import Relaxation
from ..spaces import block_space
from .frank_wolfe import FrankWolfe
from .objective import Augmented, LogarithmicProduct, Objective, TaskAlone, Weighted
from .softmax import SoftmaxRelaxation

__all__ = [
    "Augmented",
    "FrankWolfe",
    "LogarithmicProduct",
    "Mechanism",
    "Objective",
    "RelaxationOptions",
    "SoftmaxRelaxation",
    "TaskAlone",
    "Weighted",
    "relaxation_of",
]


class Mechanism(StrEnum):
    """What keeps the expected costs at their bounds.

    `task_alone`: nothing. `expected_cost`: `CE + strength * E[LAT]`, the loss of the paper, and
    `add_linear` and `mul_log` those of its released code. `augmented_lagrangian`: multipliers that
    adapt. `frank_wolfe`: probabilities that never leave the bounds.
    """

    TASK_ALONE = "task_alone"
    EXPECTED_COST = "expected_cost"
    ADD_LINEAR = "add_linear"
    MUL_LOG = "mul_log"
    AUGMENTED_LAGRANGIAN = "augmented_lagrangian"
    FRANK_WOLFE = "frank_wolfe"


@dataclass(frozen=True)
class RelaxationOptions:
    """Rates and weights of the mechanisms; each reads its own.

    Attributes:
        rate: Adam's rate, of every mechanism but `frank_wolfe`.
        rho: Weight of the quadratic penalty of `augmented_lagrangian`, in nats.
        eta: Ascent rate of its multipliers, as a share of the task's loss.
        strength: Of `expected_cost`, nats for each unit of the bound; of `add_linear`, nats for
            each unit of `E/T - 1`.
        alpha: Factor of `mul_log`.
        beta: Exponent of `mul_log`.
        renormalised: Expected costs over the involved candidates alone, as the release has it.
    """

    rate: float = 1e-3
    rho: float = 10.0
    eta: float = 0.05
    strength: float = 0.1
    alpha: float = 0.2
    beta: float = 0.3
    renormalised: bool = False


def relaxation_of(
    mechanism: Mechanism,
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    options: RelaxationOptions,
    generator: torch.Generator,
) -> Relaxation:
    """The relaxation that `mechanism` names, before its first step.

    Args:
        mechanism: What keeps the expected costs at their bounds.
        costs: One for each bound, in the same order, all of one space.
        bounds: At least one.
        options: Rates and weights of the mechanism.
        generator: Draws where the architecture parameters begin.

    Raises:
        ConfigError: The mechanism is not defined for these costs and bounds.
        InfeasibleError: `frank_wolfe` finds no probabilities within all bounds.
    """
    if len(costs) != len(bounds):
        raise ConfigError(f"{len(bounds)} bounds came with {len(costs)} costs; give one a bound.")
    if mechanism is Mechanism.FRANK_WOLFE:
        for cost in costs:
            block_space(
                cost.space,
                "The mechanism frank_wolfe",
                "use --set mechanism=augmented_lagrangian",
            )
        return FrankWolfe(costs, bounds)
    return SoftmaxRelaxation(
        costs,
        _objective(mechanism, costs, bounds, options),
        rate=options.rate,
        generator=generator,
        renormalised=options.renormalised,
    )


def _objective(
    mechanism: Mechanism,
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    options: RelaxationOptions,
) -> Objective:
    limits = tuple(bound.limit for bound in bounds)
    match mechanism:
        case Mechanism.EXPECTED_COST:
            return Weighted((options.strength,) * len(limits), limits)
        case Mechanism.ADD_LINEAR:
            return Weighted.by_limits(options.strength, limits)
        case Mechanism.MUL_LOG:
            return LogarithmicProduct.within(costs, bounds, options.alpha, options.beta)
        case Mechanism.AUGMENTED_LAGRANGIAN:
            return Augmented.fresh(limits, options.rho, options.eta)
        case _:
            return TaskAlone(len(limits))
