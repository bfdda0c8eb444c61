"""From a trained supernet to ranked architectures within the bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.artefact import read_json, write_json
from ..core.errors import ArtefactError
from ..core.seeding import torch_generator
from .architecture import Architecture
from .bound import Bound
from .data import SearchData
from .distributed import World
from .evaluate import accuracy_and_loss, calibrate_batch_norm
from .expected_latency import ExpectedLatency
from .gates import one_hot, sample_choices
from .projection import Projected, project, project_fastest
from .result import Candidate
from .spaces import SearchSpace
from .supernet import Supernet

SCORES = "scores.json"
_EVALUATION_BATCH = 256


def gate_gains(
    supernet: Supernet,
    probs: Tensor,
    data: SearchData,
    *,
    batches: int,
    size: int,
    seed: int,
    world: World | None = None,
) -> Iterator[Tensor]:
    """Yields, for each validation batch, what opening each gate would take off the loss.

    One batch gives `-dL/dg_lj` at one architecture drawn from `probs`: by the first-order
    expansion of the loss the gain of the candidate's contribution, up to a constant a block.

    Yields:
        `blocks choices`, float64, in nats; the mean of each row over real candidates is 0.
    """
    mask = supernet.mask
    for index in range(batches):
        choices = sample_choices(probs, torch_generator(seed, "score", index))
        gates = one_hot(choices, mask.shape[-1]).requires_grad_()
        images, labels = data.validation_batch(index, size)
        loss = torch.nn.functional.cross_entropy(supernet(images, gates), labels)
        (grad,) = torch.autograd.grad(loss, gates)
        if world is not None:
            world.average([grad])
        mean = (grad * mask).sum(dim=-1, keepdim=True) / mask.sum(dim=-1, keepdim=True)
        yield -(grad - mean) * mask


@dataclass(frozen=True, eq=False)
class Scores:
    """What each candidate is worth, and how well that is known.

    Attributes:
        values: `blocks choices`, in nats; the score of an architecture is the sum of its choices'.
        tolerance: Architectures whose scores differ by no more cannot be told apart.
    """

    values: NDArray[np.float64]
    tolerance: float

    def of_choices(self, choices: Sequence[int]) -> float:
        """The sum of the scores of `choices`, one a block."""
        return float(self.values[np.arange(len(choices)), list(choices)].sum())

    @classmethod
    def of(
        cls, gains: Sequence[Tensor], space: SearchSpace, *, prior: float, errors: float
    ) -> Scores:
        """Scores from the gains of several batches: the mean gain, and a prior for capacity.

        Gains are noisy. Where they cannot tell candidates apart, the one that computes more is the
        better guess, for accuracy grows about with the logarithm of compute: the prior adds
        `prior` standard errors of a gain for each e-fold of MACs over the smallest candidate of
        the block. A candidate without MACs counts as one e-fold below.

        Args:
            gains: One `blocks choices` per batch, as `gate_gains` yields them.
            space: Whose candidates are scored.
            prior: In standard errors of a gain, pooled over the space; 0 scores by gains alone.
            errors: The tolerance, in standard errors of the difference of two architectures that
                share no choice.
        """
        stacked = torch.stack(list(gains)).numpy()
        mean: NDArray[np.float64] = stacked.mean(axis=0)
        if len(stacked) < 2:
            return cls(mean, 0.0)
        variance = float(stacked.var(axis=0, ddof=1).sum()) / sum(space.options)
        error = math.sqrt(variance / len(stacked))
        values = mean + prior * error * space.capacity()
        return cls(values, errors * error * math.sqrt(2 * len(space.options)))


def write_scores(folder: Path, scores: Scores) -> None:
    """Keep the scores in the run folder, so that a repair can project again."""
    data = {"scores": scores.values.tolist(), "tolerance": scores.tolerance}
    write_json(folder / SCORES, data)


def read_scores(folder: Path) -> Scores:
    """The scores that ranked the architectures of the run in `folder`.

    Raises:
        ArtefactError: The file is missing or is something else.
    """
    data = read_json(folder / SCORES)
    try:
        return Scores(np.array(data["scores"], dtype=np.float64), float(data["tolerance"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{folder / SCORES} holds no scores ({error}); search again into another folder."
        ) from error


def indistinct(
    scores: Scores,
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    count: int,
) -> tuple[Projected, ...]:
    """The `count` fastest architectures within the bounds that cannot be told from the best.

    This is the one-standard-error rule (Breiman et al. 1984, section 3.4.3) with latency as what
    is to be kept small: a slower network has to be worth its time. The first bound's cost decides.

    Raises:
        InfeasibleError: No architecture is within the bounds.
    """
    if scores.tolerance <= 0:
        return project(scores.values, costs, bounds, count)
    best = project(scores.values, costs, bounds)[0]
    return project_fastest(scores.values, costs, bounds, best.score - scores.tolerance, count)


def candidate_of(found: Projected, costs: Sequence[ExpectedLatency]) -> Candidate:
    """The record of a projected architecture, not evaluated."""
    network = costs[0].space.network(found.architecture)
    return Candidate(
        architecture=found.architecture,
        score=found.score,
        predicted=tuple(cost.of(found.architecture) for cost in costs),
        accuracy=None,
        macs=network.macs,
        params=network.params,
    )


def evaluate(
    supernet: Supernet,
    architecture: Architecture,
    data: SearchData,
    *,
    calibration_batches: int,
    size: int,
    images: int | None = None,
    world: World | None = None,
) -> tuple[float, float]:
    """Validation accuracy in [0, 1] and loss in nats, with inherited weights.

    Args:
        supernet: Whose weights are inherited.
        architecture: What is evaluated.
        data: Its training images calibrate, its validation images evaluate.
        calibration_batches: Batch norm is calibrated on so many of the first training batches.
        size: Images in each of them.
        images: Evaluate on about so many of the first validation images; None for all.
        world: Processes that each calibrate on their part of a batch.
    """
    network = supernet.derive(architecture)
    training = (data.train_batch(step, size) for step in range(calibration_batches))
    calibrate_batch_norm(network, training, world)
    batches = data.validation_set(_EVALUATION_BATCH)
    if images is not None:
        batches = islice(batches, math.ceil(images / _EVALUATION_BATCH))
    return accuracy_and_loss(network, batches)
