"""From a trained supernet to ranked architectures within the bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.artefact import read_json, write_json
from ..core.errors import ArtefactError
from ..core.seeding import torch_generator
from .architecture import Architecture
from .data import SearchData
from .evaluate import accuracy_and_loss, calibrate_batch_norm
from .expected_latency import ExpectedLatency
from .gates import one_hot, sample_choices
from .projection import Projected
from .result import Candidate
from .spaces import SearchSpace
from .supernet import Supernet

SCORES = "scores.json"
_EVALUATION_BATCH = 256


def gate_gains(
    supernet: Supernet, probs: Tensor, data: SearchData, *, batches: int, size: int, seed: int
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
        mean = (grad * mask).sum(dim=-1, keepdim=True) / mask.sum(dim=-1, keepdim=True)
        yield -(grad - mean) * mask


def scores_from(gains: Sequence[Tensor], space: SearchSpace, prior: float) -> NDArray[np.float64]:
    """The score of each candidate: its mean gain, and a prior in favour of capacity.

    Gains are noisy. Where they cannot tell candidates apart, the one that computes more is the
    better guess, since accuracy grows with capacity on average; else the bound would stay unused.
    The prior is `prior` standard errors of the gains, pooled over the space, times the
    candidate's share of the largest MACs in its block.

    Args:
        gains: One `blocks choices` per batch, as `gate_gains` yields them.
        space: Whose candidates are scored.
        prior: In standard errors; 0 ranks by gains alone.
    """
    stacked = torch.stack(list(gains)).numpy()
    mean: NDArray[np.float64] = stacked.mean(axis=0)
    if len(stacked) < 2 or prior == 0:
        return mean
    counts = sum(len(block.candidates) for block in space.blocks)
    variance = stacked.var(axis=0, ddof=1).sum() / counts
    error = float(np.sqrt(variance / len(stacked)))
    share = np.zeros_like(mean)
    for row, block in zip(share, space.blocks, strict=True):
        macs = np.array([candidate.macs for candidate in block.candidates], dtype=np.float64)
        row[: len(macs)] = macs / max(macs.max(), 1.0)
    return mean + prior * error * share


def write_scores(folder: Path, scores: NDArray[np.float64]) -> None:
    """Keep the scores in the run folder, so that a repair can project again."""
    write_json(folder / SCORES, {"scores": scores.tolist()})


def read_scores(folder: Path) -> NDArray[np.float64]:
    """The scores `blocks choices` that ranked the architectures of the run in `folder`.

    Raises:
        ArtefactError: The file is missing or is something else.
    """
    data = read_json(folder / SCORES)
    try:
        return np.array(data["scores"], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{folder / SCORES} holds no scores ({error}); search again into another folder."
        ) from error


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
) -> tuple[float, float]:
    """Validation accuracy in [0, 1] and loss in nats, with inherited weights.

    Batch norm is calibrated on the first `calibration_batches` training batches of `size` images.
    """
    network = supernet.derive(architecture)
    calibrate_batch_norm(
        network, (data.train_batch(step, size) for step in range(calibration_batches))
    )
    return accuracy_and_loss(network, data.validation_set(_EVALUATION_BATCH))
