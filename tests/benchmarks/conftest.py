"""Fresh campaigns to look at, and the table of figures at the end of `make bench`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from elat.devices.device import find_device
from elat.devices.state import fingerprint
from elat.flows.measuring import Campaign, measure_cases, measure_space
from elat.latency.artefacts import ArtefactCache
from elat.latency.measure import Progress, Stage
from elat.latency.measurement import Measurement
from elat.latency.operators import Operator
from elat.latency.protocol import find_protocol
from elat.latency.store import open_store
from elat.search.spaces import find_space

DEVICES = ("local-ort", "local-tflite")
_FIGURES = pytest.StashKey[list[tuple[str, str, str, str]]]()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["elat"] = fingerprint()
    machine_info["load_at_start"] = os.getloadavg()


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_FIGURES, [])
    if not rows:
        return
    found = fingerprint()
    terminalreporter.section("figures")
    terminalreporter.write_line(
        f"{found.get('cpu', found['machine'])}, {found['cpus']} CPUs, kernel {found['kernel']}, "
        f"load {', '.join(f'{load:.1f}' for load in os.getloadavg())} at the end"
    )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, target, verdict in rows:
        cells = zip((name, value, target), widths, strict=True)
        line = "  ".join(cell.ljust(width) for cell, width in cells)
        terminalreporter.write_line(f"{line}  {verdict}".rstrip())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=DEVICES)
def device(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def figure(benchmark, request) -> Callable[..., None]:
    """Notes a figure, its target and the load, in the JSON and in the table at the end."""
    rows = request.config.stash.setdefault(_FIGURES, [])

    def figure(
        name: str,
        value: float,
        unit: str,
        *,
        most: float | None = None,
        least: float | None = None,
    ) -> None:
        target = most if most is not None else least
        is_met = None
        if target is not None:
            is_met = value <= target if most is not None else value >= target
        benchmark.extra_info[name] = {
            "value": value,
            "unit": unit,
            "at_most": most,
            "at_least": least,
            "is_met": is_met,
        }
        benchmark.extra_info["load"] = os.getloadavg()
        wanted = "" if target is None else f"{'<=' if most is not None else '>='} {target:g}"
        verdict = {None: "", True: "met", False: "NOT MET"}[is_met]
        rows.append((name, f"{value:.4g} {unit}", wanted, verdict))

    return figure


@dataclass
class Fresh:
    """A store of its own with the hosts of proxyless-tiny measured.

    Attributes:
        build_s: Wall time of writing every artefact, and `wall_s` of all that came after.
    """

    campaign: Campaign
    build_s: float
    wall_s: float

    @property
    def measured(self) -> dict[Operator, Measurement]:
        condition = self.campaign.condition.of_models
        return {m.operator: m for m in self.campaign.store.measurements(condition)}

    def add(self, cases: tuple[Operator, ...]) -> None:
        """Measure `cases` in the same store."""
        for _ in measure_cases(self.campaign, cases):
            pass


@pytest.fixture(scope="session")
def space() -> Any:
    return find_space("proxyless-tiny")


@pytest.fixture(scope="session")
def campaigns(tmp_path_factory, space) -> Iterator[Callable[[str, str, int], Fresh]]:
    """`campaigns(device, protocol, number)`: measured once a session, each in its own store."""
    folder = tmp_path_factory.mktemp("campaigns")
    known: dict[tuple[str, str, int], Fresh] = {}
    with ExitStack() as stack:

        def campaigns(device: str, protocol: str, number: int) -> Fresh:
            key = (device, protocol, number)
            if key not in known:
                store = stack.enter_context(open_store(folder / f"{len(known)}.db"))
                campaign = Campaign(
                    find_device(device),
                    find_protocol(protocol),
                    store,
                    ArtefactCache(folder / "artefacts"),
                    seed=number,
                )
                known[key] = _timed(campaign, measure_space(campaign, space))
            return known[key]

        yield campaigns


def _timed(campaign: Campaign, steps: Iterator[Progress]) -> Fresh:
    started = built = time.perf_counter()
    for step in steps:
        if step.stage is Stage.BUILD:
            built = time.perf_counter()
    return Fresh(campaign, built - started, time.perf_counter() - built)
