"""Lines of another process: in order, bounded, and ended."""

from __future__ import annotations

import io
import os
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.latency import launcher
from elat.latency.launcher import CRASH, WorkerLostError, start_worker
from elat.latency.lines import EndlessLineError, Lines


def read_all(lines: Lines) -> list[bytes]:
    lines.start()
    return list(iter(lambda: lines.next(10.0), None))


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20))
def test_they_arrive_whole_and_in_order_however_little_is_read_ahead(texts):
    whole = [text + b"\n" for text in texts]
    assert read_all(Lines(io.BytesIO(b"".join(whole)), 31)) == whole


def test_a_last_line_that_was_cut_off_is_none():
    assert read_all(Lines(io.BytesIO(b"one\ntw"))) == [b"one\n"]


def test_one_that_is_too_long_is_said_after_those_before_it():
    lines = Lines(io.BytesIO(b"one\n" + b"x" * 11 + b"\nthree\n"), 10)
    lines.start()
    assert lines.next(10.0) == b"one\n"
    for _ in range(2):
        with pytest.raises(EndlessLineError):
            lines.next(10.0)


def test_the_writer_waits_while_nobody_takes_them():
    read_end, write_end = os.pipe()
    sent = 0

    def write() -> None:
        nonlocal sent
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            for _ in range(400):
                sent += pipe.write(b"x" * 1023 + b"\n")

    writer = threading.Thread(target=write, daemon=True)
    with os.fdopen(read_end, "rb") as pipe:
        lines = Lines(pipe, 4096)
        writer.start()
        lines.start()
        settled(lambda: sent)
        # What waits, what the pipe and the buffer hold, and the line in hand.
        assert sent < 4096 + 65_536 + 2 * 8192 + 2048
        assert len(list(iter(lambda: lines.next(10.0), None))) == 400
    writer.join(10)


def settled(value) -> None:
    """Wait until `value` changes no more."""
    last = None
    while (now := value()) != last or not now:
        last = now
        time.sleep(0.2)


def test_closing_lets_go_of_lines_that_nobody_took():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as pipe, os.fdopen(write_end, "wb") as out:
        lines = Lines(pipe, 4)
        lines.start()
        out.write(b"one\ntwo\nthree\n")
        out.flush()
        assert lines.next(10.0) == b"one\n"
        lines.close(10.0)
        assert not lines._reader.is_alive()


def test_an_endless_line_of_a_worker_is_given_up(monkeypatch):
    monkeypatch.setattr(launcher, "Lines", lambda pipe: Lines(pipe, 10_000))
    talk = (
        "import sys\n"
        'print(\'{"worker": "endless"}\', flush=True)\n'
        "while True: sys.stdout.write('x' * 1000)\n"
    )
    with start_worker([sys.executable, "-c", talk], 30.0) as worker:
        with pytest.raises(WorkerLostError, match="longer than") as caught:
            worker.receive(30.0)
        assert (caught.value.error_class, caught.value.last_words) == (CRASH, None)
        worker.kill()


def test_last_words_are_those_at_the_end_of_much(monkeypatch):
    talk = (
        "import sys\n"
        'print(\'{"worker": "loud"}\', flush=True)\n'
        "sys.stderr.write('x' * 1_000_000 + ' the end')\n"
    )
    with start_worker([sys.executable, "-c", talk], 30.0) as worker:
        with pytest.raises(WorkerLostError, match="the end") as caught:
            worker.receive(30.0)
        assert len(caught.value.last_words or "") < 100_000
