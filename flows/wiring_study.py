"""A study of wirings: sparse, shuffled, learned and dense networks of equal latency.

For every scale the network of the exponential rule is measured; its upper confidence limit and its
parameters bound all others. Links are learnt within both bounds and verified on the device, random
links are as many a layer as the rule's, and dense networks are as wide as the bounds allow. Then
all of them are measured once more, in the same rounds, and trained from scratch in the same way; a
study that has grown measures all of them again.

Everything lies in one folder, its measurements too. What is finished is never done again, and what
was interrupted goes on from its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ..core.artefact import canonical_json, sha256_of, write_text
from ..core.config import parse
from ..core.errors import ElatError
from ..devices.device import find_device
from ..latency.measure import Progress
from ..latency.models.folder import read_model
from ..latency.operators import Operator
from ..latency.operators.serial import key
from ..latency.protocol import find_protocol
from ..latency.store import open_store
from ..reports.wirings import Wirings, write_wirings
from ..search.data import check_data
from ..search.executor import Executor
from ..search.result import CERTIFICATE, RESULT, read_run
from ..search.spaces.wirings import dense
from ..search.strategies import strategies
from ..search.training import TrainingSettings
from .calibrate import calibrate, measure_networks, measured_networks, sample_networks
from .cluster import open_executor
from .fitting import fit_space
from .images import open_data, split_data
from .measuring import Campaign, default_cache, measure_cases, measure_space
from .searching import SearchOrder
from .verify import VerifyOrder, verify_run
from .wiring_cells import TRAINED, Training, search_links, train_wiring
from .wiring_folder import StudyFolder
from .wiring_networks import Network, Rules
from .wiring_rows import row_of
from .wiring_settings import WiringSettings, read_wiring_settings

_MODEL = "lookup"
_SEED = 0
_STORE = "measurements.db"


@dataclass(frozen=True)
class StudyOrder:
    """What `elat study` was asked for; `workers` processes search and train side by side."""

    config: Path
    out: Path
    workers: int
    scheduler: str | None


@dataclass(frozen=True)
class StudyStep:
    """What a stage has done by now, of how much; 0 of 0 is not known."""

    stage: str
    done: int
    total: int


def run_study(order: StudyOrder) -> Iterator[StudyStep | Wirings]:
    """Do what is left of the study; yields steps and, last, the record.

    Raises:
        ConfigError: The settings are wrong, or the folder holds another study.
        InfeasibleError: Not even the narrowest dense network keeps a bound.
        MeasurementError: The device gave no usable answer.
        UnavailableError: The device, the data or a cluster is not here.
    """
    study = _Study(read_wiring_settings(order.config), order)
    study.claim()
    yield from study.measure()
    yield from study.search()
    yield from study.verify()
    yield from study.measure_together()
    yield from study.train()
    found = study.record()
    write_wirings(order.out, found)
    yield found


class _Study:
    """The stages, each of which takes up what is there."""

    def __init__(self, settings: WiringSettings, order: StudyOrder) -> None:
        self._settings, self._order = settings, order
        self._folder, self._rules = StudyFolder.at(order.out), Rules(settings)
        self._device = find_device(settings.device)

    def claim(self) -> None:
        """Refuse now what would fail in an hour, and write down what the folder is about."""
        s = self._settings
        strategies[s.strategy].from_settings(s.search, f"strategy {s.strategy}")
        self._training_settings  # noqa: B018
        find_protocol(s.protocol)
        space = self._rules.space(s.scales[0])
        self._rules.sparse(s.scales[0])
        check_data(space, split_data(open_data(s.data, space), 0))
        self._folder.claim(s.model_dump(mode="json"))
        for scale in s.scales:
            self._folder.claim_space(self._rules.space(scale))
        write_text(self._folder.search_file, yaml.safe_dump(s.search))

    def measure(self) -> Iterator[StudyStep]:
        """Operators, sampled networks, sparse and dense ones; fits the latency models."""
        s, rules = self._settings, self._rules
        with self._campaign() as campaign:
            for scale in s.scales:
                if self._is_calibrated(scale):
                    continue
                space = rules.space(scale)
                sampled = sample_networks(space, s.networks, _SEED)
                yield from _named(f"measure growth {scale}", measure_space(campaign, space))
                title = f"calibrate growth {scale}"
                yield from _named(title, measure_networks(campaign, space, sampled))
                folder = self._model_folder(scale)
                model = fit_space(campaign.store, self._device, space, _MODEL, folder, _SEED)
                networks = measured_networks(campaign, space, sampled)
                calibrate(model, self._device.id, space, networks)
            wholes = [rules.space(g).network(rules.sparse(g)) for g in s.scales]
            wholes += [rules.space(g).network(dense(rules.space(g))) for g in s.widths]
            cases = tuple(dict.fromkeys(wholes))
            yield from _named("measure sparse and dense", measure_cases(campaign, cases))
        for scale in s.scales:
            self._dense_growths(scale)  # raises now where no width will do

    def search(self) -> Iterator[StudyStep]:
        """Learn links at every scale with every seed, side by side."""
        with self._campaign() as campaign:
            orders = [
                self._search_order(campaign, scale, seed)
                for scale in self._settings.scales
                for seed in self._settings.seeds
            ]
        left = [(order,) for order in orders if not (order.out / RESULT).exists()]
        yield from self._side_by_side("search", search_links, left)

    def verify(self) -> Iterator[StudyStep]:
        """Measure what was learnt, one after another, and repair it until both bounds hold."""
        settings = self._settings
        found = [(g, self._folder.run(g, s)) for g in settings.scales for s in settings.seeds]
        for done, (scale, folder) in enumerate(found, 1):
            if not (folder / CERTIFICATE).exists():
                for _ in verify_run(self._verify_order(folder, scale)):
                    pass
            yield StudyStep("verify", done, len(found))

    def measure_together(self) -> Iterator[StudyStep]:
        """Measure all networks in the same rounds, so that the machine was the same for all."""
        with self._campaign(self._together) as campaign:
            yield from _named("measure together", measure_cases(campaign, self._operators))

    def train(self) -> Iterator[StudyStep]:
        """Train every network from scratch, side by side."""
        items = []
        for network in self.networks:
            folder = self._folder.training(network.name)
            if not (folder / TRAINED).exists():
                space = self._rules.space(network.growth).describe()
                data = self._settings.data
                settings = self._training_settings.model_dump(mode="json")
                architecture, seed = network.architecture, network.seed
                items.append((Training(space, architecture, data, settings, seed, folder),))
        yield from self._side_by_side("train", train_wiring, items)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """All networks; the learned ones have been verified by now."""
        found: list[Network] = []
        for scale in self._settings.scales:
            widths = self._dense_growths(scale)
            for seed in self._settings.seeds:
                certificate = read_run(self._folder.run(scale, seed)).certificate
                assert certificate is not None
                found += self._rules.compared(scale, seed, widths, certificate.architecture)
        return tuple(found)

    def _dense_growths(self, scale: int) -> tuple[int, int]:
        """As `Rules.dense_growths`, by what was measured first."""
        with self._campaign() as campaign:
            return self._rules.dense_growths(campaign, scale)

    @cached_property
    def _operators(self) -> tuple[Operator, ...]:
        """All networks, each once."""
        return tuple(dict.fromkeys(map(self._rules.operator, self.networks)))

    @cached_property
    def _together(self) -> str:
        """The store of the last measurement, another one for other networks."""
        return f"together-{sha256_of(canonical_json(sorted(map(key, self._operators))))[:8]}.db"

    def record(self) -> Wirings:
        """What the study found."""
        s, rules = self._settings, self._rules
        with self._campaign() as first, self._campaign(self._together) as campaign:
            bounds = {scale: rules.reference(first, scale).high_ms for scale in s.scales}
            rows = tuple(
                row_of(n, rules, self._folder, campaign, bounds[n.scale]) for n in self.networks
            )
        images = split_data(open_data(s.data, rules.space(s.scales[0])), 0).train_size
        return Wirings(s.data, s.base, self._training_settings.steps_on(images), rows)

    def _search_order(self, campaign: Campaign, scale: int, seed: int) -> SearchOrder:
        return SearchOrder(
            space=str(self._folder.space_file(self._rules.space(scale))),
            out=self._folder.run(scale, seed),
            devices=(self._device.id,),
            latency=(self._model_folder(scale),),
            bound_ms=(self._rules.reference(campaign, scale).high_ms,),
            bound_params=self._rules.sparse_params(scale),
            data=self._settings.data,
            strategy=self._settings.strategy,
            seed=seed,
            config=self._folder.search_file,
        )

    def _verify_order(self, folder: Path, scale: int) -> VerifyOrder:
        return VerifyOrder(
            folder=folder,
            device=None,
            also=(),
            latency=(self._model_folder(scale),),
            store=self._folder.path / _STORE,
            protocol=self._settings.protocol,
            seed=_SEED,
        )

    @cached_property
    def _training_settings(self) -> TrainingSettings:
        return parse(TrainingSettings, self._settings.train, "train")

    def _model_folder(self, scale: int) -> Path:
        return self._folder.model(self._device.id, self._rules.space(scale), _MODEL)

    def _is_calibrated(self, scale: int) -> bool:
        folder = self._model_folder(scale)
        return folder.is_dir() and read_model(folder).calibration is not None

    @contextmanager
    def _campaign(self, store_name: str = _STORE) -> Iterator[Campaign]:
        protocol = find_protocol(self._settings.protocol)
        with open_store(self._folder.path / store_name) as store:
            yield Campaign(self._device, protocol, store, default_cache(), _SEED)

    def _side_by_side(
        self, stage: str, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[StudyStep]:
        """A step for every item that ends; the workers are closed with the stage."""
        if not items:
            return
        yield StudyStep(stage, 0, len(items))
        executor: Executor
        failed: ElatError | None = None
        with open_executor(self._order.workers, self._order.scheduler) as executor:
            for done, outcome in enumerate(executor.outcomes(function, items), 1):
                failed = failed or outcome.error
                yield StudyStep(stage, done, len(items))
        if failed is not None:
            raise failed


def _named(title: str, steps: Iterator[Progress]) -> Iterator[StudyStep]:
    for step in steps:
        yield StudyStep(title, step.done, step.total)
