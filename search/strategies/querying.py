"""Searches that ask what single architectures are worth: one after another, by a sampler.

What an architecture is worth is its validation accuracy, either with the weights of a supernet
that was trained once for all of them, or after a short training of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from ...core.errors import ArtefactError, ConfigError, UnavailableError
from ...core.seeding import spawn, torch_generator
from ..additive import additive_scores
from ..architecture import Architecture
from ..checkpoint import Checkpoint
from ..data import SearchData
from ..derive import Scores, candidate_of, write_scores
from ..journal import Journal
from ..path_training import PathSettings, PathTraining, dropped_paths
from ..projection import Projected
from ..result import Candidate
from ..samplers import Domain, Sampler, samplers
from ..spaces import block_space
from ..training import TrainingSettings
from ..valuation import Inherited, Trials, Valuation
from .base import Problem, SearchStep, Strategy, state_of

_LINKS = "use --strategy proxyless-g or proxyless-r"

_ELITE = 0.25
TRIALS = "trials"


class Evaluation(StrEnum):
    """Where the accuracy of a candidate comes from."""

    SUPERNET = "supernet"
    TRAINING = "training"


class QuerySettings(PathSettings):
    """Queries and what answers them; see `PathSettings` for the weights of the supernet.

    Attributes:
        evaluation: `supernet` trains one for `steps` steps and values candidates with its weights
            on `query_batches` validation batches, after `calibration_batches` of batch-norm
            calibration; `training` trains every candidate from scratch by `trial`.
        sampler: Settings of the sampler.
        queries: Candidates that are valued.
        together: Candidates asked for at once; they are valued side by side where an executor
            has room. What is asked does not depend on the executor.
        path_dropout: The chance that all paths of a block are dropped, which grows linearly from
            0 to this (`dropped_paths`); 1 trains a single uniformly drawn path from the start.
        candidates: The best so many are valued again, on all validation images; or, with
            `training`, by `repeats` further trainings from other weights.
        record_interval: Steps between two lines of the history.
    """

    evaluation: Evaluation = Evaluation.SUPERNET
    sampler: dict[str, Any] = Field(default_factory=dict)
    queries: int = Field(default=64, ge=1)
    together: int = Field(default=1, ge=1)
    steps: int = Field(default=500, ge=1)
    path_dropout: float = Field(default=0.5, ge=0, le=1)
    query_batches: int = Field(default=4, ge=1)
    calibration_batches: int = Field(default=4, ge=1)
    trial: TrainingSettings = Field(default_factory=lambda: TrainingSettings(epochs=1))
    repeats: int = Field(default=0, ge=0)
    candidates: int = Field(default=8, ge=1)
    record_interval: int = Field(default=5, ge=1)


def sampler_called(name: str, settings: QuerySettings, source: str) -> Sampler:
    """The sampler `name` with the settings under `sampler`.

    Raises:
        UnknownNameError: There is no such sampler.
        UnavailableError: Its library is not installed.
        ConfigError: Its settings are wrong.
    """
    kind = samplers[name]
    if reason := kind.unavailable_reason():
        raise UnavailableError(reason)
    return kind.from_settings(settings.sampler, f"sampler of {source}")


@dataclass(frozen=True)
class QueryStrategy(Strategy):
    """A sampler, and what answers it; sub-classes say which sampler, and their defaults."""

    settings: QuerySettings
    sampler: Sampler

    def describe(self) -> dict[str, Any]:
        return {**self.settings.model_dump(mode="json"), "sampler": self.sampler.describe()}

    def weight_steps(self, data: SearchData) -> int:
        settings = self.settings
        if settings.evaluation is Evaluation.SUPERNET:
            return settings.steps
        trial = settings.trial.steps_on(data.train_size)
        return trial * (settings.queries + settings.repeats * settings.candidates)

    def check(self, problem: Problem) -> None:
        block_space(problem.space, "A search by query", _LINKS)
        if self.settings.evaluation is Evaluation.TRAINING and problem.world.size > 1:
            raise ConfigError(
                "Candidates that are trained one by one run on workers, not under torchrun; "
                "start one process and give --workers."
            )

    def run(
        self, problem: Problem, journal: Journal, folder: Path
    ) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        search = _Search(problem, self.settings, self.sampler, journal, folder)
        search.restore(journal.resume())
        yield from search.train()
        yield from search.query()
        return (yield from search.rank())


class _Search:
    """The state of one run: the supernet if there is one, and what was told so far."""

    def __init__(
        self,
        problem: Problem,
        settings: QuerySettings,
        sampler: Sampler,
        journal: Journal,
        folder: Path,
    ) -> None:
        self._problem, self._settings = problem, settings
        self._journal, self._folder = journal, folder
        self._training: PathTraining | None = None
        self._valuation: Valuation
        if settings.evaluation is Evaluation.SUPERNET:
            self._training = PathTraining(problem, settings)
            self._valuation = Inherited(
                self._training.supernet,
                problem,
                batches=settings.query_batches,
                calibration_batches=settings.calibration_batches,
                size=settings.batch_size,
            )
        else:
            self._valuation = Trials(problem, settings.trial, settings.repeats, folder / TRIALS)
        domain = Domain(problem.space, problem.costs, problem.bounds)
        self._sampling = sampler.start(domain, spawn(problem.seed, "sampler"), settings.queries)
        self._told: list[tuple[Architecture, float]] = []
        self._trained = 0

    @property
    def _steps(self) -> int:
        return 0 if self._training is None else self._settings.steps

    def checkpoint(self) -> Checkpoint:
        """Everything that the rest depends on."""
        training = Checkpoint({}, {})
        if self._training is not None:
            training = self._training.checkpoint()
        told = [[list(architecture.choices), value] for architecture, value in self._told]
        state = {"trained": self._trained, "told": told, "training": training.state}
        return Checkpoint(training.tensors, state)

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Take on the state of `checkpoint`: the sampler is asked and told again."""
        if checkpoint is None:
            return
        if self._training is not None:
            state = checkpoint.state["training"]
            self._training.restore(Checkpoint(checkpoint.tensors, state))
        self._trained = int(checkpoint.state["trained"])
        name = self._problem.space.name
        told = [(Architecture(name, tuple(c)), float(v)) for c, v in checkpoint.state["told"]]
        while len(self._told) < len(told):
            asked = self._ask()
            answers = told[len(self._told) : len(self._told) + len(asked)]
            if not asked or asked != [architecture for architecture, _ in answers]:
                raise ArtefactError(
                    "The sampler does not ask again what it had asked before the interruption: "
                    "another version of it is installed. Search again into another folder."
                )
            self._tell(answers)

    def train(self) -> Iterator[SearchStep]:
        """The steps of the supernet that are left."""
        if self._training is None:
            return
        settings, supernet = self._settings, self._training.supernet
        for step in range(self._trained, self._steps):
            generator = torch_generator(self._problem.seed, "path", step)
            share = step / self._steps
            full = settings.path_dropout >= 1
            rate = 1.0 if full else settings.path_dropout * share
            gates = dropped_paths(supernet.mask, rate, generator)
            loss, right = self._training.step(step, gates, share)
            self._trained = step + 1
            yield self._done("warm-up", loss, right, is_last=self._trained == self._steps)

    def query(self) -> Iterator[SearchStep]:
        """Ask and tell until the queries are spent or nothing is left to ask."""
        while len(self._told) < self._settings.queries:
            asked = self._ask()
            if not asked:
                return
            self._tell(list(zip(asked, self._valuation.values(asked), strict=True)))
            yield self._done("search", None, self._told[-1][1], is_last=False)

    def rank(self) -> Generator[SearchStep, None, tuple[Candidate, ...]]:
        """Value the best again, and rank them."""
        problem = self._problem
        architectures = [architecture for architecture, _ in self._told]
        values = [value for _, value in self._told]
        scores = Scores(additive_scores(problem.space, architectures, values), 0.0)
        write_scores(self._folder, scores)
        order = sorted(range(len(values)), key=lambda index: (-values[index], index))
        best = [self._told[index] for index in order[: self._settings.candidates]]
        ranked = []
        for index, (architecture, value) in enumerate(best):
            again = self._valuation.again(architecture, value)
            found = candidate_of(Projected(architecture, value), problem.costs)
            ranked.append(replace(found, accuracy=again))
            yield self._report(self._steps + len(self._told) + index + 1, "rank", None, again)
        ranked.sort(key=lambda candidate: (-(candidate.accuracy or 0.0), -candidate.score))
        return tuple(ranked)

    def _ask(self) -> list[Architecture]:
        wanted = min(self._settings.together, self._settings.queries - len(self._told))
        asked = (self._sampling.ask() for _ in range(wanted))
        return [architecture for architecture in asked if architecture is not None]

    def _tell(self, values: list[tuple[Architecture, float]]) -> None:
        for architecture, value in values:
            self._sampling.tell(architecture, value)
        self._told.extend(values)

    def _done(
        self, phase: str, loss: float | None, right: float | None, *, is_last: bool
    ) -> SearchStep:
        """Record and keep what was just done; returns its report."""
        report = self._report(self._trained + len(self._told), phase, loss, right)
        if phase == "search":
            self._journal.frame(report)
        if report.step % self._settings.record_interval == 0:
            self._journal.record(report.to_json())
        costly = phase == "search" and self._training is None
        self._journal.save(self.checkpoint, force=is_last or costly)
        return report

    def _report(
        self, step: int, phase: str, loss: float | None, right: float | None
    ) -> SearchStep:
        settings = self._settings
        return state_of(
            self._problem,
            self._elite(),
            (0.0,) * len(self._problem.bounds),
            step=step,
            total=self._steps + settings.queries + settings.candidates,
            phase=phase,
            loss=loss,
            accuracy=right,
        )

    def _elite(self) -> Tensor:
        """How often the best quarter of what was told has each choice; uniform before that."""
        mask = self._problem.costs[0].mask
        if not self._told:
            return mask / mask.sum(dim=-1, keepdim=True, dtype=torch.float64)
        ordered = sorted(self._told, key=lambda told: -told[1])
        best = ordered[: max(1, round(_ELITE * len(ordered)))]
        choices = torch.tensor([architecture.choices for architecture, _ in best])
        hot = torch.nn.functional.one_hot(choices, mask.shape[-1]).double()
        return hot.mean(dim=0)
