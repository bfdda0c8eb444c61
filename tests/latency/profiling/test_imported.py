from __future__ import annotations

import json

import pytest

from elat.core.errors import ConfigError
from elat.latency.flags import Flag
from elat.latency.imports import importers
from elat.latency.profiling.imported import profile_of

LAYERS = [
    {"count": 200},
    *(
        {
            "name": name,
            "timeMs": 200 * median,
            "averageMs": median,
            "medianMs": median,
            "percentage": share,
        }
        for name, median, share in (
            ("stem + stem_relu", 0.25, 50.0),
            ("Reformatting CopyNode for Input Tensor 0 to head", 0.125, 25.0),
            ("head", 0.125, 25.0),
        )
    ),
]


@pytest.fixture
def imported():
    # As trtexec prints it: a space on both sides of a colon.
    text = json.dumps(LAYERS, separators=(", ", " : "))
    return importers["trtexec-profile"]().read(text.encode())


def test_layers_of_tensorrt_are_nodes(imported):
    profile = profile_of(imported)
    assert [node.fused for node in profile.nodes] == [("stem", "stem_relu"), (), ("head",)]
    assert [node.latency_ms for node in profile.nodes] == [0.25, 0.125, 0.125]
    assert profile.layout_ms == pytest.approx(0.125)
    assert profile.origin == "imported"
    assert profile.unprofiled_run_ms is None
    assert profile.residual_ms is None
    assert profile.overhead_share is None
    assert profile.runs == 200
    assert Flag.LOW_N not in profile.nodes[0].flags


def test_they_are_scaled_to_what_a_run_takes_unprofiled(imported):
    profile = profile_of(imported, 0.4)
    assert profile.scale == pytest.approx(0.8)
    assert profile.nodes_ms == pytest.approx(0.4)
    assert profile.residual_ms == pytest.approx(0.0)
    assert profile.nodes[0].raw_ms == 0.25


def test_json_of_an_imported_profile_is_read_back(imported):
    from elat.latency.profiling.profile import Profile

    profile = profile_of(imported, 0.4)
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


def test_a_file_that_has_no_nodes_is_no_profile():
    times = json.dumps(
        [{"computeMs": 1.5, "startComputeMs": 0.0, "endComputeMs": 1.5, "latencyMs": 1.5}] * 12
    )
    from dataclasses import replace

    from elat.latency.imports.base import LEVEL, Imported, Level, Row, Statistic

    row = Row("run", 1.5, Statistic.MEDIAN, facts={LEVEL: Level.NETWORK.value})
    found = Imported("perf", "perf_test", "", "s", "", None, (row,), times)
    with pytest.raises(ConfigError, match="no profile: it holds 0 nodes"):
        profile_of(found)
    free = replace(found, rows=(replace(row, value=0.0, facts={}),))
    with pytest.raises(ConfigError, match="no profile"):
        profile_of(free)
