"""Which pairs of primitives a device's runtime executes as one: timed, profiled, and kept."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import ConfigError, MeasurementError, UnavailableError
from ..devices.device import Device
from ..latency.condition import Condition
from ..latency.fusion.graphs import PairGraphs, graphs_of
from ..latency.fusion.pairs import PAIRS, Pair
from ..latency.fusion.profiled import is_fused
from ..latency.fusion.rules import FusionRules, Rule, rules_path, write_rules
from ..latency.fusion.timing import PairTimer, TimedPair, protocol_of
from ..latency.profiling.bench import Effort
from ..latency.profiling.here import HereBench
from ..latency.profiling.parts import profile_operator
from ..latency.profiling.passes import unavailable_reason
from ..latency.runtimes import runtimes
from .measuring import default_cache

MIN_ROUNDS = 3
_EFFORT = Effort(runs=5, processes=1)


@dataclass(frozen=True)
class FusionOrder:
    """What `elat fusion` was asked for.

    Attributes:
        rounds: Fresh processes that time every pair.
        pairs: To test.
        is_profiled: Whether the runtime's profile is asked besides, where it has a profiler.
        out: Where the rules go; None for the device's place in `ELAT_HOME`.
    """

    device: Device
    rounds: int = 14
    pairs: tuple[Pair, ...] = PAIRS
    is_profiled: bool = True
    out: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """One step done of `total`, about `pair`; `stage` is `time` or `profile`."""

    stage: str
    pair: Pair
    done: int
    total: int


@dataclass(frozen=True)
class Detected:
    """The rules that were found, and the file that holds them.

    Attributes:
        unprofiled: Why no profile was asked, or None.
    """

    rules: FusionRules
    path: Path
    unprofiled: str | None


def detect_fusion(order: FusionOrder) -> Generator[Progress | Detected, None, None]:
    """Time and profile the pairs of `order`, then write the rules; yields these last.

    Raises:
        ConfigError: There are too few rounds or no pairs.
        UnavailableError: The device is not this machine, or its runtime is not installed.
        MeasurementError: No worker can be started, or no pair could be timed.
    """
    if order.rounds < MIN_ROUNDS or not order.pairs:
        raise ConfigError(
            f"At least {MIN_ROUNDS} rounds of one pair are needed, found {order.rounds} of "
            f"{len(order.pairs)}."
        )
    if reason := order.device.not_here_reason:
        raise UnavailableError(reason)
    condition = Condition.of(order.device).of_models
    graphs = {pair: graphs_of(pair) for pair in order.pairs}
    timer = PairTimer(condition, default_cache(), protocol_of(order.rounds), order.device.affinity)
    for step in timer.rounds(graphs, order.seed):
        yield Progress("time", step.pair, step.done, step.total)
    timed = [timer.timed(pair, found) for pair, found in graphs.items()]
    if not any(pair.times_ms for pair in timed):
        raise MeasurementError(f"No pair could be timed on {condition}: {timed[0].failure}.")
    unprofiled = (
        unavailable_reason(condition, HereBench())
        if order.is_profiled
        else "It was not asked for."
    )
    profiled: dict[Pair, bool | None] = {}
    if unprofiled is None:
        for done, pair in enumerate(graphs, 1):
            profiled[pair] = _profiled(order, condition, graphs[pair])
            yield Progress("profile", pair, done, len(graphs))
    rules = FusionRules(
        condition,
        runtimes[condition.runtime].origin,
        tuple(_rules(timed, profiled)),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path = order.out or rules_path(elat_home(), condition.device)
    write_rules(path, rules)
    yield Detected(rules, path, unprofiled)


def _profiled(order: FusionOrder, condition: Condition, graphs: PairGraphs) -> bool | None:
    """What the runtime's profile says; None where it says nothing or failed."""
    try:
        profile = profile_operator(
            graphs.both,
            condition,
            default_cache(),
            effort=_EFFORT,
            bench=HereBench(order.device.affinity),
        )
    except MeasurementError:
        return None
    return is_fused(profile, graphs)


def _rules(timed: Iterable[TimedPair], profiled: dict[Pair, bool | None]) -> Iterable[Rule]:
    for found in timed:
        failure = None if found.failure is None else str(found.failure)
        yield Rule(found.pair, found.times_ms, profiled.get(found.pair), failure)
