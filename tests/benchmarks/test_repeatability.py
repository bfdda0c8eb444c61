"""How far complete re-measurements in fresh stores agree, on a quiet core and on a busy one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from elat.devices.device import find_device
from elat.flows.measuring import Campaign, measure_cases
from elat.latency.artefacts import ArtefactCache
from elat.latency.comparison import Side, compare_measurements
from elat.latency.operators.generate import generate
from elat.latency.protocol import find_protocol
from elat.latency.store import open_store

OPERATORS = 60
SPARE = 4
REPEATS = 5
LEAST = {"quiet": 95.0, "busy": 90.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the stores are kept: ELAT_BENCH_OUT, for `elat exam measuring --store`, if set."""
    kept = os.environ.get("ELAT_BENCH_OUT")
    return Path(kept) if kept else tmp_path_factory.mktemp("repeatability")


@pytest.mark.parametrize("load", LEAST)
def test_repeatability(benchmark, figure, folder, device, load):
    core = max(os.sched_getaffinity(0))
    found = []

    def measure_all():
        for number in range(REPEATS):
            with _burner(core) if load == "busy" else _nothing():
                found.append(_measured(folder, device, load, number, core))

    benchmark.pedantic(measure_all, rounds=1, iterations=1)
    headline, raw, relative = [], [], []
    for a, b in combinations(found, 2):
        comparison = compare_measurements(Side.of(a), Side.of(b))
        for case in comparison.cases:
            headline.append(np.log(case.b_ms / case.a_ms))
            raw.append(case.raw_log)
            # What the other cases moved by is not taken off: one latency is to repeat by itself.
            relative.append(case.effect_log + case.shared_log)
    where = f"{device} {load}"
    _note(figure, f"{where}: over the sentinel", relative, least=LEAST[load])
    _note(figure, f"{where}: headline", headline)
    _note(figure, f"{where}: raw", raw)
    launches = np.mean([m.count for store in found for m in store])
    clean = np.mean([m.clean_share for store in found for m in store])
    figure(f"{where}: undisturbed slices", 100 * float(clean), "%")
    figure(f"{where}: launches an operator", float(launches), "")
    figure(f"{where}: operators", float(min(map(len, found))), "", least=OPERATORS)


def _measured(folder, device, load, number, core):
    """A complete measurement of all operators into a store of its own."""
    path = folder / f"{device}-{load}-{number}.db"
    path.unlink(missing_ok=True)
    with open_store(path) as store:
        campaign = Campaign(
            replace(find_device(device), affinity=(core,)),
            find_protocol("standard"),
            store,
            ArtefactCache(folder / "artefacts"),
            seed=number,
        )
        for _ in measure_cases(campaign, generate(OPERATORS + SPARE, seed=0)):
            pass
        (condition,) = store.conditions()
        return store.measurements(condition)


def _note(figure, name, differences, least=None):
    percent = 100 * np.expm1(np.abs(differences))
    figure(f"{name}: within 2 %", 100 * float(np.mean(percent <= 2)), "%", least=least)
    for p in (50, 95):
        figure(f"{name}: p{p} of the difference", float(np.percentile(percent, p)), "%")


@contextmanager
def _burner(core: int) -> Iterator[None]:
    """A process that wants the whole of `core`."""
    burn = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", burn])
    try:
        yield
        assert process.poll() is None, "the burner did not burn"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
