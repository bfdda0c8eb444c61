"""The shell programs of runs in every shell that is here; those of phones where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from elat.latency.benchmark_model import scripts
from elat.latency.benchmark_model.results import read_log

from ..shells import ShellFolder

TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def device(shell, tmp_path):
    return Device(shell, tmp_path)


class Device(ShellFolder):
    """A work folder with a program in it."""

    def program(self, text, name="program"):
        (self.folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / name).chmod(0o755)

    def run(self, plan, limit=20, mask="", program="./program", path=None):
        (self.folder / "plan").write_text("".join(f"{line}\n" for line in plan))
        words = (TOKEN, "plan", "out", str(limit), mask, program)
        return self.ask(scripts.RUN, *words, path=path)

    def ended(self, plan, **options):
        done = self.run(plan, **options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"\n{TOKEN} done\n".encode())
        found, begun = read_log(done.stdout)
        assert begun is None
        return {number: (one.end, one.log) for number, one in found.items()}


def test_flags_arrive_as_they_are(device):
    (device.folder / "a").touch()
    device.program('for word; do printf "<%s>" "$word"; done')
    found = device.ended(["7 models/x 0 --a=* --b=$(touch${IFS}owned) --c=`id` --d=\\n;&'\""])
    said = (
        "<--graph=models/x/model.tflite><--a=*><--b=$(touch${IFS}owned)><--c=`id`><--d=\\n;&'\">"
    )
    assert found == {7: (0, said.encode())}
    assert not (device.folder / "owned").exists()


def test_an_output_is_asked_for_where_the_plan_says(device):
    device.program('echo "$2"')
    found = device.ended(["0 m 1", "1 m 0 --x"])
    assert found == {0: (0, b"--output_filepath=out/0\n"), 1: (0, b"--x\n")}


def test_each_end_is_told_and_the_next_one_runs(device):
    device.program('case $2 in kill) kill -s "$3" $$ ;; exit) exit "$3" ;; esac')
    plan = ["0 m 0 exit 7", "1 m 0 kill SEGV", "2 m 0 exit 255", "3 m 0 kill KILL", "4 m 0"]
    found = device.ended(plan)
    assert [end for end, _ in found.values()] == [7, 139, 255, 137, 0]


def test_a_program_that_is_not_there_or_is_no_program(device):
    assert device.ended(["0 m 0"])[0][0] == 127
    (device.folder / "program").write_text("x")
    assert device.ended(["0 m 0"])[0][0] == 126


def test_both_streams_and_any_bytes_are_kept(device):
    device.program(r"printf 'a\0\377\n'; echo b >&2; printf '\nffff begin 1\nno end'")
    assert device.ended(["0 m 0"])[0] == (0, b"a\0\xff\nb\n\nffff begin 1\nno end")


def test_it_cannot_eat_the_plan(device):
    device.program("cat; echo read")
    assert device.ended(["0 m 0", "1 m 0"]) == {0: (0, b"read\n"), 1: (0, b"read\n")}


def test_what_takes_too_long_is_ended_and_the_next_one_runs(device):
    device.program('[ "$2" != wait ] || exec sleep 30; echo quick')
    found = device.ended(["0 m 0 wait", "1 m 0"], limit=1)
    assert (found[0][0], found[1]) == (137, (0, b"quick\n"))


def test_the_seconds_that_each_took_are_told(device):
    device.program('[ "$2" != wait ] || sleep 2')
    found, _ = read_log(device.run(["0 m 0 wait", "1 m 0"]).stdout)
    assert found[0].took_s in (2, 3, 4)
    assert found[1].took_s in (0, 1)


def test_what_prints_too_much_is_cut_off_and_ended(device):
    device.program("exec cat /dev/zero")
    end, log = device.ended(["0 m 0", "1 m 0"])[0]
    assert (end, len(log)) == (141, 65_536)


def test_a_device_without_timeout_runs_all_the_same(device):
    names = ("mkdir", "rm", "head", "cat", "printf", "sh", "echo")
    few = device.folder / "few"
    few.mkdir()
    for name in names:
        (few / name).symlink_to(shutil.which(name))
    device.program("echo ran")
    assert device.ended(["0 m 0"], path=str(few)) == {0: (0, b"ran\n")}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one CPU")
def test_it_is_bound_to_the_cpus_of_the_mask(device):
    device.program("nproc")
    cpu = min(os.sched_getaffinity(0))
    assert device.ended(["0 m 0"], mask=f"{1 << cpu:x}") == {0: (0, b"1\n")}


def test_a_folder_that_cannot_be_made_is_no_run(device):
    (device.folder / "out").touch()
    done = device.run(["0 m 0"])
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_full_disk_ends_it(device):
    """Where its own lines cannot be written."""
    device.program("echo ran")
    (device.folder / "plan").write_text("0 m 0\n1 m 0\n")
    words = ("-c", scripts.RUN, "elat", TOKEN, "plan", "out", "20", "", "./program")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*device.shell, *words], cwd=device.folder, stdout=full, stderr=subprocess.PIPE,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 74


def test_missing_models_are_those_that_are_not_whole(device):
    for name in ("models/whole", "models/part"):
        (device.folder / name).mkdir(parents=True)
    (device.folder / "models/whole/whole").touch()
    done = device.ask(scripts.MISSING, "whole", "part", "none")
    assert done.stdout == b"part\nnone\n"


def test_what_is_collected_is_small_and_plain(device):
    out = device.folder / "runs" / "out"
    out.mkdir(parents=True)
    for name, size in {"0": 4, "1": 5, "2": 0, "end": 2}.items():
        (out / name).write_bytes(b"x" * size)
    (out / "3").symlink_to("/etc/passwd")
    os.mkfifo(out / "4")
    (out / "5").mkdir()
    assert device.ask(scripts.COLLECT, "runs/out", "4").returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["0", "2", "end"]
    listed = subprocess.run(
        ["tar", "-tf", "runs/collected.tar"], cwd=device.folder, capture_output=True, check=True
    )
    assert {name.removeprefix("./") for name in listed.stdout.decode().split()} == {
        "", "0", "2", "end",
    }  # fmt: skip
    # Again, as after a connection that was lost; and where a run has kept nothing.
    assert device.ask(scripts.COLLECT, "runs/out", "4").returncode == 0
    assert device.ask(scripts.COLLECT, "runs/none", "4").returncode == 0


def test_jobs_are_listed_forgotten_and_cleared(device):
    week_ago = time.time() - 9 * 24 * 3600
    for name in ("job-a-0", "job-a-1", "job-b-0", "runs/a", "runs/b", "models/m"):
        (device.folder / name).mkdir(parents=True)
    for name in ("job-file", "models-1.tar", ".models-1.tar.23"):
        (device.folder / name).touch()
    (device.folder / "models/.new-1").mkdir()
    assert device.ask(scripts.JOBS).stdout == b"job-a-0\njob-a-1\njob-b-0\n"
    assert device.ask(scripts.FORGET, "a").returncode == 0
    assert device.ask(scripts.JOBS).stdout == b"job-b-0\n"
    assert not (device.folder / "runs/a").exists()
    assert device.ask(scripts.CLEAR).returncode == 0
    # What is young may be taken up still.
    assert device.ask(scripts.JOBS).stdout == b"job-b-0\n"
    assert (device.folder / "runs/b").exists()
    for name in ("job-b-0", "job-file", "runs/b"):
        os.utime(device.folder / name, (week_ago, week_ago))
    assert device.ask(scripts.CLEAR).returncode == 0
    assert {str(path.relative_to(device.folder)) for path in device.folder.rglob("*")} == {
        "models", "models/m",
    }  # fmt: skip
    assert device.ask(scripts.JOBS).stdout == b""
