"""Machines that a meter must cope with, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .machine import MachineModel


@dataclass(frozen=True)
class Scenario:
    """A machine, and how it is measured.

    Attributes:
        about: What the machine is like, in words.
        threads: With 1 CPU time decides, with more the clean wall time.
        is_within_limits: Whether the meter claims that its intervals hold on such a machine.
    """

    about: str
    model: MachineModel
    threads: int = 1
    is_within_limits: bool = True


_SHARED = MachineModel()

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "quiet": Scenario(
            "a machine of one's own",
            MachineModel(
                launch_sd=0.004,
                worker_sd=0.002,
                drift_sd=0.003,
                flicker_sd=0.003,
                own_drift_sd=0.001,
            ),
        ),
        "shared": Scenario("a shared machine: launches 1 %, drift 1 %, flicker 2 %", _SHARED),
        "scattered": Scenario(
            "memory places matter: launches 2 %, drift 1 %", MachineModel(launch_sd=0.02)
        ),
        "busy": Scenario(
            "the core is lost after every second slice of the scheduler",
            MachineModel(busy_share=0.5),
        ),
        "busy, wall time": Scenario(
            "the same, judged by wall time as several threads are",
            MachineModel(busy_share=0.2),
            threads=2,
        ),
        "throttled": Scenario(
            "the clock falls by a quarter six times a minute for half a second",
            MachineModel(throttles_per_min=6),
        ),
        "coarse clock": Scenario(
            "clocks advance in steps of 10 microseconds", MachineModel(clock_step_ns=10_000)
        ),
        "wild": Scenario(
            "the speed wanders by 8 % over minutes, and cases follow it unlike",
            MachineModel(drift_sd=0.08, flicker_sd=0.03),
            is_within_limits=False,
        ),
    }
)
