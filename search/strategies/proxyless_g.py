"""ProxylessNAS by gradients (Cai et al. 2019, section 3), with a hard bound at the end."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor

from ...core.config import parse
from ...core.errors import ConfigError
from ...core.seeding import torch_generator
from ..checkpoint import Checkpoint
from ..data import SearchData
from ..derivation import DerivationSettings, derive_candidates
from ..gates import GateMode, one_hot, sample_choices, sample_two
from ..journal import Journal
from ..path_training import PathSettings, PathTraining
from ..relaxation import Relaxation
from ..relaxations import Mechanism, RelaxationOptions, relaxation_of
from ..result import Candidate
from ..spaces import block_space
from . import strategies
from .base import Problem, SearchStep, Strategy, state_of


class ProxylessGSettings(PathSettings, DerivationSettings):
    """Steps, rates and sizes; those of weights and of the derivation are inherited.

    Attributes:
        warmup_steps: Weight steps on uniformly drawn paths ahead of the search.
        warmup_rate: Their peak rate; None for `weight_rate`. Each phase has a cosine of its own.
        steps: Weight steps of the search; one architecture step after every
            `architecture_interval` of them, but for the first `architecture_delay`.
        architecture_batch_size: Validation images of an architecture step.
        architecture_rate: Rate of Adam with betas (0, 0.999), as in the released code.
        gates: How gradients of closed gates come about (`GateMode`).
        mechanism: What keeps E[LAT] at the bound (`Mechanism`), and what it reads: `rho`, `eta`,
            `strength`, `alpha` and `beta` (`RelaxationOptions`).
        legacy: What the released code computes where it differs from the paper: a block whose
            open candidate leaves it out gets no gradient but the bound's, and in the mode `two`
            E[LAT] is of the two sampled candidates alone.
        record_interval: Steps between two lines of the history.
    """

    warmup_steps: int = Field(default=200, ge=0)
    warmup_rate: float | None = Field(default=None, gt=0)
    steps: int = Field(default=300, ge=1)
    architecture_interval: int = Field(default=2, ge=1)
    architecture_delay: int = Field(default=0, ge=0)
    architecture_batch_size: int = Field(default=64, ge=2)
    architecture_rate: float = Field(default=0.03, gt=0)
    gates: GateMode = GateMode.RECOMPUTE
    mechanism: Mechanism = Mechanism.AUGMENTED_LAGRANGIAN
    rho: float = Field(default=10.0, ge=0)
    eta: float = Field(default=0.05, gt=0)
    strength: float = Field(default=0.1, ge=0)
    alpha: float = Field(default=0.2, gt=0)
    beta: float = Field(default=0.3, ge=0)
    legacy: bool = False
    record_interval: int = Field(default=5, ge=1)


@strategies.register("proxyless-g")
@dataclass(frozen=True)
class ProxylessG(Strategy):
    """Warm-up, then weight steps and architecture steps in turn, then an exact projection.

    The architecture's loss on held-out images is cross-entropy plus, by default, an augmented
    Lagrangian on `E[LAT]/T - 1` of every bound. The expectation alone does not keep the derived
    network within the bound, so the architecture is not the most probable one: among all within
    the bound, the sum of the candidates' marginal gains is maximised exactly, and what cannot be
    told from that maximum is ranked by validation (`derive_candidates`).
    """

    settings: ProxylessGSettings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        found = parse(ProxylessGSettings, dict(settings), source)
        if found.gates is GateMode.TWO and found.mechanism is Mechanism.FRANK_WOLFE:
            raise ConfigError(
                f"{source}: frank_wolfe compares all candidates of a block, and gates=two samples "
                f"two of them; use gates=recompute."
            )
        return cls(found)

    def describe(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    def weight_steps(self, data: SearchData) -> int:
        return self.settings.warmup_steps + self.settings.steps

    def check(self, problem: Problem) -> None:
        if self.settings.legacy:
            block_space(problem.space, "The setting legacy", "leave it out: no release had links")
        _relaxation(problem, self.settings)

    def run(
        self, problem: Problem, journal: Journal, folder: Path
    ) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        search = _Search(problem, self.settings)
        done = search.restore(journal.resume())
        total = self.weight_steps(problem.data)
        for step in range(done, total):
            report, is_framed = search.step(step)
            if report.step % self.settings.record_interval == 0:
                journal.record(report.to_json())
            if is_framed:
                journal.frame(report)
            last_of_phase = report.step in (self.settings.warmup_steps, total)
            journal.save(lambda done=report.step: search.checkpoint(done), force=last_of_phase)  # type: ignore[misc]
            yield report
        return (yield from search.derive(folder))


class _Search:
    """The state of one run: the supernet with its optimiser, and the relaxation."""

    def __init__(self, problem: Problem, settings: ProxylessGSettings) -> None:
        self._problem = problem
        self._settings = settings
        self._training = PathTraining(problem, settings)
        self._supernet = self._training.supernet
        self._relaxation = _relaxation(problem, settings)
        self._validation_loss: float | None = None

    def checkpoint(self, done: int) -> Checkpoint:
        """Everything that the steps from `done` on depend on."""
        training, relaxation = self._training.checkpoint(), self._relaxation.checkpoint()
        tensors = {f"training/{name}": value for name, value in training.tensors.items()}
        tensors |= {f"relaxation/{name}": value for name, value in relaxation.tensors.items()}
        state = {
            "done": done,
            "training": training.state,
            "relaxation": relaxation.state,
            "validation_loss": self._validation_loss,
        }
        return Checkpoint(tensors, state)

    def restore(self, checkpoint: Checkpoint | None) -> int:
        """Take on the state of `checkpoint`; returns how many steps were done."""
        if checkpoint is None:
            return 0
        state = checkpoint.state
        self._training.restore(Checkpoint(checkpoint.part("training"), state["training"]))
        self._relaxation.restore(Checkpoint(checkpoint.part("relaxation"), state["relaxation"]))
        self._validation_loss = state["validation_loss"]
        return int(state["done"])

    def step(self, step: int) -> tuple[SearchStep, bool]:
        """Weight step `step`, and the architecture step that follows it if one is due.

        Returns:
            The state after it, and whether there was an architecture step.
        """
        settings = self._settings
        searching = step - settings.warmup_steps
        is_warmup = searching < 0
        loss, accuracy = self._weight_step(step, is_warmup)
        is_due = (
            searching >= settings.architecture_delay
            and (searching + 1) % settings.architecture_interval == 0
        )
        if is_due:
            self._architecture_step(searching // settings.architecture_interval)
        phase = "warm-up" if is_warmup else "search"
        total = self._trained + settings.derivation_steps
        return self._report(step + 1, total, phase, loss, accuracy), is_due

    @property
    def _trained(self) -> int:
        return self._settings.warmup_steps + self._settings.steps

    def _weight_step(self, step: int, is_warmup: bool) -> tuple[float, float]:
        settings, supernet = self._settings, self._supernet
        probs = supernet.uniform() if is_warmup else self._relaxation.probabilities()
        choices = sample_choices(probs, torch_generator(self._problem.seed, "path", step))
        start, length, peak = 0, settings.warmup_steps, settings.warmup_rate
        if not is_warmup:
            start, length, peak = settings.warmup_steps, settings.steps, None
        gates = one_hot(choices, probs.shape[-1])
        return self._training.step(step, gates, (step - start) / length, peak)

    def _architecture_step(self, index: int) -> None:
        problem, settings = self._problem, self._settings
        images, labels = problem.data.validation_batch(index, settings.architecture_batch_size)
        probs = self._relaxation.probabilities()
        generator = torch_generator(problem.seed, "gates", index)
        involved = None
        if settings.gates is GateMode.TWO:
            choices, involved = sample_two(probs, generator)
        else:
            choices = sample_choices(probs, generator)
        gates = one_hot(choices, probs.shape[-1])
        gradient, self._validation_loss = self._training.gate_gradient(
            images, labels, gates, settings.gates, involved
        )
        if not math.isfinite(self._validation_loss):
            raise ConfigError(
                f"Architecture step {index} found the validation loss {self._validation_loss}: "
                f"the weights diverged at a peak rate of {settings.weight_rate}. "
                f"Lower weight_rate, or set gradient_clip."
            )
        if settings.legacy:
            gradient = self._without_skipped(gradient, choices)
        self._relaxation.step(self._validation_loss, gradient, involved)

    def _without_skipped(self, gradient: Tensor, choices: Tensor) -> Tensor:
        """Rows of 0 where the open candidate leaves its block out, as the release has it."""
        taken = enumerate(choices.tolist())
        skipped = torch.tensor([self._problem.space.is_left_out(*choice) for choice in taken])
        return gradient.masked_fill(skipped[:, None], 0.0)

    def _report(
        self,
        step: int,
        total: int,
        phase: str,
        loss: float | None = None,
        accuracy: float | None = None,
    ) -> SearchStep:
        return state_of(
            self._problem,
            self._relaxation.probabilities(),
            self._relaxation.multipliers,
            step=step,
            total=total,
            phase=phase,
            loss=loss,
            accuracy=accuracy,
            validation_loss=self._validation_loss,
        )

    def derive(self, folder: Path) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        """Score, project and rank; depends on nothing but the trained state."""
        settings = self._settings

        def report(phase: str, done: int, total: int) -> SearchStep:
            return self._report(self._trained + done, self._trained + total, phase)

        return derive_candidates(
            self._problem,
            self._supernet,
            self._relaxation.probabilities(),
            settings,
            batch_size=settings.batch_size,
            score_batch_size=settings.architecture_batch_size,
            folder=folder,
            report=report,
        )


def _relaxation(problem: Problem, settings: ProxylessGSettings) -> Relaxation:
    options = RelaxationOptions(
        rate=settings.architecture_rate,
        rho=settings.rho,
        eta=settings.eta,
        strength=settings.strength,
        alpha=settings.alpha,
        beta=settings.beta,
        renormalised=settings.legacy,
    )
    generator = torch_generator(problem.seed, "architecture")
    return relaxation_of(settings.mechanism, problem.costs, problem.bounds, options, generator)
