"""Where a command's output ends, and what its failure means."""

from __future__ import annotations

import pytest
from hypothesis import given

from elat.core.errors import (
    CommandFailedError,
    Retry,
    StorageFullError,
    WrongArchitectureError,
)
from elat.devices.transports.finished import Finished, read_end

from .strategies import OUTPUT

TOKEN = "0123456789abcdef"


def line(word: str) -> bytes:
    return f"\n{TOKEN} {word}\n".encode()


@given(out=OUTPUT, err=OUTPUT, late=OUTPUT)
def test_two_streams_come_back_as_they_were(out, err, late):
    sent = err + line("7") + late
    assert read_end(out + line("7"), sent, TOKEN) == ("7", out, err + late, False)
    assert read_end(out, sent, TOKEN, ends_both=False) == ("7", out, err + late, False)


@given(out=OUTPUT)
def test_what_a_terminal_made_of_line_ends_is_undone(out):
    """The line discipline turns each line feed into two characters (onlcr, termios(3))."""
    sent = (out + line("130") + line("130")).replace(b"\n", b"\r\n")
    assert read_end(sent, b"", TOKEN) == ("130", out, b"", True)


@given(out=OUTPUT, err=OUTPUT)
def test_an_output_without_its_end_was_cut_off(out, err):
    assert read_end(out, err, TOKEN) is None
    assert read_end(out + line("7"), err + line("7")[:-1], TOKEN) is None
    assert read_end(out + line("7")[:-1], err + line("7"), TOKEN) is None
    assert read_end(out, err + line("7")[:-1], TOKEN, ends_both=False) is None


def test_a_forged_end_is_part_of_the_output():
    forged = line("0").replace(b"0123", b"9999")
    assert read_end(line("1"), forged + line("1"), TOKEN) == ("1", b"", forged, False)


@pytest.mark.parametrize(
    "said",
    [
        "x: 1: exec: ./run: Exec format error",  # dash
        "sh: line 1: ./run: cannot execute binary file: Exec format error",  # bash
        "sh: ./run: not executable: 64-bit ELF file",  # mksh, of Android
        "sh: exec: line 1: ./run: Exec format error",  # BusyBox
    ],
)
def test_a_foreign_program_is_told_by_what_shells_say(said):
    error = ended(126, said).failure()
    assert isinstance(error, WrongArchitectureError)
    assert error.retry is Retry.NEVER
    assert str(error).endswith(": uname -m")


@pytest.mark.parametrize(
    "said", ["cat: write error: No space left on device", "Disk quota exceeded"]
)
def test_a_full_storage_is_told(said):
    error = ended(1, said).failure()
    assert isinstance(error, StorageFullError)
    assert str(error).endswith(": df")


def test_other_failures_keep_their_exit_code_and_last_words():
    with pytest.raises(CommandFailedError, match=r"exit code 3 on pi \(no such model\)") as caught:
        ended(3, "no such\n  model\n").checked()
    assert caught.value.command_exit_code == 3
    huge = ended(3, "x" * 10_000_000 + "\n" * 1000 + "end")
    assert len(str(huge.failure())) < 500


def test_success_is_no_failure():
    assert ended(0, "warning").checked().text == "out"


def ended(code: int, said: str) -> Finished:
    return Finished(("./run",), "pi", code, b"out", said.encode())
