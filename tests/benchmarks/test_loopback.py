"""How far times through ssh and adb agree with those taken here, in turns on one machine."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from dataclasses import replace

import numpy as np
import pytest

from elat.devices.device import device_of
from elat.flows.measuring import Campaign, measure_cases
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.launch import Launch
from elat.latency.protocol import SCREEN
from elat.latency.sample import Clock
from elat.latency.store import open_store
from elat.search.spaces import find_space

from ..loopback import phone, sshd
from ..loopback.stand_ins import install_stand_in

TURNS = 8
HERE, TWIN, SSH, ADB = "here", "here once more", "over ssh", "over adb"
HOT = "here for 60 ms on end"


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """The same runtime on the same core: here in three ways, over ssh, and in the stand-in."""
    for reason in (sshd.missing_reason(), phone.missing_reason()):
        if reason:
            pytest.skip(reason)
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    program = install_stand_in(tmp_path / "benchmark_model")
    core = max(os.sched_getaffinity(0))
    common = {
        "schema": 1,
        "runtime": {"name": "tflite", "method": "block"},
        "cpu": {"affinity": [core]},
    }
    with (
        sshd.running_sshd() as server,
        phone.running_adb_server() as adb,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", str(server.folder / "run"))
        for name, value in adb.environment.items():
            patch.setenv(name, value)
        ssh = {
            "host": sshd.HOST,
            "config": str(server.config),
            "identity": str(server.folder / "user"),
            "folder": str(tmp_path / "board"),
            "python": sys.executable,
        }
        with phone.connected_phone(adb, tmp_path / "phone") as connected:
            transport = {"serial": connected.serial, "folder": str(connected.root / "work")}
            yield {
                HERE: device_of({**common, "id": "here", "kind": "local_cpu"}, "here"),
                HOT: device_of({**common, "id": "hot", "kind": "local_cpu"}, "hot"),
                TWIN: device_of({**common, "id": "twin", "kind": "local_cpu"}, "twin"),
                SSH: device_of({**common, "id": "loop-ssh", "kind": "ssh", "ssh": ssh}, "ssh"),
                ADB: device_of(
                    {
                        **common,
                        "id": "loop-adb",
                        "kind": "android_adb",
                        "transport": transport,
                        "program": {"path": str(program)},
                        "runtime": {"name": "benchmark_model", "method": "block"},
                    },
                    "adb",
                ),
            }
        shutil.rmtree(tmp_path / "board", ignore_errors=True)


def test_agreement_over_loopback(benchmark, figure, tmp_path, devices):
    """A turn is one launch of every operator of proxyless-tiny on each device.

    Thread CPU time is compared where both have it, wall time with the stand-in; with that also
    where elat's own worker runs an operator for as long on end as the stand-in does.
    """
    operators = tuple(o for o in find_space("proxyless-tiny").all_operators() if not o.is_free)
    cache = ArtefactCache(tmp_path / "artefacts")
    with open_store(tmp_path / "store.db") as store:

        def take_turns():
            for number in range(1, TURNS + 1):
                protocol = replace(
                    SCREEN,
                    name=f"turn {number}",
                    min_launches=number,
                    max_launches=number,
                    looks=(number,),
                )
                hot = replace(protocol, slice_ms=60.0, passes=10)
                order = list(devices)
                for name in order[number % len(order) :] + order[: number % len(order)]:
                    how = hot if name == HOT else protocol
                    for _ in measure_cases(
                        Campaign(devices[name], how, store, cache, seed=number), operators
                    ):
                        pass

        benchmark.pedantic(take_turns, rounds=1, iterations=1)
        found = {
            name: {m.operator: m.launches for m in store.measurements(Condition.of(device))}
            for name, device in devices.items()
        }
    for name, other, clock in (
        (TWIN, HERE, Clock.CPU),
        (SSH, HERE, Clock.CPU),
        (TWIN, HERE, Clock.WALL),
        (HOT, HERE, Clock.WALL),
        (ADB, HERE, Clock.WALL),
        (ADB, HOT, Clock.WALL),
    ):
        theirs = found[other]
        off = [_percent(found[name][operator], theirs[operator], clock) for operator in operators]
        what = f"{name} to {other}, {clock} time"
        figure(f"{what}: median of {len(off)} operators", statistics.median(off), "%")
        figure(f"{what}: median, either way", abs(statistics.median(off)), "%", most=3.0)
        within = 100 * float(np.mean(np.abs(off) <= 3.0))
        figure(f"{what}: operators within 3 %", within, "%")
        figure(f"{what}: mean absolute difference", float(np.mean(np.abs(off))), "%")
        for operator, one in zip(operators, off, strict=True):
            if abs(one) > 3.0:
                took = 1e3 * _ms(theirs[operator], clock)
                figure(f"{what}: {operator} of {took:.1f} us", one, "%")
        longer = [
            one for one, o in zip(off, operators, strict=True) if _ms(theirs[o], clock) >= 0.1
        ]
        if longer:
            within = 100 * float(np.mean(np.abs(longer) <= 3.0))
            figure(f"{what}: of {len(longer)} from 100 us on, within 3 %", within, "%")


def _percent(ours: tuple[Launch, ...], theirs: tuple[Launch, ...], clock: Clock) -> float:
    """By how many per cent `ours` are longer, in the median of turns."""
    ratios = [
        one.middle_ms(clock) / other.middle_ms(clock)
        for one, other in zip(ours, theirs, strict=True)
    ]
    return 100 * (statistics.median(ratios) - 1)


def _ms(launches: tuple[Launch, ...], clock: Clock) -> float:
    return statistics.median(launch.middle_ms(clock) for launch in launches)
