"""Training one network from scratch."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..core.artefact import canonical_json, sha256_of
from ..core.config import Settings
from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from ..latency.operators.weights import initialise
from .checkpoint import (
    Checkpoint,
    module_tensors,
    optimiser_tensors,
    read_checkpoint,
    restore_module,
    restore_optimiser,
    write_checkpoint,
)
from .data import SearchData
from .evaluate import accuracy
from .journal import Journal

_EVALUATION_BATCH = 256


class TrainingSettings(Settings):
    """SGD with Nesterov momentum on cross-entropy with smoothed labels.

    Attributes:
        rate: Peak learning rate: reached linearly in the first `ramp` of the steps, then falling
            to 0 along a cosine.
        weight_decay: Of convolutions and the classifier; batch norm and biases have none.
    """

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=2)
    rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ramp: float = Field(default=0.05, ge=0, lt=1)


@dataclass(frozen=True)
class TrainingStep:
    """The state of a training after one step, 1 to `total`.

    Attributes:
        loss: Cross-entropy with smoothed labels on the batch, in nats.
        accuracy: On the batch, in [0, 1].
        validation_accuracy: In [0, 1], after the last step only.
    """

    step: int
    total: int
    epoch: int
    loss: float
    accuracy: float
    validation_accuracy: float | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the fields."""
        return asdict(self)


def train_network(
    network: nn.Module,
    data: SearchData,
    settings: TrainingSettings,
    seed: int,
    *,
    folder: Path,
    name: str,
) -> Generator[TrainingStep, None, None]:
    """Trains `network` in place from fresh weights, and yields after every step.

    Keeps a checkpoint `NAME.checkpoint.safetensors` in `folder` and goes on from it; at the end
    the weights are in `NAME.safetensors` and the checkpoint is gone. If the weights are already
    there they are loaded and only the last step is yielded. The outcome is the same to the bit
    whether or not it was interrupted.

    Args:
        network: From `Operator.build()`; whatever weights it has are drawn anew from `seed`.
        data: The training part is trained on, the validation part only evaluated, at the end.
        settings: Steps, rates and sizes.
        seed: Of the weights; the order of the images is the data's.
        folder: Where the files lie.
        name: Of the files, without suffix.

    Raises:
        ConfigError: The files in `folder` are of other settings, data or weights.
        ArtefactError: They are damaged.
    """
    training = _Training(network, data, settings, seed, name)
    weights = folder / f"{name}.safetensors"
    if weights.exists():
        yield training.finished(read_checkpoint(weights))
        return
    journal = Journal(folder, f"{name}.checkpoint.safetensors", f"{name}.jsonl")
    done = training.restore(journal.resume())
    for step in range(done, training.total):
        report = training.step(step)
        journal.record(report.to_json())
        if report.step == training.total:
            write_checkpoint(weights, training.outcome(report))
            journal.close()
        else:
            journal.save(lambda done=report.step: training.checkpoint(done))  # type: ignore[misc]
        yield report


def read_weights(network: nn.Module, path: Path) -> None:
    """Load the weights that `train_network` wrote into `network`, and set it to evaluation.

    Raises:
        ArtefactError: The file is missing, damaged or of another network.
    """
    restore_module(network, read_checkpoint(path), "network")
    network.eval()


class _Training:
    """The state of one training: network and optimiser."""

    def __init__(
        self,
        network: nn.Module,
        data: SearchData,
        settings: TrainingSettings,
        seed: int,
        name: str,
    ) -> None:
        self._network, self._data, self._settings, self._name = network, data, settings, name
        initialise(network, torch_generator(seed, "weights"))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._steps_per_epoch = max(1, data.train_size // settings.batch_size)
        self.total = settings.epochs * self._steps_per_epoch
        decayed = [p for p in network.parameters() if p.dim() > 1]
        plain = [p for p in network.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": plain, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.SGD(
            groups,
            lr=settings.rate,
            momentum=settings.momentum,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )
        shapes = [[key, list(value.shape)] for key, value in network.state_dict().items()]
        identity = [settings.model_dump(mode="json"), data.name, seed, shapes]
        self._identity = sha256_of(canonical_json(identity))

    def checkpoint(self, done: int) -> Checkpoint:
        """Everything that the steps from `done` on depend on."""
        tensors = module_tensors(self._network, "network")
        tensors |= optimiser_tensors(self._optimiser, "optimiser")
        return Checkpoint(tensors, {"done": done, "identity": self._identity})

    def restore(self, checkpoint: Checkpoint | None) -> int:
        """Take on the state of `checkpoint`; returns how many steps were done."""
        if checkpoint is None:
            return 0
        self._check(checkpoint)
        restore_module(self._network, checkpoint, "network")
        restore_optimiser(self._optimiser, checkpoint, "optimiser")
        return int(checkpoint.state["done"])

    def outcome(self, last: TrainingStep) -> Checkpoint:
        """The trained weights and the last step."""
        state = {"identity": self._identity, "last": last.to_json()}
        return Checkpoint(module_tensors(self._network, "network"), state)

    def finished(self, outcome: Checkpoint) -> TrainingStep:
        """Take on trained weights; returns the last step of the training that gave them."""
        self._check(outcome)
        restore_module(self._network, outcome, "network")
        self._network.eval()
        return TrainingStep(**outcome.state["last"])

    def step(self, step: int) -> TrainingStep:
        """Weight step `step`; after the last one the network is evaluated."""
        images, labels = self._data.train_batch(step, self._settings.batch_size)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(step)
        self._network.train()
        self._optimiser.zero_grad(set_to_none=True)
        logits: Tensor = self._network(images.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(
            logits, labels, label_smoothing=self._settings.label_smoothing
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        validation = None
        if step + 1 == self.total:
            validation = accuracy(self._network, self._data.validation_set(_EVALUATION_BATCH))
            self._network.eval()
        return TrainingStep(
            step=step + 1,
            total=self.total,
            epoch=step // self._steps_per_epoch,
            loss=float(loss.detach()),
            accuracy=float((logits.argmax(dim=-1) == labels).double().mean()),
            validation_accuracy=validation,
        )

    def _rate(self, step: int) -> float:
        ramp = round(self._settings.ramp * self.total)
        if step < ramp:
            return self._settings.rate * (step + 1) / (ramp + 1)
        share = (step - ramp) / (self.total - ramp)
        return self._settings.rate * 0.5 * (1 + math.cos(math.pi * share))

    def _check(self, checkpoint: Checkpoint) -> None:
        if checkpoint.state.get("identity") != self._identity:
            raise ConfigError(
                f"The files named {self._name} are of a training with other settings, data, seed "
                "or network; delete them or choose another folder."
            )
