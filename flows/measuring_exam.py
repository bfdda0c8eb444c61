"""Whether the meter's intervals and verdicts hold: on simulated machines, and on stores.

A cell is one machine of a scenario: it is measured, an hour later measured again, and then cases
and slower twins of them are measured in the same rounds. Its true latencies are known, so that
every interval either holds the truth or does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.artefact import write_json
from ..core.errors import ConfigError, UnknownNameError
from ..core.seeding import numpy_generator
from ..latency.comparison import Comparison, Side, Verdict, compare_measurements
from ..latency.flags import Flag
from ..latency.measurement import SIMULATED, Measurement
from ..latency.protocol import PROTOCOLS, find_protocol
from ..latency.simulation import Machine, SimulatedCampaign, simulate
from ..latency.simulation.scenarios import SCENARIOS
from ..latency.store import open_store
from ..reports.measuring_exam import (
    MEASURING,
    MeasuringExam,
    Outcome,
    Share,
    Slowdown,
)
from .exam import ExamLog, Kept, results
from .parallel import Job

EFFECTS = (0.0, 0.01, 0.02, 0.03, 0.05)
_CASES = 12
_LATER_S = 3600.0
_FASTEST_MS, _SLOWEST_MS = 0.02, 5.0


@dataclass(frozen=True)
class MeasuringOrder:
    """What `elat exam measuring` was asked for.

    Attributes:
        scenarios: Names of simulated machines; all if empty.
        protocols: Names; all if empty.
        seeds: Machines of each scenario.
        stores: Groups of stores, each of complete measurements of the same on one device.
    """

    scenarios: tuple[str, ...]
    protocols: tuple[str, ...]
    seeds: int
    workers: int
    stores: tuple[Path, ...]
    out: Path


class MeasuringExamRun:
    """The exam, resumable in its folder.

    Raises:
        ConfigError: Fewer than two seeds are asked for.
        UnknownNameError: A scenario or protocol is unknown.
    """

    def __init__(self, order: MeasuringOrder) -> None:
        if order.seeds < 2:
            raise ConfigError(f"An error between machines needs two seeds, found {order.seeds}.")
        for name in order.scenarios:
            if name not in SCENARIOS:
                raise UnknownNameError("scenario", name, SCENARIOS)
        self._order = order
        self._scenarios = order.scenarios or tuple(SCENARIOS)
        names = order.protocols or tuple(PROTOCOLS)
        self._protocols = tuple(find_protocol(name).name for name in names)
        self._log = ExamLog(order.out)
        self._log.claim({"exam": "measuring", "cases": _CASES, "effects": list(EFFECTS)}, {})

    def run(self) -> Iterator[Kept]:
        """Yields after every machine that was missing; its row is kept by then."""
        done = {(row["scenario"], row["protocol"], row["seed"]) for row in self._log.rows()}
        cells = [
            (scenario, protocol, seed)
            for seed in range(self._order.seeds)
            for scenario in self._scenarios
            for protocol in self._protocols
        ]
        missing = [cell for cell in cells if cell not in done]
        workers = self._order.workers
        jobs = [
            Job(f"part {part}", measured_cells, (tuple(missing[part::workers]),))
            for part in range(min(workers, len(missing)))
        ]
        count = len(cells) - len(missing)
        for row in results(jobs, workers):
            self._log.keep(row)
            count += 1
            yield Kept(count, len(cells), f"{row['scenario']}, {row['protocol']}")

    def conclude(self) -> MeasuringExam:
        """What all rows in the folder and the stores say; also written into the folder."""
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self._log.rows():
            rows.setdefault((row["scenario"], row["protocol"]), []).append(row)
        simulated = [
            _simulated(scenario, protocol, rows[scenario, protocol])
            for scenario in SCENARIOS
            for protocol in PROTOCOLS
            if (scenario, protocol) in rows
        ]
        exam = MeasuringExam((*simulated, *recorded_outcomes(self._order.stores)))
        write_json(self._order.out / MEASURING, exam.to_json())
        return exam


def measured_cells(cells: Sequence[tuple[str, str, int]]) -> Iterator[dict[str, Any]]:
    """The row of each (scenario, protocol, seed)."""
    for scenario, protocol, seed in cells:
        yield {
            "scenario": scenario,
            "protocol": protocol,
            "seed": seed,
            **_cell(scenario, protocol, seed),
        }


def _cell(name: str, protocol_name: str, seed: int) -> dict[str, Any]:
    scenario, protocol = SCENARIOS[name], find_protocol(protocol_name)
    random = numpy_generator(seed, "measuring exam", name, protocol_name)
    machine = Machine(scenario.model, random)
    truth = np.exp(random.uniform(math.log(_FASTEST_MS), math.log(_SLOWEST_MS), _CASES))

    def campaign(true_ms: Sequence[float]) -> SimulatedCampaign:
        found = simulate(
            true_ms,
            scenario.model,
            protocol,
            random,
            threads=scenario.threads,
            machine=machine,
            kinds=[case % _CASES for case in range(len(true_ms))],
        )
        machine.wait(_LATER_S)
        return found

    first, second = campaign(truth.tolist()), campaign(truth.tolist())
    # Machines of even seeds compare things with themselves, others with slower ones.
    effects = np.zeros(_CASES) if seed % 2 == 0 else np.resize(EFFECTS, _CASES)
    both = campaign([*truth.tolist(), *(truth * (1 + effects)).tolist()])
    twins = compare_measurements(*_twins(both.measurements))
    found = first.measurements
    return {
        "covered": [_covers(each, case) for each in (first, second) for case in range(_CASES)],
        **_pair(found, second.measurements),
        "effects": effects.tolist(),
        "verdicts": [str(case.verdict) for case in twins.cases],
        "half_width": float(np.mean([m.relative_half_width for m in found])),
        "launches": float(np.mean([m.count for m in found])),
        "not_converged": float(np.mean([Flag.NOT_CONVERGED in m.flags for m in found])),
    }


def _covers(campaign: SimulatedCampaign, case: int) -> bool:
    return abs(campaign.error(case)) <= campaign.measurements[case].relative_half_width


def _twins(measurements: Sequence[Measurement]) -> tuple[Side, Side]:
    """The first half of `measurements` and the second, as measurements of the same operators."""
    first, second = measurements[:_CASES], measurements[_CASES:]
    renamed = [replace(b, operator=a.operator) for a, b in zip(first, second, strict=True)]
    return Side.of(first), Side.of(renamed)


def _pair(a: Sequence[Measurement], b: Sequence[Measurement]) -> dict[str, list[bool]]:
    """Of each case that two complete measurements share: how they agree."""
    comparison = compare_measurements(Side.of(a), Side.of(b))
    known = {m.operator: m for m in a}, {m.operator: m for m in b}
    halves = [
        math.hypot(*(side[case.operator].relative_half_width for side in known))
        for case in comparison.cases
    ]
    differences = _differences(comparison)
    return {
        "differences": (np.abs(differences) <= halves).tolist(),
        "within_2": (np.abs(differences) <= math.log(1.02)).tolist(),
        "apart": [_is_false(case.verdict) for case in comparison.cases],
    }


def _differences(comparison: Comparison) -> NDArray[np.float64]:
    """Logarithms of B over A, each at its store's speed as the sentinel tells it."""
    change = comparison.sentinel_log or 0.0
    return np.array([math.log(case.b_ms / case.a_ms) - change for case in comparison.cases])


def _is_false(verdict: Verdict) -> bool:
    return verdict in (Verdict.FASTER, Verdict.SLOWER)


def _simulated(scenario: str, protocol: str, rows: Sequence[Mapping[str, Any]]) -> Outcome:
    nulls = [row for row in rows if not any(row["effects"])]
    return Outcome(
        scenario=scenario,
        protocol=protocol,
        origin=SIMULATED,
        is_within_limits=SCENARIOS[scenario].is_within_limits,
        covered=_share([row["covered"] for row in rows]),
        differences=_share([row["differences"] for row in rows]),
        apart=_share([row["apart"] for row in rows]),
        together=_share(
            [[_is_false(Verdict(v)) for v in row["verdicts"]] for row in nulls],
        ),
        slowdowns=tuple(
            _slowdown(effect, rows)
            for effect in EFFECTS[1:]
            if any(effect in row["effects"] for row in rows)
        ),
        half_width=float(np.mean([row["half_width"] for row in rows])),
        launches=float(np.mean([row["launches"] for row in rows])),
        not_converged=float(np.mean([row["not_converged"] for row in rows])),
        within_2=float(np.mean([row["within_2"] for row in rows])),
    )


def _slowdown(effect: float, rows: Sequence[Mapping[str, Any]]) -> Slowdown:
    verdicts = [
        [v for v, e in zip(row["verdicts"], row["effects"], strict=True) if e == effect]
        for row in rows
        if effect in row["effects"]
    ]
    return Slowdown(
        effect,
        _share([[v == Verdict.SLOWER for v in found] for found in verdicts]),
        _share([[v == Verdict.FASTER for v in found] for found in verdicts]),
    )


def _share(groups: Sequence[Sequence[bool]]) -> Share:
    """The share of all in `groups`, its error from how the groups' own shares scatter."""
    shares = [float(np.mean(group)) for group in groups]
    error = float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else None
    return Share(float(np.mean(shares)), sum(map(len, groups)), error)


def recorded_outcomes(stores: Sequence[Path]) -> Iterator[Outcome]:
    """What complete measurements of the same in several stores say, for each condition.

    Raises:
        ConfigError: A condition is in one store only.
        ArtefactError: A store is missing or damaged.
    """
    found: dict[Any, list[list[Measurement]]] = {}
    for path in stores:
        with open_store(path, create=False) as store:
            for condition in store.conditions():
                found.setdefault(condition, []).append(store.measurements(condition))
    for condition, repeats in found.items():
        if len(repeats) < 2:
            raise ConfigError(
                f"{condition} is in one store only; measure it again into another one with: "
                f"elat measure --device {condition.device} --space SPACE --store FILE"
            )
        pairs = [_pair(a, b) for a, b in combinations(repeats, 2)]
        every = [m for repeat in repeats for m in repeat]
        yield Outcome(
            scenario=condition.device,
            protocol=every[0].protocol.name,
            origin=every[0].origin,
            is_within_limits=True,
            covered=None,
            differences=_share([pair["differences"] for pair in pairs]),
            apart=_share([pair["apart"] for pair in pairs]),
            together=None,
            slowdowns=(),
            half_width=float(np.mean([m.relative_half_width for m in every])),
            launches=float(np.mean([m.count for m in every])),
            not_converged=float(np.mean([Flag.NOT_CONVERGED in m.flags for m in every])),
            within_2=_share([pair["within_2"] for pair in pairs]).value,
            condition=condition,
        )
