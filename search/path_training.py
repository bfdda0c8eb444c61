"""The weights of a supernet, trained along sampled paths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from ..core.config import Settings
from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from .checkpoint import (
    Checkpoint,
    module_tensors,
    optimiser_tensors,
    restore_module,
    restore_optimiser,
)
from .depthwise import speed_up_depthwise
from .gates import GateMode
from .precision import Arithmetic, Compute, Precision, compute_device, resolved
from .supernets import supernet_of

if TYPE_CHECKING:
    from .strategies.base import Problem


class PathSettings(Settings):
    """SGD with Nesterov momentum on cross-entropy with smoothed labels, one path a step.

    Attributes:
        batch_size: Images of a step.
        weight_rate: Peak learning rate, falling to 0 along a cosine.
        gradient_clip: Greatest norm of all gradients together; None for no limit.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.
        precision: `float32`, `bf16`, `float16`, or `auto`: mixed precision on a GPU, float32 else.
            Gradients of gates have no scale, so with `float16` they are computed in float32.
        fast_depthwise: On a processor, compute the gradients of depthwise convolutions by
            `search.depthwise`.
    """

    batch_size: int = Field(default=64, ge=2)
    weight_rate: float = Field(default=0.2, gt=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    weight_decay: float = Field(default=4e-5, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    gradient_clip: float | None = Field(default=None, gt=0)
    device: Compute = Compute.AUTO
    precision: Precision = Precision.AUTO
    fast_depthwise: bool = True


class PathTraining:
    """A supernet and its optimiser; every step trains the paths that the gates open.

    What is closed in a step gets no gradient at all, so that neither momentum nor weight decay
    moves it.
    """

    def __init__(self, problem: Problem, settings: PathSettings) -> None:
        self._problem = problem
        self._settings = settings
        device = compute_device(settings.device)
        self.supernet = supernet_of(problem.space, torch_generator(problem.seed, "supernet"))
        self.supernet.to(device)
        if settings.fast_depthwise:
            speed_up_depthwise(self.supernet)
        precision = resolved(settings.precision, device)
        self._arithmetic = Arithmetic(device, precision)
        exact = Precision.FLOAT32 if precision is Precision.FLOAT16 else precision
        self._unscaled = Arithmetic(device, exact)
        self._weights = self.supernet.weights()
        self._optimiser = torch.optim.SGD(
            self._weights,
            lr=settings.weight_rate,
            momentum=settings.momentum,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )

    def step(
        self, index: int, gates: Tensor, share: float, peak: float | None = None
    ) -> tuple[float, float]:
        """Train on batch `index` along `gates`.

        Args:
            index: Of the training batch.
            gates: `blocks choices`, 0 or 1, at least one open in each row.
            share: Of the schedule that is done, in [0, 1).
            peak: Of the learning rate, in place of the settings' `weight_rate`.

        Returns:
            Cross-entropy in nats and accuracy in [0, 1], both on that batch.

        Raises:
            ConfigError: The loss is no finite number.
        """
        settings, world = self._settings, self._problem.world
        images, labels = self._problem.data.train_batch(index, settings.batch_size)
        for group in self._optimiser.param_groups:
            group["lr"] = (peak or settings.weight_rate) * 0.5 * (1 + math.cos(math.pi * share))
        self._optimiser.zero_grad(set_to_none=True)
        with self._arithmetic.forward():
            logits = self.supernet(images, gates).float()
            loss = nn.functional.cross_entropy(
                logits, labels, label_smoothing=settings.label_smoothing
            )
        self._arithmetic.backward(loss)
        trained = [value for value in self._weights if value.grad is not None]
        # Averaged first: an overflow in one process is then seen by all, and all skip the step.
        world.average(p.grad for p in trained if p.grad is not None)
        self._arithmetic.unscale(self._optimiser)
        if settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(trained, settings.gradient_clip)
        right = (logits.argmax(dim=-1) == labels).double().mean()
        found = torch.stack([loss.detach().double(), right])
        world.average([found])
        value, accuracy = found.tolist()
        if not math.isfinite(value):
            raise ConfigError(
                f"The supernet diverged at step {index}: its loss is {value} at a peak rate of "
                f"{settings.weight_rate}. Lower weight_rate, or set gradient_clip."
            )
        self._arithmetic.step(self._optimiser)
        return value, accuracy

    def gate_gradient(
        self,
        images: Tensor,
        labels: Tensor,
        gates: Tensor,
        mode: GateMode = GateMode.RECOMPUTE,
        involved: Tensor | None = None,
    ) -> tuple[Tensor, float]:
        """The gradient of the cross-entropy with respect to `gates`, and the loss in nats.

        Means over all processes. Weights get no gradient, and none is computed for them.

        Args:
            images: `batch channels height width`.
            labels: `batch`, int64.
            gates: `blocks choices`, one-hot in each row.
            mode: How the gradients of closed gates come about.
            involved: As `Supernet.forward` takes it.
        """
        free = gates.detach().clone().requires_grad_()
        with _frozen(self._weights):
            with self._unscaled.forward():
                logits = self.supernet(images, free, mode, involved).float()
                loss = nn.functional.cross_entropy(logits, labels)
            (gradient,) = torch.autograd.grad(loss, [free])
        found = torch.cat([gradient.flatten(), loss.detach().to(gradient).reshape(1)])
        self._problem.world.average([found])
        return found[:-1].view_as(gradient), float(found[-1])

    def checkpoint(self) -> Checkpoint:
        """Weights and momenta."""
        tensors = {
            **module_tensors(self.supernet, "supernet"),
            **optimiser_tensors(self._optimiser, "weights"),
        }
        return Checkpoint(tensors, {"arithmetic": self._arithmetic.to_json()})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take on what `checkpoint` kept."""
        self._arithmetic.restore(checkpoint.state.get("arithmetic", {}))
        restore_module(self.supernet, checkpoint, "supernet")
        restore_optimiser(self._optimiser, checkpoint, "weights")


@contextmanager
def _frozen(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """None of `weights` asks for a gradient within the block.

    To ask only for the gates' gradient is not enough: a custom operator is not told that nobody
    wants its weight's.
    """
    for value in weights:
        value.requires_grad_(False)
    try:
        yield
    finally:
        for value in weights:
            value.requires_grad_(True)


def dropped_paths(mask: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Gates that leave paths out at random, and leave at least one open in every block.

    A path is dropped with probability `rate ** (1 / k)` in a block of `k` candidates, so that
    `rate` is the chance that all of them are (Bender et al. 2018, section 3.2). Where all were
    dropped one of them, drawn uniformly, stays: at the rate 1 exactly one path is open.

    Args:
        mask: `blocks choices`, true for real candidates.
        rate: In [0, 1].
        generator: Draws them.

    Returns:
        `blocks choices`, float64, 0 or 1.
    """
    counts = mask.sum(dim=-1, keepdim=True)
    drop = torch.full(counts.shape, rate, dtype=torch.float64) ** (1 / counts)
    draws = torch.rand(mask.shape, generator=generator, dtype=torch.float64)
    opened = (draws >= drop) & mask
    fallback = torch.multinomial(mask.double(), 1, generator=generator)
    none = ~opened.any(dim=-1, keepdim=True)
    alone = torch.zeros_like(opened).scatter_(-1, fallback, True)
    return torch.where(none, alone, opened).double()
