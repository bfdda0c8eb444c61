"""What one invocation of benchmark_model printed: its time, and what ran the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...core.errors import ArtefactError, MeasurementError, UnsupportedOperatorError
from ..imports.lines import lines_of
from ..imports.tflite_log import read_benchmarks
from ..imports.tflite_stats import RESOLUTION_MS, Stat, read_stat
from ..sample import NS_PER_MS, Sample
from .options import Delegate
from .results import Ended

_STEADY = 0.1
_DISTURBED, _APART = 0.1, 3.0
_SHOWN_LINES, _SHOWN_CHARACTERS = 3, 300
_LONGEST_NS = 24 * 3600 * 10**9
_TIMEOUT, _SIGNALS_FROM, _KILLED, _TOO_MUCH = 124, 128, 137, 141
# As much as `scripts.RUN` keeps of what an invocation prints.
_LONGEST_LOG_BYTES = 65_536
_STAT = re.compile(r"\bcount=\d.*", re.ASCII)
# Builds of 2020 say "Applied GPU delegate, … executed w/ the delegate".
_APPLIED = re.compile(
    r"\b[Aa]pplied (\w{1,64}) delegate, and the model graph will be (completely|partially) "
    r"executed (?:by|w/) the delegate",
    re.ASCII,
)
_IDLE = re.compile(
    r"\bThough (\w{1,64}) delegate is (?:explicitly )?applied, the model graph will not be",
    re.ASCII,
)
_ABSENT = re.compile(r"\b(\w{1,64}) acceleration is unsupported on this platform", re.ASCII)
_REPLACED = re.compile(
    r"Replacing (\d{1,9}) out of (\d{1,9}) node\(s\) with delegate \((\w{1,64})\) node"
    r"(?:, yielding (\d{1,9}) partitions)?",
    re.ASCII,
)
_FALLBACK = "Disallowed CPU fallback detected"


@dataclass(frozen=True)
class Coverage:
    """How much of a model a delegate took, as far as the log tells.

    Attributes:
        delegate: What the program calls it.
        share: `complete`, `partial` or `none`, what it left being run by TFLite's own kernels; or
            `untold`.
        operators: Of the file, that it took, and `of` how many; None where that is not told.
        partitions: In how many pieces the model was cut; None where that is not told.
    """

    delegate: str
    share: str
    operators: int | None = None
    of: int | None = None
    partitions: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Told:
    """What one invocation found.

    Attributes:
        sample: Its measured runs as one sample: see `sample_of`.
        init_ms: Loading and preparing the model; NaN is never given: 0 where it is not told.
        first_call_ms: The first run, as the summary says it or else the warm-up; 0 where neither
            tells it.
        warmup_calls: Runs before those that count.
        is_steady: Whether the runs before, the first of all left out, took as long as those that
            count, to a tenth.
        coverage: What delegates took.
        has_median: Whether the build prints medians; older ones print means alone.
    """

    sample: Sample
    init_ms: float
    first_call_ms: float
    warmup_calls: int
    is_steady: bool
    coverage: tuple[Coverage, ...]
    has_median: bool


def read_told(log: bytes, asked: Delegate = Delegate.NONE) -> Told:
    """What an invocation that ended well printed as `log`.

    Bytes that are no text are passed over, for drivers print what they like; not in numbers.

    Args:
        log: Both of its streams.
        asked: The delegate that it was told to apply.

    Raises:
        MeasurementError: The log is cut short or damaged, or the program has no such delegate and
            ran the model without.
    """
    try:
        lines = lines_of(log.decode(errors="replace").encode())
        benchmarks = read_benchmarks(lines)
        warm_up = _warm_up(lines)
    except ArtefactError as error:
        raise MeasurementError(f"benchmark_model printed no readable times: {error}") from error
    benchmark, stat = benchmarks[0], benchmarks[0].stat
    if len(benchmarks) != 1 or stat is None:
        raise MeasurementError(
            f"benchmark_model printed {len(benchmarks)} benchmarks, and one with statistics was "
            "asked for."
        )
    if not benchmark.summary_ms:
        raise MeasurementError("benchmark_model printed no summary: its output was cut short.")
    return Told(
        sample=sample_of(stat),
        init_ms=benchmark.summary_ms.get("Init", 0.0),
        first_call_ms=benchmark.summary_ms.get("First inference", _first_ms(warm_up)),
        warmup_calls=0 if warm_up is None else warm_up.count,
        is_steady=warm_up is not None and _is_steady(warm_up, stat),
        coverage=coverage_by(asked, lines),
        has_median="median" in stat.values_ms,
    )


def run_ms(stat: Stat) -> float:
    """Time of one run, in milliseconds: what a loop of runs takes, over their number.

    The mean, as other runtimes are timed; the longest run is left out where it is far from all
    others, for then the process was preempted in it. Where the rest is disturbed as well, the
    median, which is a whole microsecond, unless that is none. Builds that print no median leave
    the mean alone.
    """
    median = stat.values_ms.get("median")
    return median if median and is_disturbed(stat) else _mean_ms(stat)


def is_disturbed(stat: Stat) -> bool:
    """Whether runs took longer on the whole than half of them did, by more than a tenth."""
    median = stat.values_ms.get("median")
    return median is not None and _mean_ms(stat) > (1 + _DISTURBED) * median + RESOLUTION_MS


def _mean_ms(stat: Stat) -> float:
    """Mean of the runs, without the longest where it is far from all others."""
    mean, longest, p95 = (stat.values_ms.get(name) for name in ("avg", "max", "p95"))
    if mean is None or longest is None or p95 is None or longest <= _APART * p95:
        return stat.values_ms["avg"]
    left = (mean * stat.count - longest) / max(1, stat.count - 1)
    # The mean is printed in six digits: of many runs it may not hold the longest.
    return left if left >= stat.values_ms.get("min", 0.0) else mean


def sample_of(stat: Stat) -> Sample:
    """The runs of `stat` as one sample. CPU time is not told; a disturbed one counts a switch.

    Raises:
        MeasurementError: The runs took no time, or more than a day.
    """
    wall_ns = round(run_ms(stat) * stat.count * NS_PER_MS)
    if wall_ns > _LONGEST_NS:
        raise MeasurementError(
            f"benchmark_model says that {stat.count} runs of {run_ms(stat):g} ms fit into one "
            "invocation, which takes less than a day: what it printed is damaged."
        )
    if wall_ns <= 0:
        raise MeasurementError(
            "Runs took no time at all, as benchmark_model tells it: too short for its clock. "
            "Measure it with a method that repeats it, such as slope."
        )
    return Sample(stat.count, wall_ns, 0, int(is_disturbed(stat)))


def coverage_of(lines: Sequence[str]) -> tuple[Coverage, ...]:
    """What every delegate took, in the order of `lines`."""
    found: list[Coverage] = []
    for line in lines:
        if applied := _APPLIED.search(line):
            share = "complete" if applied[2] == "completely" else "partial"
            found.append(Coverage(applied[1], share))
        elif idle := _IDLE.search(line):
            found.append(Coverage(idle[1], "none"))
        elif replaced := _REPLACED.search(line):
            count, total = int(replaced[1]), int(replaced[2])
            share = "none" if count == 0 else "complete" if count == total else "partial"
            pieces = int(replaced[4]) if replaced[4] else None
            found.append(Coverage(replaced[3], share, count, total, pieces))
    return tuple(dict.fromkeys(found))


def failure_of(ended: Ended, limit_s: int) -> MeasurementError:
    """What it means that an invocation, which could take `limit_s`, has not ended with 0."""
    text = ended.log.decode(errors="replace")
    if _FALLBACK in text:
        return UnsupportedOperatorError(
            "The delegate leaves a part of the model to the CPU, which the card's option whole "
            "does not allow."
        )
    end = ended.end
    how = f"ended with exit code {end}"
    if is_too_late(ended, limit_s):
        how = f"was ended after {limit_s} s"
    elif end == _KILLED:
        how = f"was killed after {ended.took_s} s, as the device does where memory runs out"
    elif end == _TOO_MUCH or len(ended.log) >= _LONGEST_LOG_BYTES:
        how = "was ended as it printed too much"
    elif end > _SIGNALS_FROM:
        how = f"was ended by signal {end - _SIGNALS_FROM}"
    return MeasurementError(
        f"benchmark_model {how}; its last words: {_last_words(text) or 'none'}"
    )


def is_too_late(ended: Ended, limit_s: int) -> bool:
    """Whether it took longer than `limit_s`, and was ended for that.

    `timeout -s KILL` ends with 137, and that of toybox before 0.8 with 124. A device that has no
    memory left kills, too, and most often sooner.
    """
    if ended.end == _KILLED:
        return ended.took_s is None or ended.took_s >= limit_s - 1
    return ended.end == _TIMEOUT


def _last_words(text: str) -> str:
    """The last lines of `text` as one, without what a terminal would take for commands."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    said = " | ".join(lines[-_SHOWN_LINES:])
    return "".join(c for c in said if c.isprintable())[-_SHOWN_CHARACTERS:]


def coverage_by(asked: Delegate, lines: Sequence[str]) -> tuple[Coverage, ...]:
    """What every delegate took, that which was `asked` for among them.

    Raises:
        MeasurementError: The program says that it has no such delegate.
    """
    found = coverage_of(lines)
    if asked is Delegate.NONE:
        return found
    for line in lines:
        absent = _ABSENT.search(line)
        if absent and absent[1].lower() == asked:
            raise MeasurementError(
                f"benchmark_model has no {absent[1]} delegate on this device, and ran the model "
                "without; name a program that has it, or another delegate, in the device card."
            )
    if any(asked in one.delegate.lower() for one in found):
        return found
    return (Coverage(asked.upper(), "untold"), *found)


def _first_ms(warm_up: Stat | None) -> float:
    """The first run of all, which some builds leave out of their summary."""
    return 0.0 if warm_up is None else warm_up.values_ms.get("first", 0.0)


def _warm_up(lines: Sequence[str]) -> Stat | None:
    """The first stretch of runs, which is the warm-up."""
    found = next((stat for line in lines if (stat := _STAT.search(line.rstrip()))), None)
    return None if found is None else read_stat(found[0], "the warm-up")


def _is_steady(warm_up: Stat, stat: Stat) -> bool:
    """Whether all runs of `warm_up` but the first took as long as those of `stat`, to a tenth."""
    first, mean = warm_up.values_ms.get("first"), warm_up.values_ms["avg"]
    if first is None or warm_up.count < 2:
        return False
    later = (mean * warm_up.count - first) / (warm_up.count - 1)
    wanted = stat.values_ms["avg"]
    return abs(later - wanted) <= _STEADY * wanted + RESOLUTION_MS
