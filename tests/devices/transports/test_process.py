"""Programs of this machine: their limits of time and memory."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import UnavailableError
from elat.devices.transports.process import Kept, run_process

from ...loopback.waiting import ends


def test_streams_and_the_exit_code_are_kept_apart():
    ended = run_process(["sh", "-c", "cat; printf out; printf err >&2; exit 7"], 10)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (7, b"out", b"err")
    assert (ended.dropped_bytes, ended.is_late) == (0, False)


def test_a_program_that_is_late_ends_with_all_it_started(tmp_path):
    script = f"echo $$ >{tmp_path}/one; sh -c 'echo $$ >{tmp_path}/two; sleep 60'; echo never"
    ended = run_process(["sh", "-c", script], 0.5)
    assert ended.is_late
    assert ended.stdout == b""
    assert all(ends(int((tmp_path / name).read_text())) for name in ("one", "two"))


def test_a_child_that_holds_the_output_is_not_waited_for_beyond_the_limit():
    ended = run_process(["sh", "-c", "sleep 60 & echo ended"], 0.5)
    assert (ended.exit_code, ended.stdout, ended.is_late) == (0, b"ended\n", False)


def test_a_huge_line_is_kept_at_both_ends():
    program = "import sys; w = sys.stdout.buffer.write; w(b'a' * 3_000_000); w(b'z' * 3_000_000)"
    ended = run_process([sys.executable, "-c", program], 30, kept_bytes=1000)
    assert ended.stdout == b"a" * 500 + b"z" * 500
    assert ended.dropped_bytes == 6_000_000 - 1000


@given(chunks=st.lists(st.binary(max_size=30)), half=st.integers(1, 40))
def test_the_head_and_the_tail_are_those_of_the_whole(chunks, half):
    whole, kept = b"".join(chunks), Kept(2 * half)
    for chunk in chunks:
        kept.add(chunk)
    expected = whole if len(whole) <= 2 * half else whole[:half] + whole[-half:]
    assert kept.bytes() == expected
    assert kept.dropped_bytes == len(whole) - len(expected)


def test_files_serve_as_streams(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"\0\r\n")
    with source.open("rb") as stdin, target.open("wb") as stdout:
        ended = run_process(["cat"], 10, stdin=stdin, stdout=stdout)
    assert (ended.stdout, target.read_bytes()) == (b"", b"\0\r\n")


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(UnavailableError, match="no-such-program cannot be run here"):
        run_process(["no-such-program"], 1)
