"""benchncnn's output, written by hand."""

from __future__ import annotations

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Statistic
from elat.latency.imports.ncnn_benchmark import NcnnBenchmark

LOG = """loop_count = 16
num_threads = 4
powersave = 2
gpu_device = -1
cooling_down = 1
          squeezenet  min =    9.00  max =    9.75  avg =    9.25
        mobilenet_v2  min =    0.50  max =    0.75  avg =    0.63
"""


def test_means_of_networks():
    assert NcnnBenchmark().recognises(LOG.encode())
    found = NcnnBenchmark().read(LOG.encode())
    first, second = found.rows
    assert (first.name, first.value, first.statistic, first.count) == (
        "squeezenet",
        9.25,
        Statistic.MEAN,
        16,
    )
    assert first.reported == {"min": 9, "max": 9.75}
    assert first.flags == {Flag.MEAN_ONLY}
    assert second.flags == {Flag.MEAN_ONLY, Flag.QUANTISED}
    assert found.facts["gpu_device"] == -1


def test_a_fragment_does_not_say_how_many_runs():
    assert NcnnBenchmark().read(LOG.encode().partition(b"= 1\n")[2]).rows[0].count is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("9.25", "-9.25", "avg of 'squeezenet'"),
        ("9.25", "nan", "avg of 'squeezenet'"),
        ("9.25", "99.25", "not between min and max"),
        ("mobilenet_v2", "squeezenet", "'squeezenet' twice"),
        ("loop_count = 16", "loop_count = 0", "loop_count"),
        ("avg", "mean", "line 6 should be"),
        ("max =    0.75", "max =    ?", "line 7 should be"),
    ],
)
def test_damaged_logs_are_refused(old, new, message):
    with pytest.raises(ArtefactError, match=message):
        NcnnBenchmark().read(LOG.replace(old, new).encode())
