"""A device that is held for its program: what stays there, and what is deleted in the end."""

from __future__ import annotations

import os
import time

import pytest

from elat.latency.benchmark_model.doctor import examine_program
from elat.latency.benchmark_model.place import held, open_program

from .fakes import Said

NAMES = (
    "graph num_runs min_secs warmup_min_secs num_threads use_xnnpack output_filepath "
    "input_layer_value_files"
)
HELP = "".join(f"\t--{name}=x\n" for name in NAMES.split()).encode()


@pytest.fixture
def left(fake, tmp_path, monkeypatch):
    """What a run that was cut off has left on the device."""
    monkeypatch.setenv("ELAT_LOCKS", str(tmp_path / "locks"))
    fake.say([Said(HELP)] * 3)
    found = [fake.work / "runs" / ("a" * 20), fake.work / f"job-{'a' * 20}-0"]
    for folder in found:
        folder.mkdir(parents=True)
    return found


def test_the_doctor_and_profiles_leave_the_run_of_a_campaign_that_was_cut_off(fake, left):
    assert examine_program(fake.device)[0].status == "pass"
    with held(fake.device):
        pass
    assert all(folder.exists() for folder in left)


def test_a_campaign_that_ends_well_leaves_what_another_one_may_come_back_for(fake, left):
    with open_program(fake.device):
        pass
    assert all(folder.exists() for folder in left)
    week_ago = time.time() - 9 * 24 * 3600
    for folder in left:
        os.utime(folder, (week_ago, week_ago))
    with pytest.raises(KeyboardInterrupt), open_program(fake.device):
        raise KeyboardInterrupt
    assert all(folder.exists() for folder in left)
    with open_program(fake.device):
        pass
    assert not any(folder.exists() for folder in left)
