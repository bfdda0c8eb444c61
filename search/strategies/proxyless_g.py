"""ProxylessNAS by gradients (Cai et al. 2019, section 3), with a hard bound at the end."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor

from ...core.config import Settings, parse
from ...core.seeding import torch_generator
from ..checkpoint import (
    Checkpoint,
    module_tensors,
    optimiser_tensors,
    restore_module,
    restore_optimiser,
)
from ..derive import Scores, candidate_of, evaluate, gate_gains, indistinct, write_scores
from ..gates import one_hot, sample_choices, straight_through
from ..journal import Journal
from ..lagrangian import AugmentedLagrangian
from ..result import Candidate
from ..supernet import Supernet
from . import strategies
from .base import Problem, SearchStep, Strategy


class ProxylessGSettings(Settings):
    """Steps, rates and sizes.

    Attributes:
        warmup_steps: Weight steps on uniformly drawn paths ahead of the search.
        steps: Weight steps of the search; one architecture step after every
            `architecture_interval` of them.
        batch_size: Of weight steps; `architecture_batch_size` of the others.
        weight_rate: Peak rate of SGD with Nesterov momentum, falling along a cosine in each phase.
        architecture_rate: Rate of Adam with betas (0, 0.999), as in the released code.
        rho: Weight of the quadratic penalty, `eta` the ascent rate of the multipliers.
        score_batches: Validation batches that the gains are averaged over.
        capacity_prior: In standard errors of a gain for each e-fold of MACs (`Scores.of`).
        tolerance: In standard errors of a difference of architectures: of those that cannot be
            told from the best, the fastest are taken (`indistinct`). 0 takes the best itself.
        candidates: Architectures that are evaluated and ranked.
        calibration_batches: Training batches that batch norm is calibrated on for each of them.
        record_interval: Steps between two lines of the history.
    """

    warmup_steps: int = Field(default=200, ge=0)
    steps: int = Field(default=300, ge=1)
    architecture_interval: int = Field(default=2, ge=1)
    batch_size: int = Field(default=64, ge=2)
    architecture_batch_size: int = Field(default=64, ge=2)
    weight_rate: float = Field(default=0.2, gt=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    weight_decay: float = Field(default=4e-5, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    architecture_rate: float = Field(default=0.03, gt=0)
    rho: float = Field(default=10.0, ge=0)
    eta: float = Field(default=0.05, gt=0)
    score_batches: int = Field(default=24, ge=1)
    capacity_prior: float = Field(default=4.0, ge=0)
    tolerance: float = Field(default=1.0, ge=0)
    candidates: int = Field(default=8, ge=1)
    calibration_batches: int = Field(default=4, ge=1)
    record_interval: int = Field(default=5, ge=1)


@strategies.register("proxyless-g")
@dataclass(frozen=True)
class ProxylessG(Strategy):
    """Warm-up, then weight steps and architecture steps in turn, then an exact projection.

    The architecture's loss on held-out images is cross-entropy plus an augmented Lagrangian on
    `E[LAT]/T - 1` of every bound. The expectation alone does not keep the derived network within
    the bound, so the architecture is not the most probable one: among all architectures within
    the bound, the sum of the candidates' marginal gains is maximised exactly, and the fastest that
    cannot be told from that maximum are taken (`indistinct`). They are ranked by validation
    accuracy with inherited weights and calibrated batch norm.
    """

    settings: ProxylessGSettings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        return cls(parse(ProxylessGSettings, dict(settings), source))

    def describe(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    @property
    def weight_steps(self) -> int:
        return self.settings.warmup_steps + self.settings.steps

    def run(
        self, problem: Problem, journal: Journal, folder: Path
    ) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        search = _Search(problem, self.settings)
        done = search.restore(journal.resume())
        for step in range(done, self.weight_steps):
            report = search.step(step)
            if report.step % self.settings.record_interval == 0:
                journal.record(report.to_json())
            last_of_phase = report.step in (self.settings.warmup_steps, self.weight_steps)
            journal.save(lambda done=report.step: search.checkpoint(done), force=last_of_phase)  # type: ignore[misc]
            yield report
        return (yield from search.derive(folder))


class _Search:
    """The state of one run: supernet, optimisers, multipliers."""

    def __init__(self, problem: Problem, settings: ProxylessGSettings) -> None:
        self._problem = problem
        self._settings = settings
        generator = torch_generator(problem.seed, "supernet")
        self._supernet = Supernet(problem.space, generator)
        self._weights = torch.optim.SGD(
            self._supernet.weights(),
            lr=settings.weight_rate,
            momentum=settings.momentum,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )
        self._architecture = torch.optim.Adam(
            [self._supernet.logits], lr=settings.architecture_rate, betas=(0.0, 0.999)
        )
        self._lagrangian = AugmentedLagrangian.fresh(
            settings.rho, settings.eta, len(problem.bounds)
        )
        self._validation_loss: float | None = None

    @property
    def _trained(self) -> int:
        return self._settings.warmup_steps + self._settings.steps

    @property
    def _total(self) -> int:
        return self._trained + self._settings.score_batches + self._settings.candidates

    def checkpoint(self, done: int) -> Checkpoint:
        """Everything that the steps from `done` on depend on."""
        tensors = {
            **module_tensors(self._supernet, "supernet"),
            **optimiser_tensors(self._weights, "weights"),
            **optimiser_tensors(self._architecture, "architecture"),
        }
        state = {
            "done": done,
            "lagrangian": self._lagrangian.to_json(),
            "validation_loss": self._validation_loss,
        }
        return Checkpoint(tensors, state)

    def restore(self, checkpoint: Checkpoint | None) -> int:
        """Take on the state of `checkpoint`; returns how many steps were done."""
        if checkpoint is None:
            return 0
        restore_module(self._supernet, checkpoint, "supernet")
        restore_optimiser(self._weights, checkpoint, "weights")
        restore_optimiser(self._architecture, checkpoint, "architecture")
        self._lagrangian = self._lagrangian.restored(checkpoint.state["lagrangian"])
        self._validation_loss = checkpoint.state["validation_loss"]
        return int(checkpoint.state["done"])

    def step(self, step: int) -> SearchStep:
        """Weight step `step`, and the architecture step that follows it if one is due."""
        settings = self._settings
        searching = step - settings.warmup_steps
        is_warmup = searching < 0
        loss, accuracy = self._weight_step(step, is_warmup)
        if not is_warmup and (searching + 1) % settings.architecture_interval == 0:
            self._architecture_step(searching // settings.architecture_interval)
        phase = "warm-up" if is_warmup else "search"
        return self._report(step + 1, phase, loss, accuracy)

    def _weight_step(self, step: int, is_warmup: bool) -> tuple[float, float]:
        settings, supernet = self._settings, self._supernet
        images, labels = self._problem.data.train_batch(step, settings.batch_size)
        probs = supernet.uniform() if is_warmup else supernet.probabilities()
        choices = sample_choices(probs, torch_generator(self._problem.seed, "path", step))
        for group in self._weights.param_groups:
            group["lr"] = self._rate(step)
        # Gradients of paths that are not sampled stay None: neither momentum nor decay moves them.
        self._weights.zero_grad(set_to_none=True)
        logits = supernet(images, one_hot(choices, probs.shape[-1]))
        loss = torch.nn.functional.cross_entropy(
            logits, labels, label_smoothing=settings.label_smoothing
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self._weights.step()
        right = (logits.argmax(dim=-1) == labels).double().mean()
        return float(loss.detach()), float(right)

    def _rate(self, step: int) -> float:
        """Cosine from the peak rate to 0, once in the warm-up and once in the search."""
        settings = self._settings
        start, length = 0, settings.warmup_steps
        if step >= length:
            start, length = length, settings.steps
        return settings.weight_rate * 0.5 * (1 + math.cos(math.pi * (step - start) / length))

    def _architecture_step(self, index: int) -> None:
        problem, supernet = self._problem, self._supernet
        images, labels = problem.data.validation_batch(
            index, self._settings.architecture_batch_size
        )
        probs = supernet.probabilities()
        choices = sample_choices(probs, torch_generator(problem.seed, "gates", index))
        logits = supernet(images, straight_through(probs, choices))
        task = torch.nn.functional.cross_entropy(logits, labels)
        violations = torch.stack(
            [c(probs) / b.limit - 1 for c, b in zip(problem.costs, problem.bounds, strict=True)]
        )
        loss = task + self._lagrangian.penalty(violations)
        # Only this gradient: the engine then skips the gradients of all weights.
        (supernet.logits.grad,) = torch.autograd.grad(loss, [supernet.logits])
        self._architecture.step()
        supernet.logits.grad = None
        self._validation_loss = float(task.detach())
        self._lagrangian = self._lagrangian.updated(
            violations.detach().tolist(), self._validation_loss
        )

    def _report(
        self, step: int, phase: str, loss: float | None = None, accuracy: float | None = None
    ) -> SearchStep:
        supernet = self._supernet
        with torch.no_grad():
            probs = supernet.probabilities()
            expected = tuple(float(cost(probs)) for cost in self._problem.costs)
            entropy = float(torch.special.entr(probs).sum(dim=-1).mean())
        rows = tuple(
            tuple(row[: len(block.candidates)])
            for row, block in zip(probs.tolist(), self._problem.space.blocks, strict=True)
        )
        return SearchStep(
            step=step,
            total=self._total,
            phase=phase,
            loss=loss,
            accuracy=accuracy,
            validation_loss=self._validation_loss,
            expected=expected,
            lam=self._lagrangian.lam,
            entropy=entropy,
            probabilities=rows,
        )

    def derive(self, folder: Path) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        """Score, project and rank; depends on nothing but the trained state."""
        problem, settings, supernet = self._problem, self._settings, self._supernet
        probs = supernet.probabilities().detach()
        gains: list[Tensor] = []
        for gain in gate_gains(
            supernet,
            probs,
            problem.data,
            batches=settings.score_batches,
            size=settings.architecture_batch_size,
            seed=problem.seed,
        ):
            gains.append(gain)
            yield self._report(self._trained + len(gains), "score")
        scores = Scores.of(
            gains, problem.space, prior=settings.capacity_prior, errors=settings.tolerance
        )
        write_scores(folder, scores)
        found = indistinct(scores, problem.costs, problem.bounds, settings.candidates)
        ranked: list[tuple[float, Candidate]] = []
        for index, projected in enumerate(found):
            accuracy, loss = evaluate(
                supernet,
                projected.architecture,
                problem.data,
                calibration_batches=settings.calibration_batches,
                size=settings.batch_size,
            )
            candidate = replace(candidate_of(projected, problem.costs), accuracy=accuracy)
            ranked.append((loss, candidate))
            yield self._report(self._trained + len(gains) + index + 1, "rank")
        ranked.sort(key=lambda item: (-(item[1].accuracy or 0.0), item[0], -item[1].score))
        return tuple(candidate for _, candidate in ranked)
