"""ProxylessNAS by REINFORCE (Cai et al. 2019, section 3.3.2)."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...core.config import parse
from ...core.seeding import torch_generator
from ..architecture import Architecture
from ..checkpoint import Checkpoint
from ..data import SearchData
from ..derive import Scores, candidate_of, evaluate, write_scores
from ..gates import one_hot, sample_choices
from ..journal import Journal
from ..path_training import PathSettings, PathTraining
from ..projection import Projected, project
from ..reinforce import Baseline, Reward, advantages, rewards, score_function_gradient
from ..relaxations.objective import TaskAlone
from ..relaxations.softmax import SoftmaxRelaxation
from ..result import Candidate
from . import strategies
from .base import Problem, SearchStep, Strategy, state_of

_KEPT = 64
_FLOOR = 1e-12


class ProxylessRSettings(PathSettings):
    """Steps, samples, reward and baseline; see `PathSettings` for the weights.

    Attributes:
        warmup_steps: Weight steps on uniformly drawn paths ahead of the search.
        steps: Weight steps of the search; one architecture step after every
            `architecture_interval` of them.
        samples: Networks of an architecture step, all valued on the same validation batch of
            `architecture_batch_size` images with the batch's own statistics, as in the release.
        weight: The exponent `w` of the reward.
        decay: The weight of the new mean in the baseline `moving`.
        candidates: Sampled networks that are evaluated and ranked in the end.
        calibration_batches: Training batches that batch norm is calibrated on for each of them.
        record_interval: Steps between two lines of the history.
    """

    warmup_steps: int = Field(default=200, ge=0)
    steps: int = Field(default=300, ge=1)
    architecture_interval: int = Field(default=4, ge=1)
    architecture_batch_size: int = Field(default=128, ge=2)
    samples: int = Field(default=8, ge=2)
    architecture_rate: float = Field(default=0.03, gt=0)
    reward: Reward = Reward.HARD
    weight: float = Field(default=0.3, gt=0)
    baseline: Baseline = Baseline.LEAVE_ONE_OUT
    decay: float = Field(default=0.99, gt=0, le=1)
    candidates: int = Field(default=8, ge=1)
    calibration_batches: int = Field(default=4, ge=1)
    record_interval: int = Field(default=5, ge=1)


@final
@strategies.register("proxyless-r")
@dataclass(frozen=True)
class ProxylessR(Strategy):
    """Weight steps, and REINFORCE on sampled networks; the best sampled one within the bounds.

    The gradient of the expected reward needs nothing from latency but its value, so it serves
    where latency has no gradient at all. The most probable network may well break the bound, so it
    is not what comes out: the sampled networks within every bound are ranked by their rewards, and
    the best of them by validation accuracy with inherited weights and calibrated batch norm.
    """

    settings: ProxylessRSettings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        return cls(parse(ProxylessRSettings, dict(settings), source))

    def describe(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    def weight_steps(self, data: SearchData) -> int:
        return self.settings.warmup_steps + self.settings.steps

    def check(self, problem: Problem) -> None:
        """Any problem will do."""

    def run(
        self, problem: Problem, journal: Journal, folder: Path
    ) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        search = _Search(problem, self.settings, journal)
        done = search.restore(journal.resume())
        total = self.weight_steps(problem.data)
        for step in range(done, total):
            report = search.step(step)
            if report.step % self.settings.record_interval == 0:
                journal.record(report.to_json())
            last_of_phase = report.step in (self.settings.warmup_steps, total)
            journal.save(lambda done=report.step: search.checkpoint(done), force=last_of_phase)  # type: ignore[misc]
            yield report
        return (yield from search.derive(folder))


class _Search:
    """The state of one run: supernet, relaxation, baseline, and the best networks sampled."""

    def __init__(self, problem: Problem, settings: ProxylessRSettings, journal: Journal) -> None:
        self._problem = problem
        self._settings = settings
        self._journal = journal
        self._training = PathTraining(problem, settings)
        self._relaxation = SoftmaxRelaxation(
            problem.costs,
            TaskAlone(len(problem.bounds)),
            rate=settings.architecture_rate,
            generator=torch_generator(problem.seed, "architecture"),
        )
        self._running: float | None = None
        self._best: dict[tuple[int, ...], float] = {}
        self._validation_loss: float | None = None

    @property
    def _trained(self) -> int:
        return self._settings.warmup_steps + self._settings.steps

    def checkpoint(self, done: int) -> Checkpoint:
        """Everything that the steps from `done` on depend on."""
        training, relaxation = self._training.checkpoint(), self._relaxation.checkpoint()
        tensors = {f"training/{name}": value for name, value in training.tensors.items()}
        tensors |= {f"relaxation/{name}": value for name, value in relaxation.tensors.items()}
        state = {
            "done": done,
            "training": training.state,
            "relaxation": relaxation.state,
            "running": self._running,
            "best": [[list(choices), value] for choices, value in self._best.items()],
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
        self._running = state["running"]
        self._best = {tuple(choices): value for choices, value in state["best"]}
        self._validation_loss = state["validation_loss"]
        return int(state["done"])

    def step(self, step: int) -> SearchStep:
        """Weight step `step`, and the architecture step that follows it if one is due."""
        settings = self._settings
        searching = step - settings.warmup_steps
        is_warmup = searching < 0
        supernet = self._training.supernet
        probs = supernet.uniform() if is_warmup else self._relaxation.probabilities()
        choices = sample_choices(probs, torch_generator(self._problem.seed, "path", step))
        share = step / settings.warmup_steps if is_warmup else searching / settings.steps
        loss, accuracy = self._training.step(step, one_hot(choices, probs.shape[-1]), share)
        is_due = not is_warmup and (searching + 1) % settings.architecture_interval == 0
        if is_due:
            self._architecture_step(searching // settings.architecture_interval)
        report = self._report(step + 1, "warm-up" if is_warmup else "search", loss, accuracy)
        if is_due:
            self._journal.frame(report)
        return report

    def _architecture_step(self, index: int) -> None:
        problem, settings = self._problem, self._settings
        generator = torch_generator(problem.seed, "samples", index)
        probs = self._relaxation.probabilities()
        sampled = [sample_choices(probs, generator) for _ in range(settings.samples)]
        accuracies, loss = self._values(sampled, index)
        rows = [[cost.of_choices(c.tolist()) for cost in problem.costs] for c in sampled]
        limits = [bound.limit for bound in problem.bounds]
        values = rewards(accuracies, rows, limits, settings.reward, settings.weight)
        advantage, self._running = advantages(
            values, settings.baseline, self._running, settings.decay
        )
        gradient = score_function_gradient(probs, sampled, advantage)
        self._relaxation.step(loss, gradient)
        self._validation_loss = loss
        for chosen, row, value in zip(sampled, rows, values, strict=True):
            choices = tuple(chosen.tolist())
            within = all(b.allows(cost) for b, cost in zip(problem.bounds, row, strict=True))
            if within and problem.space.fault(choices) is None:
                self._remember(choices, value)

    def _values(self, sampled: Sequence[Tensor], index: int) -> tuple[list[float], float]:
        """Accuracy of each network on validation batch `index`, and their mean loss in nats."""
        problem, supernet = self._problem, self._training.supernet
        images, labels = problem.data.validation_batch(
            index, self._settings.architecture_batch_size
        )
        found = []
        with torch.no_grad():
            for chosen in sampled:
                logits = supernet(images, one_hot(chosen, supernet.mask.shape[-1]))
                right = (logits.argmax(dim=-1) == labels).double().mean()
                loss = torch.nn.functional.cross_entropy(logits, labels).double()
                found.append(torch.stack([right, loss]))
        stacked = torch.stack(found)
        problem.world.average([stacked])
        return stacked[:, 0].tolist(), float(stacked[:, 1].mean())

    def _remember(self, choices: tuple[int, ...], value: float) -> None:
        """Keep the latest reward of a network, and of all networks the best."""
        self._best[choices] = value
        if len(self._best) > _KEPT:
            del self._best[min(self._best, key=lambda known: self._best[known])]

    def _report(
        self, step: int, phase: str, loss: float | None = None, accuracy: float | None = None
    ) -> SearchStep:
        return state_of(
            self._problem,
            self._relaxation.probabilities(),
            self._relaxation.multipliers,
            step=step,
            total=self._trained + self._settings.candidates,
            phase=phase,
            loss=loss,
            accuracy=accuracy,
            validation_loss=self._validation_loss,
        )

    def derive(self, folder: Path) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        """Rank the best sampled networks; depends on nothing but the trained state."""
        problem, settings = self._problem, self._settings
        probs = self._relaxation.probabilities()
        scores = Scores(np.log(probs.clamp(min=_FLOOR).numpy()), 0.0)
        write_scores(folder, scores)
        ranked: list[tuple[float, Candidate]] = []
        for index, found in enumerate(self._found(scores)):
            accuracy, loss = evaluate(
                self._training.supernet,
                found.architecture,
                problem.data,
                calibration_batches=settings.calibration_batches,
                size=settings.batch_size,
                world=problem.world,
            )
            candidate = replace(candidate_of(found, problem.costs), accuracy=accuracy)
            ranked.append((loss, candidate))
            yield self._report(self._trained + index + 1, "rank")
        ranked.sort(key=lambda item: (-(item[1].accuracy or 0.0), item[0], -item[1].score))
        return tuple(candidate for _, candidate in ranked)

    def _found(self, scores: Scores) -> list[Projected]:
        """The sampled networks of best reward; the most probable within the bounds if none was."""
        problem, count = self._problem, self._settings.candidates
        best = sorted(self._best, key=lambda choices: (-self._best[choices], choices))[:count]
        sampled = [
            Projected(Architecture(problem.space.name, choices), self._best[choices])
            for choices in best
        ]
        if len(sampled) == count:
            return sampled
        known = {found.architecture for found in sampled}
        more = project(scores.values, problem.costs, problem.bounds, count)
        sampled += [found for found in more if found.architecture not in known]
        return sampled[:count]
