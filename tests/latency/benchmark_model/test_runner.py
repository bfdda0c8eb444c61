"""Runs on this machine: what is taken up, what is repaired in between, and what comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from elat.core.errors import ConnectionLostError, DeviceSetAsideError, StorageFullError
from elat.devices.transports import Transport
from elat.devices.transports.local import LocalLink
from elat.latency.benchmark_model import run as runs
from elat.latency.benchmark_model import scripts
from elat.latency.benchmark_model.carried import Carried, bring
from elat.latency.benchmark_model.place import flags_of
from elat.latency.benchmark_model.run import Line, Runner
from elat.latency.remote.patience import Patience

KEY = "0" * 20
# Notes that it ran, and writes as many bytes of output as it is told to.
PROGRAM = """#!/bin/sh
echo "$1" >>calls
for word; do
    case $word in
        --bytes=*) bytes=${word#--bytes=} ;;
        --make=*) make=${word#--make=} ;;
        --output_filepath=*) path=${word#--output_filepath=} ;;
    esac
done
case $make in
    link) ln -s /etc/passwd "$path" ;;
    pipe) mkfifo "$path" ;;
    folder) mkdir "$path"; echo x >"$path/0" ;;
    *) head -c "${bytes:-0}" /dev/zero >"$path" ;;
esac
"""


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def transport(work):
    return Transport(LocalLink(str(work)))


@pytest.fixture
def runner(transport, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_POLL_S", 0.01)
    source = tmp_path / "source"
    source.write_text(PROGRAM)
    transport.push(source, "program", 10, is_executable=True)
    return Runner(transport, Patience("here", lambda _: None), "./program", 20)


def lines(count=2, saves=False, *flags):
    return [
        Line(f"m{n}", f"models/{n}", saves, flags, longest_output_bytes=4) for n in range(count)
    ]


def ended_job(work: Path, part: int, exit_code: int) -> None:
    """What a part of an earlier call has left that ended with `exit_code` and did nothing."""
    folder = work / f"job-{KEY}-{part}"
    folder.mkdir(parents=True)
    for name, text in {"pid": "1 1", "exit": str(exit_code), "stdout": "", "stderr": ""}.items():
        (folder / name).write_text(f"{text}\n")


class TestTakenUp:
    def test_a_full_device_that_was_given_room_goes_on(self, runner, work):
        ended_job(work, 0, 74)
        assert set(runner.carry_out(KEY, lines()).ended) == {0, 1}

    def test_a_device_that_did_nothing_three_times_and_was_repaired_goes_on(self, runner, work):
        for part in range(3):
            ended_job(work, part, 1)
        assert set(runner.carry_out(KEY, lines()).ended) == {0, 1}

    def test_what_is_still_wrong_is_said(self, runner, work):
        ended_job(work, 0, 1)
        (work / "runs" / KEY).mkdir(parents=True)
        (work / "runs" / KEY / "out").touch()
        with pytest.raises(DeviceSetAsideError, match="without doing anything"):
            runner.carry_out(KEY, lines())
        assert (work / f"job-{KEY}-3").exists()

    def test_a_device_that_is_full_now_is_said(self, runner, monkeypatch):
        monkeypatch.setattr(scripts, "RUN", "exit 74")
        with pytest.raises(StorageFullError, match="no room left"):
            runner.carry_out(KEY, lines())

    def test_a_log_of_another_plan_is_passed_over(self, runner, work):
        """As of a file that a device has damaged: its numbers are of no line."""
        ended_job(work, 0, 0)
        token = "0123456789abcdef" * 2
        said = "".join(
            f"\n{token} begin {n}\nx\n{token} end {n} 0 1\n" for n in (1, 7, 999_999_999)
        )
        (work / f"job-{KEY}-0" / "stdout").write_text(f"{said}\n{token} begin 8\n")
        (work / f"job-{KEY}-0" / "exit").unlink()
        found = runner.carry_out(KEY, lines())
        assert set(found.ended) == {0, 1}
        assert found.ended[1].log == b"x"
        assert not found.condemned

    def test_a_run_that_is_taken_up_began_when_it_did(self, runner, monkeypatch):
        monkeypatch.setattr("time.time", lambda: 1_700_000_000.75)
        runner.carry_out(KEY, lines())
        monkeypatch.setattr("time.time", lambda: 1_700_086_400.0)
        assert runner.carry_out(KEY, lines()).began_s == 1_700_000_000
        runner.forget(KEY)
        assert runner.carry_out(KEY, lines()).began_s == 1_700_086_400

    def test_another_program_pinning_limit_plan_or_seed_is_another_run(self, runner):
        asked = lines()
        others = [
            replace(runner, program="./other").key_of(asked, 0),
            replace(runner, mask="f0").key_of(asked, 0),
            replace(runner, limit_s=21).key_of(asked, 0),
            runner.key_of(asked[:1], 0),
            runner.key_of(lines(2, False, "--use_gpu=true"), 0),
            runner.key_of(asked, 1),
        ]
        key = runner.key_of(asked, 0)
        assert key == runner.key_of(lines(), 0)
        assert len({key, *others}) == 7
        assert all(len(one) == 20 and int(one, 16) >= 0 for one in (key, *others))


class TestOutputs:
    def test_one_that_is_longer_than_the_model_gives_stays_there(self, runner):
        asked = lines(3, True)
        asked[1] = replace(asked[1], flags=("--bytes=4",))
        asked[2] = replace(asked[2], flags=("--bytes=5",))
        found = runner.carry_out(KEY, asked)
        assert found.outputs == {0: b"", 1: b"\0" * 4}
        assert set(found.ended) == {0, 1, 2}

    @pytest.mark.parametrize("what", ["link", "pipe", "folder"])
    def test_what_a_program_makes_in_its_place_is_none(self, runner, what):
        asked = lines(2, True)
        asked[0] = replace(asked[0], flags=(f"--make={what}",))
        assert runner.carry_out(KEY, asked).outputs == {1: b""}


class TestBringing:
    def model(self, number=0):
        return Carried.of(b"model %d" % number, [b"in0", b"in1"], [(1, 2), (3,)])

    def arrived(self, work):
        return {
            path.name: sorted(file.name for file in path.iterdir())
            for path in (work / "models").iterdir()
        }

    def test_models_arrive_whole_under_their_content(self, transport, work):
        models = [self.model(n) for n in range(3)]
        bring(models, transport, Patience("here", lambda _: None), "a.tar")
        files = ["input0", "input1", "model.tflite", "whole"]
        assert self.arrived(work) == {model.key: files for model in models}
        assert (work / models[2].folder / "model.tflite").read_bytes() == b"model 2"
        assert not (work / "a.tar").exists()

    def test_what_is_there_is_not_sent_again(self, transport, work, monkeypatch):
        patience = Patience("here", lambda _: None)
        bring([self.model()], transport, patience, "a.tar")
        monkeypatch.setattr(Transport, "push", None)
        bring([self.model()], transport, patience, "a.tar")

    def test_a_model_that_came_in_part_is_replaced(self, transport, work):
        model = self.model()
        (work / model.folder).mkdir(parents=True)
        (work / model.folder / "model.tflite").write_bytes(b"mod")
        bring([model], transport, Patience("here", lambda _: None), "a.tar")
        assert (work / model.folder / "model.tflite").read_bytes() == b"model 0"

    def test_a_cable_pulled_as_they_are_unpacked_costs_a_second_try(
        self, transport, work, monkeypatch
    ):
        """The device has unpacked them, and nobody heard of it."""
        run = Transport.run
        cuts: list[object] = []

        def cut(self, command, timeout_s, **options):
            ended = run(self, command, timeout_s, **options)
            if scripts.UNPACK in command and not cuts:
                cuts.append(command)
                raise ConnectionLostError("the cable was pulled")
            return ended

        monkeypatch.setattr(Transport, "run", cut)
        bring([self.model()], transport, Patience("here", lambda _: None), "a.tar")
        assert cuts
        assert list(self.arrived(work)) == [self.model().key]
        assert [path.name for path in work.iterdir()] == ["models"]


class TestFlags:
    def flags(self, transport, work, text):
        work.mkdir()
        (work / "text").write_bytes(text)
        (work / "program").write_text("#!/bin/sh\ncat text\n")
        (work / "program").chmod(0o755)
        return flags_of(transport, Patience("here", lambda _: None), "program")

    def test_the_usage_of_the_tool(self, transport, work):
        text = (
            b"usage: ./b <flags>\nFlags:\n\t--num_runs=50\tint32\n  --graph=\tstring\nx --no=1\n"
        )
        assert self.flags(transport, work, text) == {"num_runs", "graph"}

    @pytest.mark.parametrize("piece", [b"\n", b" \n", b"--x"])
    def test_floods_are_read_in_no_time(self, transport, work, piece):
        """With a pattern that begins anew at each blank line, this would take hours."""
        flood = piece * (8_000_000 // len(piece))
        assert self.flags(transport, work, flood + b"\n--graph=\n") == {"graph"}
