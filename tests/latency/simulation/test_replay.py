"""Statistics on launches that were recorded on a real, shared machine of two cores.

Five complete measurements of ten operators on ONNX Runtime by `standard`, within an hour, and five
more while another process wanted the same core; every second slice was kept.
"""

from __future__ import annotations

import gzip
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import ArtefactError
from elat.latency.protocol import SCREEN, STANDARD
from elat.latency.sample import Clock
from elat.latency.simulation.replay import Recording, read_recording

FOLDER = Path(__file__).with_name("recordings")


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {
        load: read_recording(*sorted(FOLDER.glob(f"local-ort-{load}-*.jsonl.gz")))
        for load in ("quiet", "busy")
    }


def test_they_hold_ten_operators_five_times(recordings):
    for recording in recordings.values():
        assert recording.origin == "measured"
        assert recording.condition.device == "local-ort"
        assert set(recording.stretches) == set(range(5))
        assert len(recording.whole(STANDARD)) == 10
        assert all(
            m.count >= 5 * STANDARD.min_launches for m in recording.whole(STANDARD).values()
        )


def test_a_replay_stops_as_the_protocol_says_and_depends_on_its_seed_alone(recordings):
    found = recordings["quiet"].replay(SCREEN, np.random.default_rng(0))
    again = recordings["quiet"].replay(SCREEN, np.random.default_rng(0))
    assert found == again
    for m in found.values():
        assert m.count in SCREEN.looks
        assert m.count == SCREEN.max_launches or m.relative_half_width <= SCREEN.target


@pytest.mark.parametrize("load", ["quiet", "busy"])
@pytest.mark.parametrize("protocol", [SCREEN, STANDARD], ids=str)
def test_replays_of_different_stretches_agree_within_their_intervals(recordings, load, protocol):
    # The machine's speed differs between stretches; what all cases share is taken off.
    recording = recordings[load]
    held, close = [], []
    replays = [recording.replay(protocol, np.random.default_rng(seed)) for seed in range(12)]
    for a, b in combinations(replays, 2):
        change = {o: math.log(b[o].latency_ms / a[o].latency_ms) for o in a}
        shared = float(np.median(list(change.values())))
        for operator, found in change.items():
            half = math.hypot(a[operator].relative_half_width, b[operator].relative_half_width)
            held.append(abs(found - shared) <= half)
            close.append(abs(found - shared) <= math.log(1.02))
    assert np.mean(held) > 0.9
    assert np.mean(close) > (0.8 if load == "quiet" else 0.7)


def test_a_neighbour_on_the_same_core_doubles_the_wall_time_and_leaves_the_latency(recordings):
    quiet, busy = (recordings[load].whole(STANDARD) for load in ("quiet", "busy"))
    moved = [math.log(busy[o].latency_ms / quiet[o].latency_ms) for o in quiet]
    assert np.median(np.abs(moved)) < 0.02
    # The mean of the wall time of all slices, which most tools report, is another matter.
    naive = [math.log(_mean_wall_ms(busy[o]) / _mean_wall_ms(quiet[o])) for o in quiet]
    assert np.median(naive) > 0.2


def test_the_middle_of_a_launch_is_steadier_than_the_mean_of_its_slices(recordings):
    middle, mean = [], []
    for m in recordings["quiet"].whole(STANDARD).values():
        middle.append(np.std([math.log(x.middle_ms(Clock.CPU)) for x in m.launches]))
        mean.append(np.std([math.log(np.mean([s.cpu_ms for s in x.samples])) for x in m.launches]))
    assert np.median(middle) < np.median(mean)


def test_the_correction_by_sentinel_and_common_mode_narrows_the_scatter(recordings):
    for recording in recordings.values():
        found = recording.whole(STANDARD).values()
        raw = [np.std(m.launch_log + np.array(m.slowness) + np.array(m.drift)) for m in found]
        assert np.median([m.launch_log.std() for m in found]) < np.median(raw)


def _mean_wall_ms(m) -> float:
    return float(np.mean([s.wall_ms for launch in m.launches for s in launch.samples]))


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="no readable recording"):
        read_recording(tmp_path / "none.jsonl")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(next(FOLDER.glob("*.gz")).read_bytes()[:500])
    with pytest.raises(ArtefactError):
        read_recording(cut)
    whole = gzip.decompress(next(FOLDER.glob("*.gz")).read_bytes())
    other = tmp_path / "other.jsonl"
    other.write_bytes(whole.replace(b'"local-ort"', b'"another"', 1))
    with pytest.raises(ArtefactError, match="hold 2"):
        read_recording(other)
