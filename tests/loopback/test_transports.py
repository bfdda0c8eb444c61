"""What every registered transport promises, over loopback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from elat.core.errors import (
    CommandFailedError,
    ConfigError,
    DeviceHangError,
    Retry,
    TransportError,
    WrongArchitectureError,
)
from elat.devices.transports import JobStatus, LinkState, Transport, links
from elat.latency.launcher import start_worker

from ..devices.transports.strategies import PIECES
from .waiting import appears, ends, when_ended

pytestmark = pytest.mark.parametrize("registered", sorted(links))

ALL_BYTES = bytes(range(256)) * 4
SECTIONS = {"local": {"folder": "/w"}, "adb": {"serial": "x"}, "ssh": {"host": "pi"}}
# The head of a program for a machine that nobody has: e_machine is 0xfeed (elf(5)).
FOREIGN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xed\xfe\x01\x00\x00\x00" + bytes(100)


def test_it_is_made_of_a_section_of_a_card(registered):
    link = links[registered].of(SECTIONS[registered], "card.yaml")
    assert Transport(link).name == link.name
    with pytest.raises(ConfigError, match=r"card\.yaml"):
        links[registered].of({**SECTIONS[registered], "surplus": 1}, "card.yaml")


def test_it_says_that_the_device_is_there_whether_or_not_a_connection_is_kept(way):
    assert way.transport.state() is LinkState.DEVICE
    way.transport.close()
    way.transport.close()
    assert way.transport.state() is LinkState.DEVICE
    assert way.transport.run(["pwd"], 20).text == f"{way.folder}\n"


def test_exit_code_and_streams_come_apart_and_unchanged(way, tmp_path):
    (tmp_path / "bytes").write_bytes(ALL_BYTES)
    script = 'cat "$1"; cat "$1" "$1" >&2; exit 7'
    ended = way.transport.run(["sh", "-c", script, "x", str(tmp_path / "bytes")], 20)
    assert (ended.exit_code, ended.is_merged, ended.dropped_bytes) == (7, False, 0)
    assert (ended.stdout, ended.stderr) == (ALL_BYTES, 2 * ALL_BYTES)
    with pytest.raises(CommandFailedError, match="exit code 7"):
        ended.checked()


def test_arguments_arrive_as_they_are(way):
    ended = way.transport.run(["printf", r"%s\0", *PIECES], 20).checked()
    assert ended.stdout.split(b"\0")[:-1] == [os.fsencode(piece) for piece in PIECES]
    assert list(way.folder.iterdir()) == []


@pytest.mark.parametrize("word", ["exit", "eval", "set", "."])
def test_a_word_of_the_shell_is_no_program(way, word):
    assert way.transport.run([word, "touch CANARY"], 20).exit_code in (126, 127)
    assert list(way.folder.iterdir()) == []


def test_a_signal_that_ends_a_command_is_its_exit_code(way):
    assert way.transport.run(["sh", "-c", "kill -9 $$"], 20).exit_code == 137


def test_a_command_that_is_late_is_given_up_and_ends_on_the_device_too(way):
    way.transport.run(["true"], 20)
    with pytest.raises(DeviceHangError, match=r"silent for 0\.5 s") as caught:
        way.transport.run(["sh", "-c", "echo $$ >pid; sleep 100; echo late >late"], 0.5)
    assert caught.value.retry is Retry.AT_ONCE
    assert ends(int((way.folder / "pid").read_text()))
    assert not (way.folder / "late").exists()


def test_a_huge_line_is_bounded(way):
    ended = way.transport.run(["head", "-c", "5000000", "/dev/zero"], 60, kept_bytes=100_000)
    # The line that ends it takes some of the room.
    assert 99_900 < len(ended.stdout) <= 100_000
    assert set(ended.stdout) == {0}
    assert ended.exit_code == 0
    assert len(ended.stdout) + ended.dropped_bytes == 5_000_000


def test_a_command_that_is_not_there_fails(way):
    ended = way.transport.run(["./no-such-program"], 20)
    assert ended.exit_code == 127
    with pytest.raises(CommandFailedError, match="no-such-program"):
        ended.checked()


def test_a_program_for_another_processor_is_told(way, tmp_path):
    (tmp_path / "foreign").write_bytes(FOREIGN)
    way.transport.push(tmp_path / "foreign", "foreign", 20, is_executable=True)
    with pytest.raises(WrongArchitectureError, match="another processor"):
        way.transport.run(["./foreign"], 20).checked()


@pytest.mark.parametrize(
    "name",
    [
        "a b/c'd;$(touch CANARY)/-rf",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("model.tflite", "*/日本,33188", "..a/ #")
        ),
    ],
)
def test_files_go_there_and_come_back_whole(way, tmp_path, name):
    source, back = tmp_path / "-source $(x)", tmp_path / "back"
    for content in (ALL_BYTES * 300, b""):
        source.write_bytes(content)
        way.transport.push(source, name, 30, is_executable=True)
        assert (way.folder / name).read_bytes() == content
        assert os.access(way.folder / name, os.X_OK)
        way.transport.pull(name, back, 30)
        assert back.read_bytes() == content
    assert [path for path in way.folder.rglob("*") if path.is_file()] == [way.folder / name]
    assert not list(tmp_path.rglob("*CANARY"))


def test_a_file_is_not_executable_unless_asked(way, tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    way.transport.push(tmp_path / "plain", "plain", 20)
    assert (way.folder / "plain").stat().st_mode & 0o777 == 0o644


def test_what_is_no_file_is_neither_pushed_nor_pulled(way, tmp_path):
    way.transport.run(["mkdir", "folder"], 20).checked()
    with pytest.raises(ConfigError, match="is no file"):
        way.transport.push(tmp_path / "missing", "name", 20)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CommandFailedError, match="is a folder"):
        way.transport.push(tmp_path / "file", "folder", 20)
    for name in ("folder", "missing"):
        with pytest.raises(CommandFailedError, match="is no file"):
            way.transport.pull(name, tmp_path / "back", 20)
    assert not (tmp_path / "back").exists()
    assert list((way.folder / "folder").iterdir()) == []


def test_links_lead_nowhere_else(way, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    way.transport.run(["ln", "-s", str(outside), "link"], 20).checked()
    way.transport.run(["ln", "-s", str(outside / "secret"), "file"], 20).checked()
    (tmp_path / "new").write_text("new")
    with pytest.raises(CommandFailedError, match="out of the work folder"):
        way.transport.push(tmp_path / "new", "link/deep/secret", 20)
    with pytest.raises(CommandFailedError, match="out of the work folder"):
        way.transport.pull("link/secret", tmp_path / "back", 20)
    with pytest.raises(CommandFailedError, match="is no file"):
        way.transport.pull("file", tmp_path / "back", 20)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    way.transport.push(tmp_path / "new", "file", 20)
    assert (outside / "secret").read_text() == "secret"
    assert not (tmp_path / "back").exists()


def test_a_file_that_is_too_large_is_not_pulled(way, tmp_path):
    way.transport.run(["sh", "-c", "echo 12345 >five"], 20).checked()
    with pytest.raises(ConfigError, match="has 6 bytes, and 5 are pulled"):
        way.transport.pull("five", tmp_path / "back", 20, longest_bytes=5)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\nb", ""])
def test_names_that_leave_the_folder_are_refused(way, tmp_path, name):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ConfigError, match="refused"):
        way.transport.push(tmp_path / "file", name, 20)
    with pytest.raises(ConfigError, match="refused"):
        way.transport.pull(name, tmp_path / "back", 20)
    with pytest.raises(ConfigError, match="refused"):
        way.transport.start(name, ["true"])


def test_a_work_folder_that_cannot_be_made_is_told(way, registered):
    way.folder.parent.mkdir(parents=True, exist_ok=True)
    way.folder.write_text("is a file")
    with pytest.raises(CommandFailedError, match=r"mkdir .* ended with exit code 1") as caught:
        way.transport.run(["true"], 20)
    assert "exists" in str(caught.value) or "directory" in str(caught.value)


def test_a_job_ends_by_itself_with_its_output_in_files(way, tmp_path):
    assert way.transport.poll("job").status is JobStatus.UNKNOWN
    gate = tmp_path / "gate"
    script = 'echo out; echo err >&2; while [ ! -e "$1" ]; do sleep 0.05; done; exit 3'
    job = way.transport.start("job", ["sh", "-c", script, "x", str(gate)])
    assert way.transport.poll("job").status is JobStatus.RUNNING
    with pytest.raises(CommandFailedError):
        way.transport.start("job", ["true"])
    gate.touch()
    assert when_ended(way.transport, "job").exit_code == 3
    for name, text in ((job.stdout, "out\n"), (job.stderr, "err\n")):
        way.transport.pull(name, tmp_path / "back", 20)
        assert (tmp_path / "back").read_text() == text
    way.transport.stop("job")
    assert way.transport.poll("job").status is JobStatus.FINISHED
    way.transport.forget("job")
    assert way.transport.poll("job").status is JobStatus.UNKNOWN
    way.transport.start("job", ["true"])
    assert when_ended(way.transport, "job").exit_code == 0


def test_a_job_is_stopped_with_all_it_started(way):
    script = "sh -c 'echo $$ >child; exec sleep 100'; echo never"
    way.transport.start("job", ["sh", "-c", script])
    assert appears(way.folder / "child")
    way.transport.stop("job")
    assert ends(int((way.folder / "child").read_text()))
    assert way.transport.poll("job").status is JobStatus.LOST


def test_a_job_whose_process_number_was_given_to_another_is_lost(way):
    """As after a restart: the number is alive, and was born at another time."""
    job = way.folder / "job"
    job.mkdir(parents=True)
    (job / "pid").write_text(f"{os.getpid()} 1\n")
    assert way.transport.poll("job").status is JobStatus.LOST
    way.transport.stop("job")


@pytest.mark.parametrize("said", ["finished x", "finished 1 2", "; touch CANARY", "", "\0\xff"])
def test_a_damaged_job_is_told(way, said):
    job = way.folder / "job"
    job.mkdir(parents=True)
    (job / "pid").write_text("1 1\n")
    (job / "exit").write_text(said.partition(" ")[2] or f"{said}$(touch CANARY)\n")
    with pytest.raises(TransportError, match="may be damaged"):
        way.transport.poll("job")
    assert not list(way.folder.rglob("CANARY"))


def test_bytes_go_both_ways_to_a_process_for_as_long_as_it_runs(way):
    with subprocess.Popen(
        way.transport.command_here(["cat"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (b"one\n", ALL_BYTES, b"\r\n~.\r\n"):
            process.stdin.write(message)
            process.stdin.flush()
            assert process.stdout.read(len(message)) == message
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(20) == 0


@pytest.mark.slow
def test_a_worker_is_spoken_to_over_it(way):
    command = [sys.executable, "-P", "-m", "elat.latency.worker"]
    with start_worker(way.transport.command_here(command), 120) as worker:
        assert len(worker.worker) == 32
        worker.send({"group": "nonsense"})
        assert worker.receive(60)["error"]["class"] == "BAD_REQUEST"
