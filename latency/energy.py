"""Energy of one inference: a pass of its own after timing, as it is and net of idling."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.config import Settings
from ..core.errors import MeasurementError, UnavailableError
from ..devices.device import Gpu, Power
from ..devices.energy.detect import open_meter
from ..devices.energy.meter import EnergyMeter
from ..devices.files import ROOT
from ..devices.state import busy_ticks
from .launch import Launch

MIN_S, MIN_STEPS, MAX_S = 1.0, 100, 30.0
"""A run is metered until both of the first are reached, or the last one."""

_IDLE_S, _IDLE_STEPS, _IDLE_MAX_S, _IDLE_LOOK_S = 1.0, 10, 5.0, 0.01
_SHARED = 0.05
_UNSTABLE = 0.10


class EnergyFlag(StrEnum):
    """One reason for caution about an energy. What raises each is in docs/doctor.md."""

    ENERGY_SHARED = "ENERGY_SHARED"
    ENERGY_SHORT = "ENERGY_SHORT"
    ENERGY_WRAPPED = "ENERGY_WRAPPED"
    ENERGY_UNSTABLE = "ENERGY_UNSTABLE"


class EnergyOrder(Settings):
    """Which meter a worker is asked to read: those of the device's card, or of its machine."""

    power: Power | None = None
    gpu: Gpu | None = None


def _others_s() -> float | None:
    ticks = busy_ticks()
    if ticks is None:
        return None
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


@dataclass(frozen=True)
class Surroundings:
    """The clock, the wait and the neighbours of this process; tests script them.

    Attributes:
        now_s: Seconds of a clock that only goes forward.
        wait_s: Waits so many seconds.
        others_s: CPU seconds of everybody else so far, from any origin; None where not told.
    """

    now_s: Callable[[], float] = time.perf_counter
    wait_s: Callable[[float], None] = time.sleep
    others_s: Callable[[], float | None] = _others_s


@dataclass(frozen=True)
class Stretch:
    """Work between the first and the last moment at which a meter was seen to move.

    Attributes:
        seconds: How long it took.
        energy_uj: What the meter counted.
        steps: How often it moved.
        runs: Inferences.
        wraps: How often its counter began anew.
        others: Share of one CPU that others used meanwhile; None where that is not told.
    """

    seconds: float
    energy_uj: int
    steps: int
    runs: int
    wraps: int
    others: float | None

    @property
    def power_w(self) -> float | None:
        """Mean power in watts; None where the meter hardly moved."""
        return self.energy_uj / 1e6 / self.seconds if self.steps and self.seconds > 0 else None


def metered(
    meter: EnergyMeter,
    work: Callable[[], int],
    around: Surroundings,
    *,
    least_s: float,
    least_steps: int,
    most_s: float,
) -> Stretch:
    """Do `work` again and again while `meter` counts.

    The stretch begins and ends where the meter moves, so that a coarse counter costs no more than
    the length of one piece of work at each end.

    Args:
        meter: Read after every piece.
        work: One piece, some milliseconds long; says how many inferences it was.
        around: The clock and the neighbours.
        least_s: Goes on until the stretch is so long, and
        least_steps: the meter has moved so often, unless
        most_s: so much time has passed.
    """
    began_s, others_before, wraps = around.now_s(), around.others_s(), meter.wraps
    reading_uj, runs = meter.read_uj(), 0
    moves: list[tuple[float, int, int]] = []
    while True:
        runs += work()
        at_s, now_uj = around.now_s(), meter.read_uj()
        if now_uj > reading_uj:
            reading_uj = now_uj
            moves.append((at_s, now_uj, runs))
        is_long = len(moves) > least_steps and moves[-1][0] - moves[0][0] >= least_s
        if is_long or at_s - began_s >= most_s:
            break
    passed_s, others_after = at_s - began_s, around.others_s()
    others = None
    if others_before is not None and others_after is not None and passed_s > 0:
        others = max(0.0, others_after - others_before) / passed_s
    wrapped = meter.wraps - wraps
    if len(moves) < 2:
        return Stretch(passed_s, 0, 0, runs, wrapped, others)
    (first_s, first_uj, first_runs), (last_s, last_uj, last_runs) = moves[0], moves[-1]
    return Stretch(
        last_s - first_s, last_uj - first_uj, len(moves) - 1, last_runs - first_runs, wrapped,
        others,
    )  # fmt: skip


def idle(meter: EnergyMeter, around: Surroundings) -> Stretch:
    """What the machine takes while this process waits."""

    def wait() -> int:
        around.wait_s(_IDLE_LOOK_S)
        return 0

    return metered(
        meter, wait, around, least_s=_IDLE_S, least_steps=_IDLE_STEPS, most_s=_IDLE_MAX_S
    )


def busy(meter: EnergyMeter, run: Callable[[], int], around: Surroundings) -> Stretch:
    """What it takes while inferences run back to back."""
    return metered(meter, run, around, least_s=MIN_S, least_steps=MIN_STEPS, most_s=MAX_S)


@dataclass(frozen=True)
class EnergyReading:
    """One case's stretch with the idling before and after its group; what is wanted follows.

    Attributes:
        meter: What counted.
        seconds, energy_uj, steps, runs, wraps: As of the `Stretch` of its runs.
        idle_before_w: Power of the idle machine before the group's runs, in watts, and
        idle_after_w: after them; None where the meter hardly moved.
        others: Largest share of one CPU that others used in the three stretches, or None.
    """

    meter: str
    seconds: float
    energy_uj: int
    steps: int
    runs: int
    wraps: int
    idle_before_w: float | None
    idle_after_w: float | None
    others: float | None

    @classmethod
    def of(cls, meter: str, runs: Stretch, before: Stretch, after: Stretch) -> EnergyReading:
        """The reading of one case."""
        shares = [s.others for s in (runs, before, after) if s.others is not None]
        return cls(
            meter, runs.seconds, runs.energy_uj, runs.steps, runs.runs, runs.wraps,
            before.power_w, after.power_w, max(shares, default=None),
        )  # fmt: skip

    @property
    def gross_mj(self) -> float | None:
        """Energy of one inference in millijoules, idling included; None if none was counted."""
        return self.energy_uj / 1e3 / self.runs if self.steps and self.runs else None

    @property
    def net_mj(self) -> float | None:
        """The same less what the idle machine takes in that time; None if that is not known."""
        if self.gross_mj is None or self.idle_before_w is None or self.idle_after_w is None:
            return None
        idle_w = (self.idle_before_w + self.idle_after_w) / 2
        return self.gross_mj - 1e3 * idle_w * self.seconds / self.runs

    @property
    def flags(self) -> frozenset[EnergyFlag]:
        """Every reason for caution."""
        before, after = self.idle_before_w, self.idle_after_w
        is_steady = (
            before is not None
            and after is not None
            and abs(after - before) <= _UNSTABLE * max(before, after)
        )
        raised = {
            EnergyFlag.ENERGY_SHARED: self.others is None or self.others > _SHARED,
            EnergyFlag.ENERGY_SHORT: self.steps < MIN_STEPS or self.seconds < MIN_S,
            EnergyFlag.ENERGY_WRAPPED: self.wraps > 0,
            EnergyFlag.ENERGY_UNSTABLE: not is_steady,
        }
        return frozenset(flag for flag, is_raised in raised.items() if is_raised)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EnergyReading:
        """The reading that `to_json` wrote.

        Raises:
            MeasurementError: It is none; says what was kept in its place.
        """
        names = {field.name for field in fields(cls)}
        if not names <= data.keys():
            raise MeasurementError(f"No energy was read: {data.get('error', dict(data))}")
        return cls(**{name: data[name] for name in names})


def read_energies(
    order: EnergyOrder,
    cases: Mapping[str, Callable[[], int]],
    errors: tuple[type[Exception], ...],
    before_case: Callable[[str], None],
    around: Surroundings = Surroundings(),
    root: Path = ROOT,
) -> dict[str, dict[str, Any]]:
    """Meter `cases` one after another, between two stretches of idling.

    Args:
        order: Which meter.
        cases: What runs each by its name; says how many inferences that was.
        errors: What leaves all cases without an energy instead of ending the process: their
            latencies are known already.
        before_case: Called with a case's name before it runs.
        around: The clock and the neighbours.
        root: Folder that holds `sys`; another one serves tests.

    Returns:
        For each case what `EnergyReading.from_json` reads, or `{"error": why there is none}`.
    """
    stretches: dict[str, Stretch] = {}
    try:
        with open_meter(order.power, order.gpu, root) as meter:
            if meter is None:
                raise UnavailableError("This machine exposes no energy.")
            before = idle(meter, around)
            for case, run in cases.items():
                before_case(case)
                stretches[case] = busy(meter, run, around)
            after, name = idle(meter, around), meter.name
    except errors as error:
        return {case: {"error": str(error)} for case in cases}
    return {
        case: EnergyReading.of(name, runs, before, after).to_json()
        for case, runs in stretches.items()
    }


@dataclass(frozen=True)
class Energy:
    """What several launches say of the energy of one inference.

    Attributes:
        gross_mj: Median over launches in millijoules, and `net_mj` that net of idling; None where
            no launch tells.
        launches: How many launches tell.
        flags: Of any of them.
    """

    gross_mj: float | None
    net_mj: float | None
    launches: int
    flags: frozenset[EnergyFlag]


def energy_of(launches: Iterable[Launch]) -> Energy | None:
    """What the launches that were metered say together; None where none was."""
    readings = [
        EnergyReading.from_json(launch.energy)
        for launch in launches
        if launch.energy is not None and "error" not in launch.energy
    ]
    if not readings:
        return None
    flags = frozenset().union(*(reading.flags for reading in readings))
    return Energy(
        _median(r.gross_mj for r in readings), _median(r.net_mj for r in readings),
        len(readings), flags,
    )  # fmt: skip


def _median(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return statistics.median(told) if told else None
