"""Names, arguments and outputs made to break out: nothing runs, nothing is written outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, ElatError
from elat.devices.transports import LinkState, Transport, scripts
from elat.devices.transports.adb import AdbLink
from elat.devices.transports.paths import check_name
from elat.devices.transports.process import Ended
from elat.devices.transports.ssh import SshLink

from ..devices.transports.strategies import ANYTHING, OUTPUT, WORDS

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
# Cases in one command, for a command over ssh takes a tenth of a second.
TOGETHER = 100

# The real program for each name, each in a shell of its own: one that is refused ends none.
_MANY = 'script=$1; shift; for name; do (set -- "$name" t0ken; eval "$script"); done'


def words_arrive(way, words):
    ended = way.transport.run(["printf", r"%s\0", *words], 60).checked()
    assert ended.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in words]
    assert list(way.folder.iterdir()) == []


def names_stay(work: Path, names):
    """Let the device's own program make the place for files of `names` in `work`."""
    work.mkdir(exist_ok=True)
    outside = sorted(work.parent.iterdir())
    prepare(work, names)
    assert sorted(work.parent.iterdir()) == outside
    assert not [path for path in work.rglob("*") if path.name == "CANARY" or "\n" in path.name]


def prepare(work: Path, names):
    subprocess.run(
        ["sh", "-c", _MANY, "sh", scripts.PREPARE, *names],
        cwd=work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def taken(names):
    kept = []
    for name in names:
        try:
            kept.append(check_name(name))
        except ConfigError:
            continue
    return kept


@pytest.mark.parametrize("registered", ["adb", "local", "ssh"])
@settings(max_examples=3, deadline=None, suppress_health_check=SHARED)
@given(words=st.lists(WORDS, min_size=20, max_size=40))
def test_hostile_arguments_arrive_and_run_nothing(way, words):
    words_arrive(way, words)


@pytest.mark.slow
@pytest.mark.parametrize("registered", ["adb", "local", "ssh"])
@settings(max_examples=100, deadline=None, suppress_health_check=SHARED)
@given(words=st.lists(WORDS, min_size=TOGETHER, max_size=TOGETHER))
def test_ten_thousand_hostile_arguments_arrive_and_run_nothing(way, words):
    words_arrive(way, words)


@settings(max_examples=8, deadline=None, suppress_health_check=SHARED)
@given(names=st.lists(ANYTHING, min_size=10, max_size=20))
def test_hostile_names_stay_in_the_work_folder(tmp_path, names):
    names_stay(tmp_path / "work", taken(names))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=SHARED)
@given(names=st.lists(ANYTHING, min_size=TOGETHER // 2, max_size=TOGETHER))
def test_ten_thousand_hostile_names_stay_in_the_work_folder(tmp_path, names):
    names_stay(tmp_path / "work", taken(names))


@settings(max_examples=8, deadline=None, suppress_health_check=SHARED)
@given(names=st.lists(WORDS, min_size=1, max_size=8))
def test_even_names_that_nobody_checked_run_nothing(tmp_path, names):
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    inside = [name for name in names if ".." not in name.split("/")]
    prepare(work, inside)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert not [p for p in work.rglob("*") if p.name == "CANARY" and p.stat().st_size]


@pytest.mark.parametrize("registered", ["adb", "local", "ssh"])
@settings(max_examples=4, deadline=None, suppress_health_check=SHARED)
@given(name=ANYTHING)
def test_hostile_names_are_pushed_and_pulled_or_refused(way, tmp_path, name):
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(b"content")
    back.unlink(missing_ok=True)
    try:
        way.transport.push(source, name, 30)
        way.transport.pull(name, back, 30)
    except ElatError:
        return
    assert back.read_bytes() == b"content"
    assert (way.folder / name).resolve().is_relative_to(way.folder)


@pytest.mark.parametrize("link", [AdbLink("x"), SshLink("pi")], ids=["adb", "ssh"])
@settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
@given(out=OUTPUT, err=OUTPUT, code=st.integers(-64, 255), is_late=st.booleans())
def test_hostile_outputs_are_states_and_sentences(
    monkeypatch, tmp_path, link, out, err, code, is_late
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    says(monkeypatch, link, Ended(code, out, err, 0, is_late))
    monkeypatch.setattr("elat.devices.transports.adb._adb", lambda: "adb")
    assert link.look().state in LinkState
    with pytest.raises(ElatError) as caught:
        Transport(link).run(["true"], 1)
    assert len(str(caught.value)) < 1000


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=SHARED)
@given(out=OUTPUT, err=OUTPUT, code=st.integers(-64, 255))
def test_ten_thousand_hostile_outputs_are_sentences(monkeypatch, out, err, code):
    says(monkeypatch, AdbLink("x"), Ended(code, out, b"x\tdevice\n" + err, 0, False))
    monkeypatch.setattr("elat.devices.transports.adb._adb", lambda: "adb")
    with pytest.raises(ElatError):
        Transport(AdbLink("x")).run(["true"], 1)


def says(monkeypatch, link, ended):
    """Let every program that `link` runs end as `ended`."""

    def run(words, timeout_s, *, stderr=None, **_):
        if stderr is not None:
            stderr.write(ended.stderr)
        return ended

    monkeypatch.setattr("elat.devices.transports.transport.run_process", run)
    monkeypatch.setattr(f"{type(link).__module__}.run_process", run)
