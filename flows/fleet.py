"""A campaign over several devices: at the same time where they are different machines."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol as Shape

from ..core.errors import ElatError, MissingLatencyError
from ..devices.device import Device, DeviceKind
from ..devices.reach import way_to
from ..devices.set_aside import noted
from ..latency.measure import Progress, Stage
from ..latency.protocol import Protocol
from ..latency.store import MeasurementStore, open_store
from .energy import find_metering
from .measuring import Campaign, default_cache
from .parallel import Job, portable, run_parallel
from .wanted import Wanted

_HERE = "this machine"
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class FleetOrder:
    """A campaign over several devices.

    Attributes:
        devices: Each once.
        store: Where the store is; every device opens it for itself.
        seed: Decides orders, and what random operators are.
        has_energy: Whether new launches read the meter of a device that has one.
    """

    devices: tuple[Device, ...]
    wanted: Wanted
    protocol: Protocol
    store: str
    seed: int
    has_energy: bool = False


@dataclass(frozen=True)
class Step:
    """One step done on a device; `failure` is a sentence about an operator."""

    device: str
    stage: Stage
    done: int
    total: int
    is_launch: bool = False
    failure: str | None = None


@dataclass(frozen=True)
class Done:
    """A device that is asked nothing more in this campaign.

    Attributes:
        launches: New ones in the store.
        failures: Operators that failed.
        operators: That are known there now; 0 where `error` says why not all are.
        store: Where launches are, without a password.
        error: What set the device aside, or says which operator is missing; None for neither.
    """

    device: str
    launches: int
    failures: int
    operators: int
    store: str
    error: ElatError | None

    @property
    def is_set_aside(self) -> bool:
        return self.error is not None and not isinstance(self.error, MissingLatencyError)


class _Semaphore(Shape):
    """What lanes of different processes wait for."""

    def acquire(self, block: bool = ..., timeout: float | None = ...) -> bool: ...

    def release(self) -> None: ...


def lanes(devices: Sequence[Device]) -> dict[str, tuple[Device, ...]]:
    """`devices` by the machine that they are; those of one machine would disturb one another."""
    found: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        found[_machine(device)].append(device)
    return {machine: tuple(several) for machine, several in found.items()}


def measure_fleet(order: FleetOrder) -> Iterator[Step | Done]:
    """Measure on every device; yields what is done anywhere, and a `Done` for each.

    Machines work at the same time, each by a process of this one, and the devices of one machine
    one after another. Those of this machine begin when no artefact is built any more for others,
    which would disturb them. A device that fails for a reason of its own is set aside, and the
    others go on. When the generator is closed, all end; what was found is stored.

    Raises:
        ArtefactError: The store cannot be used.
        MeasurementError: A process was killed.
    """
    machines = lanes(order.devices)
    others = len(machines) - (_HERE in machines)
    built = multiprocessing.get_context("spawn").Semaphore(0)
    jobs = [
        Job(machine, _lane, (order, devices, built, others if machine == _HERE else None))
        for machine, devices in machines.items()
    ]
    for _, found in run_parallel(jobs, len(jobs)):
        yield found


def _machine(device: Device) -> str:
    return _HERE if device.kind is DeviceKind.SIMULATED else way_to(device)


def _lane(
    order: FleetOrder, devices: Sequence[Device], built: _Semaphore, others: int | None
) -> Iterator[Step | Done]:
    """The devices of one machine, one after another.

    Every machine but this one releases `built` once, when the artefacts of its last device are
    built. This one waits for so many `others`, which is None for those.
    """
    # An interrupt at the keyboard reaches the whole group; the parent tells when to end.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for _ in range(others or 0):
        while not built.acquire(timeout=_LOOK_EVERY_S):
            yield Step(devices[0].id, Stage.WAIT, 0, 0)
    is_building = others is None
    for device in devices:
        is_last = device == devices[-1]
        for found in _measured(order, device):
            is_built = isinstance(found, Done) or found.stage is not Stage.BUILD
            if is_building and is_last and is_built:
                is_building = False
                built.release()
            yield found


def _measured(order: FleetOrder, device: Device) -> Iterator[Step | Done]:
    """The steps of `device`, and what became of it."""
    launches = failures = operators = 0
    error: ElatError | None = None
    with open_store(order.store) as store:
        try:
            with noted(device.id):
                campaign = _campaign(order, device, store)
                for step in order.wanted.measure(campaign):
                    found = _step(device, step)
                    launches += found.is_launch
                    failures += found.failure is not None
                    yield found
                operators = order.wanted.known(campaign)
        except ElatError as raised:
            error = portable(raised)
    yield Done(device.id, launches, failures, operators, store.location, error)


def _campaign(order: FleetOrder, device: Device, store: MeasurementStore) -> Campaign:
    energy = find_metering(device).order if order.has_energy else None
    return Campaign(device, order.protocol, store, default_cache(), order.seed, energy)


def _step(device: Device, step: Progress) -> Step:
    failure = None if step.failure is None else f"{step.operator}: {step.failure}"
    return Step(device.id, step.stage, step.done, step.total, step.launch is not None, failure)
