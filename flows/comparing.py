"""Two stored runs compared as they are, or two devices or versions measured in turns."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..core.artefact import canonical_json, elat_home, sha256_of
from ..core.errors import (
    ConfigError,
    MeasurementError,
    MissingLatencyError,
    UnsupportedOperatorError,
)
from ..latency.comparison import Comparison, Rule, Side, compare_measurements
from ..latency.condition import Condition, runtime_section
from ..latency.effects import Basis
from ..latency.interleaved import Contender, measure_in_turns
from ..latency.measure import Progress
from ..latency.measurement import SIMULATED
from ..latency.methods import METHODS
from ..latency.operators import Operator
from ..latency.pairing import Pairing
from ..latency.protocol import find_protocol
from ..latency.store import open_store
from ..search.spaces import find_space
from .compared_sides import (
    Found,
    LiveDevice,
    StoredRun,
    different_environment,
    different_fields,
    parse_side,
    read_stored,
)
from .measuring import default_cache, subjects_of
from .zoo import NetworkOrder, find_config


@dataclass(frozen=True)
class CompareOrder:
    """What `elat compare` was asked for.

    Attributes:
        a: A store, a device, or a device with a Python; `b` is compared with it.
        space: Whose operators are the cases; None for all that both stores share.
        networks: Whole networks among the cases: of the zoo, of a run, or `net.config` files.
        folder: Of the two stores of a live comparison; None for one in `ELAT_HOME`.
        is_other_allowed: Whether the two may differ in more than device, version and options.
    """

    a: str
    b: str
    space: str | None = None
    networks: tuple[str, ...] = ()
    rule: Rule = field(default_factory=Rule)
    protocol: str = "standard"
    folder: Path | None = None
    seed: int = 0
    is_other_allowed: bool = False


@dataclass(frozen=True)
class Compared:
    """Two sides and the verdicts on their cases.

    Attributes:
        names: What cases are called that have a name, such as networks of the zoo.
        environment: What differs between the machines' fingerprints, with both values.
        notes: What a reader must know to read the verdicts, in sentences.
    """

    a: Found
    b: Found
    comparison: Comparison
    names: Mapping[Operator, str]
    environment: Mapping[str, tuple[str, str]]
    notes: tuple[str, ...]

    def name(self, operator: Operator) -> str:
        """What the case of `operator` is called."""
        return self.names.get(operator) or str(operator)


def compare(order: CompareOrder) -> Generator[Progress | Compared, None, None]:
    """Read or measure both sides, then compare them; yields progress, and the result last.

    Raises:
        ConfigError: One side is stored and the other is not, nothing says what to measure, or the
            conditions differ in more than is allowed.
        MissingLatencyError: A store lacks what is asked for, or the two share no case.
    """
    sides = parse_side(order.a), parse_side(order.b)
    names = {find_config(NetworkOrder(name))[0]: name for name in order.networks}
    match sides:
        case StoredRun() as a, StoredRun() as b:
            found = read_stored(a, order.a), read_stored(b, order.b)
            _check(order, *(side.side.condition for side in found))
        case LiveDevice() as a, LiveDevice() as b:
            cases = _cases(order, a, names)
            if not cases:
                raise ConfigError("Say what to measure: --space NAME, or --network NAME.")
            found = yield from _measured(order, (a, b), cases)
        case _:
            raise ConfigError(
                "One of the two is a store and the other a device. Measure the device into a "
                "store with elat measure, and compare the two stores; or name two devices."
            )
    origins = {side.side.origin for side in found}
    if len(origins) > 1:
        raise ConfigError(f"What is {' and '.join(sorted(origins))} cannot be compared.")
    first, second = (_only(side.side, order, names) for side in found)
    environment = different_environment(*found)
    is_one_machine = "host" not in environment
    comparison = compare_measurements(first, second, order.rule, is_one_machine=is_one_machine)
    if not comparison.cases:
        raise MissingLatencyError(
            f"{order.a} and {order.b} have none of the cases in common that were asked for; "
            f"A has {len(first.measurements)} of them and B {len(second.measurements)}."
        )
    notes = tuple(_notes(found, comparison, environment))
    yield Compared(*found, comparison, names, environment, notes)


def _cases(
    order: CompareOrder, device: LiveDevice, names: Mapping[Operator, str]
) -> tuple[Operator, ...]:
    """The models to measure: those that the device's method needs of the space, and networks."""
    models: tuple[Operator, ...] = ()
    if order.space is not None:
        space, method = find_space(order.space), runtime_section(device.device).method
        models = METHODS[method].cases(subjects_of(space, method, order.seed))
    return tuple(dict.fromkeys((*models, *names)))


def _only(side: Side, order: CompareOrder, names: Mapping[Operator, str]) -> Side:
    """`side` without cases that were not asked for; all of them where nothing was."""
    if order.space is None and not names:
        return side
    wanted = set(names)
    if order.space is not None:
        space = find_space(order.space)
        for name, method in METHODS.items():
            # Not every method can time every operator; those that cannot left nothing behind.
            with suppress(UnsupportedOperatorError):
                wanted.update(method.cases(subjects_of(space, name, order.seed)))
    return side.only(wanted)


def _measured(
    order: CompareOrder, sides: tuple[LiveDevice, LiveDevice], cases: tuple[Operator, ...]
) -> Generator[Progress, None, tuple[Found, Found]]:
    """Measure both in turns, each into a store of its own; returns the two sides.

    Raises:
        MeasurementError: A side has no measurement in the end.
    """
    conditions = [side.condition() for side in sides]
    _check(order, *conditions)
    folder = order.folder or _default_folder(order, conditions)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(folder / name)) for name in ("a.db", "b.db")]
        first, second = (
            Contender(condition, store, side.device.affinity, side.command)
            for side, condition, store in zip(sides, conditions, stores, strict=True)
        )
        protocol, cache = find_protocol(order.protocol), default_cache()
        yield from measure_in_turns(cases, (first, second), protocol, cache, seed=order.seed)
        a, b = (
            _read(text, contender)
            for text, contender in zip((order.a, order.b), (first, second), strict=True)
        )
    return a, b


def _read(text: str, contender: Contender) -> Found:
    """What the store of `contender` holds now."""
    store, condition = contender.store, contender.condition
    measurements = store.measurements(condition)
    if not measurements:
        raise MeasurementError(
            f"No case could be measured on {condition}; look at it with: elat doctor "
            f"{condition.device}"
        )
    environments = tuple(store.environments(condition))
    return Found(text, store.location, Side.of(measurements), environments)


def _default_folder(order: CompareOrder, conditions: list[Condition]) -> Path:
    """A folder in `ELAT_HOME` for these two sides, so that the same call finds it again."""
    asked = [order.a, order.b, *(condition.to_json() for condition in conditions)]
    return elat_home() / "comparisons" / sha256_of(canonical_json(asked))[:12]


def _check(order: CompareOrder, a: Condition, b: Condition) -> None:
    """Whether the two may be compared.

    Raises:
        ConfigError: They differ in more than device, version and options, unless that is wanted.
    """
    fields = different_fields(a, b)
    if fields and not order.is_other_allowed:
        one, other = a.to_json(), b.to_json()
        said = ", ".join(f"{name} ({one[name]} and {other[name]})" for name in fields)
        raise ConfigError(
            f"{order.a} and {order.b} differ in more than device, version and options: {said}. "
            "If that is what you want to compare, add --allow-different."
        )


def _notes(
    found: tuple[Found, Found],
    comparison: Comparison,
    environment: Mapping[str, tuple[str, str]],
) -> Iterator[str]:
    """What a reader must know to read the verdicts."""
    if found[0].side.origin == SIMULATED:
        yield "SIMULATED: nothing of this was measured."
    if "host" in environment:
        yield "The two were measured on different machines, so that no two launches are a pair."
    if changed := [name for name in environment if name != "host"]:
        yield f"The environments differ in: {', '.join(changed)}."
    if comparison.pairing is Pairing.NONE and comparison.basis is Basis.TIME:
        yield (
            "The two were not measured in turns, so that a change of the machine's own speed is "
            "in every difference; the intervals allow for it. Two devices named instead are "
            "measured in turns."
        )
    shared = comparison.shared_log
    if shared is not None and abs(shared) > comparison.rule.margin_log:
        yield (
            f"All cases moved together by {math.expm1(shared):+.1%} beyond the sentinel, which is "
            "taken off. It may be the machine, or a change to everything; --basis time leaves it "
            "in."
        )
    for side, only in ((found[0], comparison.only_a), (found[1], comparison.only_b)):
        if only:
            yield f"{len(only)} cases are in {side.text} alone and are not compared."
