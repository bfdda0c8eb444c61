"""Programs that print to deceive: each case has one answer, and nothing else happens."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import DeviceHangError, MeasurementError
from elat.latency.benchmark_model.options import Delegate
from elat.latency.benchmark_model.results import Ended
from elat.latency.benchmark_model.run import Line
from elat.latency.benchmark_model.told import failure_of, read_told
from elat.latency.launch import Launch
from elat.latency.store.rows import packed

from ...devices.transports.strategies import PIECES, WORDS
from .fakes import Said, answers, protocol
from .logs import NEW, OLD, SUMMARY, WARM_UP, log

TOKEN = "0123456789abcdef" * 2
TEMPTING = (
    *(piece.encode() for piece in PIECES if "\ud800" not in piece),
    b"\n" + TOKEN.encode() + b" begin 0\n", b"\n" + TOKEN.encode() + b" end 0 0 1\n", b"done\n",
    b"\0", b"\xff\xfe", b"\x1b]0;title\x07", b"count=", b"count=1 curr=1\n", b"count=0\n",
    f"INFO: {NEW}\n".encode(), f"{OLD}\n".encode(), f"{WARM_UP}\n".encode(),
    SUMMARY.format(1).encode(), b"Running benchmark for at least 1 iterations\n",
    b"Replacing 999999999 out of 1 node(s) with delegate (x) node, yielding 9 partitions\n",
    b"Explicitly applied GPU delegate, and the model graph will be completely executed by the "
    b"delegate.\n", b"Disallowed CPU fallback detected.\n", b"(all same)", b"9" * 400, b"=" * 99,
    b"GPU acceleration is unsupported on this platform.\n", b"x" * 5000, b"avg=nan", b"avg=1e999",
)  # fmt: skip
SPLICES = (b"count=50", b"avg=", b"median=", b"INFO: ", b"Running", b"us: ", b"\n")


def hostile(dice: random.Random) -> bytes:
    """A log that was tampered with, or none at all."""
    text = log(prefix=dice.choice(("", "INFO: "))) if dice.random() < 0.8 else b""
    for _ in range(dice.randrange(5)):
        place = dice.randrange(len(text) + 1)
        kind = dice.random()
        if kind < 0.5:
            text = text[:place] + dice.choice(TEMPTING) + text[place:]
        elif kind < 0.7:
            text = text.replace(dice.choice(SPLICES), dice.choice(TEMPTING), 1)
        elif kind < 0.8:
            text = text[:place]
        elif kind < 0.9:
            text = text[:place] + dice.randbytes(8) + text[place + 8 :]
        else:
            text = re.sub(rb"\d+", lambda _: b"%d" % dice.choice((0, 1, 10**9, 10**18)), text)
    return text


def outputs(dice: random.Random, count: int) -> list[Said]:
    """Of invocations, of which most end as if all were well."""
    ends = (0, 0, 0, 0, 0, 0, 1, 74, 126, 137, 139, 255)
    return [Said(hostile(dice), dice.choice(ends)) for _ in range(count)]


def is_stored(message) -> bool:
    """Whether the launch of `message` can go into the store; failures can."""
    if "launch" in message:
        assert packed(Launch.from_json(message["launch"]), message["state"])
        return True
    return len(message["error"]["message"]) < 1000 and bool(message["error"]["class"])


def left_outside(fake, root: Path) -> list[Path]:
    """What lies where nobody has to write."""
    known = (fake.work, fake.folder)
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not any(path.is_relative_to(folder) for folder in known)
    ]


def serve_hostile(fake, root, artefact, count, passes, seed):
    """Answer a group whose program says what `hostile` makes of the truth."""
    fake.say(outputs(random.Random(seed), (count + count // 4 + 2) * passes))
    request = fake.request(
        {f"case {n}": artefact for n in range(count)},
        artefact,
        protocol=protocol(passes).to_json(),
    )
    messages = fake.served(request)
    found = answers(messages)
    assert set(found) == {f"case {n}" for n in range(count)}
    assert all(map(is_stored, found.values()))
    assert all("case" in m or m.get("phase") or "worker" in m for m in messages)
    assert left_outside(fake, root) == []
    assert not list(root.rglob("*CANARY*"))
    assert not Path("CANARY").exists()
    return found


@pytest.fixture
def unchecked(home, tmp_path):
    """A device whose card asks for no outputs, and for a delegate."""
    from .fakes import Fake

    return Fake(home, tmp_path / "fake", delegate="gpu", check=False)


def test_each_case_of_hostile_outputs_has_one_answer(unchecked, tmp_path, artefacts):
    found = serve_hostile(unchecked, tmp_path, artefacts["conv fp32"], 48, 1, 0)
    assert any("launch" in message for message in found.values())
    assert any("error" in message for message in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_ten_thousand_hostile_outputs_in_twenty_runs(unchecked, tmp_path, artefacts, seed):
    serve_hostile(unchecked, tmp_path, artefacts["conv fp32"], 48, 10, 100 + seed)


def test_ten_thousand_hostile_logs_are_times_or_measurement_errors():
    dice = random.Random(8)
    times = 0
    for said in outputs(dice, 10_000):
        try:
            told = read_told(said.text, dice.choice(list(Delegate)))
        except MeasurementError as error:
            assert len(str(error)) < 1000
        else:
            times += 1
            assert 0 < told.sample.wall_ns < 2**47
            assert 0 < told.sample.loops < 2**63
            assert len(told.coverage) < 20
        assert str(failure_of(Ended(said.end or 1, said.text), 60)).isprintable()
    assert times > 1000


@given(WORDS, st.integers(0, 255), st.none() | st.integers(0, 10**9 - 1))
def test_words_for_a_shell_are_words(words, end, took_s):
    said = failure_of(Ended(end, words.encode(), took_s), 60)
    assert isinstance(said, MeasurementError | DeviceHangError)
    assert "\n" not in str(said)


def test_a_line_of_a_plan_is_one_line():
    assert Line("m", "models/m", True, ("--a=1", "--b")).text(7) == "7 models/m 1 --a=1 --b"


@pytest.mark.parametrize("piece", [b"count=", b"INFO: ", b"\n", b" ", b"avg=1 ", b"applied GPU "])
def test_floods_of_words_that_are_looked_for_are_read_in_no_time(piece):
    """5 MB each: a pattern that tries each place anew would take hours."""
    with pytest.raises(MeasurementError):
        read_told(piece * (5_000_000 // len(piece)), Delegate.GPU)
