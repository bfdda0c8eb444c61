"""Accuracy of plain networks, and batch-norm statistics for weights that have none."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


def calibrate_batch_norm(network: nn.Module, batches: Iterable[Batch]) -> None:
    """Set every batch norm's running statistics to their average over `batches`, in place.

    Weights that were trained inside a supernet saw the statistics of many paths, so a path has to
    be given its own before it is evaluated. Leaves the network in evaluation mode.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average over all batches
    network.train()
    with torch.no_grad():
        for images, _ in batches:
            network(_laid_out(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def accuracy(network: nn.Module, batches: Iterable[Batch]) -> float:
    """Share of images whose largest logit is the label's, in [0, 1]; in evaluation mode."""
    right, _, count = _totals(network, batches)
    return right / count


def accuracy_and_loss(network: nn.Module, batches: Iterable[Batch]) -> tuple[float, float]:
    """Accuracy in [0, 1] and mean cross-entropy in nats; in evaluation mode."""
    right, loss, count = _totals(network, batches)
    return right / count, loss / count


def _totals(network: nn.Module, batches: Iterable[Batch]) -> tuple[int, float, int]:
    was_training = network.training
    network.eval()
    right, loss, count = 0, 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = network(_laid_out(images))
            right += int((logits.argmax(dim=-1) == labels).sum())
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            count += len(labels)
    network.train(was_training)
    return right, loss, max(count, 1)


def _laid_out(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
