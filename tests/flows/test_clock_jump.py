"""A system clock that jumps while a campaign runs disturbs no duration and loses no launch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from elat.devices.device import find_device
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.launcher import default_command
from elat.latency.measure import measure
from elat.latency.operators.conv import Conv
from elat.latency.protocol import SCREEN
from elat.latency.store import open_store

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
BACK_S, AHEAD_S = -86_400, 7_200
OPERATORS = tuple(Conv(3, 8 * k, resolution=8, kernel=3) for k in (1, 2, 3))
# Every case gets five launches, of few slices.
PROTOCOL = replace(
    SCREEN, name="quick", target=1e-9, passes=8, max_passes=8, group_min_ms=0.0, looks=(5,)
)


@pytest.mark.slow
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt-get install faketime")
def test_a_clock_that_jumps_back_and_ahead(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0")
    command = [
        "env",
        f"LD_PRELOAD={LIBRARY}",
        f"FAKETIME_TIMESTAMP_FILE={offset}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        *default_command(),
    ]
    condition = Condition.of(find_device("local-ort")).of_models
    with open_store(tmp_path / "store.db") as store:
        steps = measure(
            OPERATORS,
            condition,
            PROTOCOL,
            store,
            ArtefactCache(tmp_path / "artefacts"),
            seed=0,
            worker_command=command,
        )
        rounds = 0
        for step in steps:
            if step.launch is not None and step.done % len(OPERATORS) == 0:
                rounds += 1
                offset.write_text(f"{(BACK_S, AHEAD_S)[rounds % 2]:+d}")
        found = store.measurements(condition)
    assert {m.count for m in found} == {PROTOCOL.max_launches}
    launches = [launch for m in found for launch in m.launches]
    starts = [launch.started_s or 0.0 for launch in found[0].launches]
    # The jumps did reach the workers' clocks, both ways.
    changes = [after - before for before, after in pairwise(starts)]
    assert min(changes) < -3600 < 3600 < max(changes)
    durations = [s for launch in launches for s in (*launch.samples, *launch.sentinel)]
    assert all(s.cpu_ns > 0 and 0 < s.wall_ns < 60e9 for s in durations)
    for m in found:
        low, high = m.interval()
        assert 0 < low < m.latency_ms < high < 1000.0
