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

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ..core.artefact import (
    MANIFEST,
    canonical_json,
    manifest,
    read_json,
    read_manifest,
    sha256_of,
    write_json,
    write_text,
)
from ..core.config import parse
from ..core.errors import ConfigError, ElatError, InfeasibleError
from ..core.seeding import numpy_generator
from ..devices.device import find_device
from ..latency.measure import Progress
from ..latency.models.folder import model_folder, read_model
from ..latency.operators import Operator
from ..latency.operators.serial import key
from ..latency.protocol import find_protocol
from ..latency.store import open_store
from ..reports.wirings import KIND, Wiring, WiringRow, Wirings, write_wirings
from ..search.architecture import Architecture
from ..search.data import check_data
from ..search.executor import Executor
from ..search.expected_latency import ExpectedLatency
from ..search.result import CERTIFICATE, RESULT, MeasuredLatency, read_run
from ..search.spaces.aggregation import AggregationSpace
from ..search.spaces.wirings import dense, exponential, shuffled
from ..search.strategies import strategies
from ..search.training import TrainingSettings
from .calibrate import calibrate, measure_networks, measured_networks, sample_networks
from .cell import Stage, efforts_of
from .cluster import open_executor
from .fitting import fit_space
from .images import open_data, split_data
from .measured_latency import measured_latency
from .measuring import Campaign, default_cache, measure_cases, measure_space
from .searching import SearchOrder
from .verify import VerifyOrder, verify_run
from .wiring_cells import TRAINED, Training, search_links, train_wiring
from .wiring_settings import WiringSettings, of_growth, read_wiring_settings

_MODEL = "lookup"
_SEED = 0
_STORE = "measurements.db"
_FREE = ("scales", "dense_growths", "seeds")


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


@dataclass(frozen=True)
class Network:
    """One network of the study; `scale` is the growth of the sparse one it is compared with."""

    wiring: Wiring
    scale: int
    growth: int
    seed: int
    architecture: Architecture

    @property
    def name(self) -> str:
        """Of its training: wiring, scale, its own growth where it differs, and seed."""
        word = self.wiring.replace(", same ", "-").replace(" ", "-")
        width = "" if self.growth == self.scale else f"-width{self.growth}"
        return f"{word}-g{self.scale}{width}-seed{self.seed}"


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
        self._out = order.out.resolve()
        self._device = find_device(settings.device)
        self._spaces: dict[int, AggregationSpace] = {}

    def claim(self) -> None:
        """Refuse now what would fail in an hour, and write down what the folder is about."""
        s = self._settings
        strategies[s.strategy].from_settings(s.search, f"strategy {s.strategy}")
        self._training_settings  # noqa: B018
        find_protocol(s.protocol)
        space = self._space(s.scales[0])
        exponential(space, s.base)
        check_data(space, split_data(open_data(s.data, space), 0))
        self._claim(s.model_dump(mode="json"))
        for scale in s.scales:
            self._claim_space(scale)
        write_text(self._search_file, yaml.safe_dump(s.search))

    def _claim(self, config: dict[str, Any]) -> None:
        """Scales, seeds and widths may change: what is there is of one of each."""
        path = self._out / MANIFEST
        known = read_manifest(self._out, KIND)["config"] if path.exists() else config
        if canonical_json(_fixed(known)) != canonical_json(_fixed(config)):
            raise self._taken("other settings")
        if not path.exists() or known != config:
            write_json(path, manifest(KIND, config=config, seed=None, parents={}))

    def _claim_space(self, scale: int) -> None:
        """Write down the space of `scale`; the file that it comes from may have changed since."""
        described = self._space(scale).describe()
        del described["name"]
        path, text = self._space_file(scale), yaml.safe_dump(described, sort_keys=False)
        if path.exists() and path.read_text() != text:
            raise self._taken("another space")
        write_text(path, text)

    def _taken(self, by: str) -> ConfigError:
        return ConfigError(
            f"{self._order.out} holds a study with {by}; choose another --out, or delete the "
            "folder to start again."
        )

    def measure(self) -> Iterator[StudyStep]:
        """Operators, sampled networks, sparse and dense ones; fits the latency models."""
        s = self._settings
        with self._campaign() as campaign:
            for scale in s.scales:
                if self._is_calibrated(scale):
                    continue
                space = self._space(scale)
                sampled = sample_networks(space, s.networks, _SEED)
                yield from _named(f"measure growth {scale}", measure_space(campaign, space))
                title = f"calibrate growth {scale}"
                yield from _named(title, measure_networks(campaign, space, sampled))
                folder = self._model_folder(scale)
                model = fit_space(campaign.store, self._device, space, _MODEL, folder, _SEED)
                networks = measured_networks(campaign, space, sampled)
                calibrate(model, self._device.id, space, networks)
            wholes = [self._space(g).network(self._sparse(g)) for g in s.scales]
            wholes += [self._space(g).network(dense(self._space(g))) for g in s.widths]
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
        found = [(g, self._run(g, s)) for g in self._settings.scales for s in self._settings.seeds]
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
            folder = self._out / "trainings" / network.name
            if not (folder / TRAINED).exists():
                space = self._space(network.growth).describe()
                data = self._settings.data
                settings = self._training_settings.model_dump(mode="json")
                architecture, seed = network.architecture, network.seed
                items.append((Training(space, architecture, data, settings, seed, folder),))
        yield from self._side_by_side("train", train_wiring, items)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """All networks; the learned ones have been verified by now."""
        found = []
        for scale in self._settings.scales:
            fast, small = self._dense_growths(scale)
            for seed in self._settings.seeds:
                certificate = read_run(self._run(scale, seed)).certificate
                assert certificate is not None
                learned = certificate.architecture
                found += [
                    Network(Wiring.SPARSE, scale, scale, seed, self._sparse(scale)),
                    Network(Wiring.SHUFFLED, scale, scale, seed, self._shuffled(scale, seed)),
                    Network(Wiring.LEARNED, scale, scale, seed, learned),
                    Network(Wiring.DENSE_LATENCY, scale, fast, seed, dense(self._space(fast))),
                    Network(Wiring.DENSE_PARAMS, scale, small, seed, dense(self._space(small))),
                ]
        return tuple(found)

    @cached_property
    def _operators(self) -> tuple[Operator, ...]:
        """All networks, each once."""
        found = (self._space(n.growth).network(n.architecture) for n in self.networks)
        return tuple(dict.fromkeys(found))

    @cached_property
    def _together(self) -> str:
        """The store of the last measurement, another one for other networks."""
        return f"together-{sha256_of(canonical_json(sorted(map(key, self._operators))))[:8]}.db"

    def record(self) -> Wirings:
        """What the study found."""
        s = self._settings
        with self._campaign() as first, self._campaign(self._together) as campaign:
            bounds = {scale: self._reference(first, scale).high_ms for scale in s.scales}
            rows = tuple(self._row(campaign, bounds, network) for network in self.networks)
        images = split_data(open_data(s.data, self._space(s.scales[0])), 0).train_size
        return Wirings(s.data, s.base, self._training_settings.steps_on(images), rows)

    def _row(
        self, campaign: Campaign, bounds_ms: Mapping[int, float], network: Network
    ) -> WiringRow:
        space = self._space(network.growth)
        operator = space.network(network.architecture)
        trained = read_json(self._out / "trainings" / network.name / TRAINED)
        before = cpu_s = None
        if network.wiring is Wiring.LEARNED:
            run = read_run(self._run(network.scale, network.seed))
            known = {c.architecture: c.accuracy for c in run.result.candidates}
            before = known.get(network.architecture)
            effort = dict(efforts_of(run.folder)).get(Stage.SEARCH.value)
            cpu_s = None if effort is None else effort.cpu_s
        return WiringRow(
            wiring=network.wiring,
            scale=network.scale,
            growth=network.growth,
            seed=network.seed,
            space=space.describe(),
            architecture=network.architecture,
            links=int(ExpectedLatency.from_links(space).of(network.architecture)),
            params=operator.params,
            macs=operator.macs,
            measured=measured_latency(campaign, space, network.architecture),
            bound_ms=bounds_ms[network.scale],
            bound_params=self._sparse_params(network.scale),
            test_accuracy=trained["test_accuracy"],
            before_training=before,
            cpu_s=cpu_s,
        )

    def _search_order(self, campaign: Campaign, scale: int, seed: int) -> SearchOrder:
        return SearchOrder(
            space=str(self._space_file(scale)),
            out=self._run(scale, seed),
            devices=(self._device.id,),
            latency=(self._model_folder(scale),),
            bound_ms=(self._reference(campaign, scale).high_ms,),
            bound_params=self._sparse_params(scale),
            data=self._settings.data,
            strategy=self._settings.strategy,
            seed=seed,
            config=self._search_file,
        )

    def _verify_order(self, folder: Path, scale: int) -> VerifyOrder:
        return VerifyOrder(
            folder=folder,
            device=None,
            also=(),
            latency=(self._model_folder(scale),),
            store=self._store,
            protocol=self._settings.protocol,
            seed=_SEED,
        )

    def _dense_growths(self, scale: int) -> tuple[int, int]:
        """The greatest widths at which the dense network is as fast, and as small, as the sparse.

        Raises:
            InfeasibleError: The narrowest is slower, or greater.
        """
        with self._campaign() as campaign:
            limit = self._reference(campaign, scale).high_ms
            fast, small = [], []
            for growth in self._settings.widths:
                space = self._space(growth)
                architecture = dense(space)
                if measured_latency(campaign, space, architecture).high_ms <= limit:
                    fast.append(growth)
                if space.network(architecture).params <= self._sparse_params(scale):
                    small.append(growth)
        if not fast or not small:
            raise InfeasibleError(
                f"The narrowest dense network measured, of growth {self._settings.widths[0]}, is "
                f"slower or greater than the sparse one of growth {scale}; lower dense_growths."
            )
        return max(fast), max(small)

    def _reference(self, campaign: Campaign, scale: int) -> MeasuredLatency:
        """What was measured of the sparse network."""
        return measured_latency(campaign, self._space(scale), self._sparse(scale))

    def _sparse_params(self, scale: int) -> int:
        return self._space(scale).network(self._sparse(scale)).params

    def _sparse(self, growth: int) -> Architecture:
        return exponential(self._space(growth), self._settings.base)

    def _shuffled(self, scale: int, seed: int) -> Architecture:
        random = numpy_generator(seed, "shuffled", scale)
        return shuffled(self._space(scale), self._sparse(scale), random)

    def _space(self, growth: int) -> AggregationSpace:
        if growth not in self._spaces:
            self._spaces[growth] = of_growth(self._settings.space, growth)
        return self._spaces[growth]

    @cached_property
    def _training_settings(self) -> TrainingSettings:
        return parse(TrainingSettings, self._settings.train, "train")

    @property
    def _search_file(self) -> Path:
        return self._out / "settings" / "search.yaml"

    def _space_file(self, scale: int) -> Path:
        return self._out / "spaces" / f"{self._space(scale).name}.yaml"

    def _run(self, scale: int, seed: int) -> Path:
        return self._out / "searches" / f"g{scale}-seed{seed}"

    def _model_folder(self, scale: int) -> Path:
        return model_folder(self._out, self._device.id, self._space(scale).name, _MODEL)

    def _is_calibrated(self, scale: int) -> bool:
        folder = self._model_folder(scale)
        return folder.is_dir() and read_model(folder).calibration is not None

    @property
    def _store(self) -> Path:
        return self._out / _STORE

    @contextmanager
    def _campaign(self, store_name: str = _STORE) -> Iterator[Campaign]:
        protocol = find_protocol(self._settings.protocol)
        with open_store(self._out / store_name) as store:
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


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that everything in the folder depends on."""
    return {key: value for key, value in config.items() if key not in _FREE}


def _named(title: str, steps: Iterator[Progress]) -> Iterator[StudyStep]:
    for step in steps:
        yield StudyStep(title, step.done, step.total)
