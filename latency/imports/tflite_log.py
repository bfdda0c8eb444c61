"""What TFLite's benchmark_model prints of each benchmark: its runs, and what it says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import ArtefactError
from ..flags import Flag
from .base import LEVEL, Fact, Level, Row, Statistic
from .parsing import decimal, latency
from .rows import judged
from .tflite_stats import RESOLUTION_MS, US_PER_MS, Stat, read_stat

# The summary repeats the mean, which some versions cut to whole microseconds.
SUMMARY_TOLERANCE = 1e-3
SUMMARY = "nference timings in us: "
ANNOUNCEMENT = "Running benchmark for "
OPTIONS = "Runs w/ Different Performance Options"

_STAT = re.compile(r"(?:.*?\s)??(count=\d.*)", re.ASCII)
_MEMORY = re.compile(r"emory footprint.*\(MB\): init=(\S+) overall=(\S+)")
_THREADS = re.compile(r"(?:Num threads|#threads used for CPU inference): \[(\d{1,9})\]", re.ASCII)
_MODEL = re.compile(r"Graph: \[([^\]]+)\]")
_OPTION = re.compile(r"(?:INFO: )?\s*(\S.*?): +(count=\d.*|failed!.*)", re.ASCII)
_DELEGATION = re.compile(
    r"Replacing (\d{1,9}) out of (\d{1,9}) node\(s\) with delegate \((\w+)\) node"
    r"(?:, yielding (\d{1,9}) partitions)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        stat: Of the measured runs; None where only the summary was kept.
        summary_ms: What the summary line says, by its own keys; empty where there is none.
        facts: Of the condition: model, threads, delegates, memory, initialisation.
        is_partial: Whether a delegate left operators to others.
    """

    stat: Stat | None
    summary_ms: Mapping[str, float]
    facts: Mapping[str, Fact]
    is_partial: bool

    def row(self, name: str, facts: Mapping[str, Fact]) -> Row:
        """The latency of the network under `name`."""
        flags = frozenset({Flag.PARTIAL_DELEGATION}) if self.is_partial else frozenset()
        facts = {LEVEL: Level.NETWORK.value, **facts}
        if self.stat is not None:
            return self.stat.row(name, facts, flags)
        return judged(
            name,
            self.summary_ms["Inference"],
            Statistic.MEAN,
            resolution=RESOLUTION_MS,
            facts=facts,
            flags=flags,
        )


def read_benchmarks(lines: Sequence[str]) -> list[Benchmark]:
    """The benchmarks in `lines`, in order; at least one.

    Raises:
        ArtefactError: There is none, the log was cut short, it cannot be told which runs are
            warm-up, or the summary is of other runs.
    """
    measured = _measured(lines)
    summaries = [number for number, line in enumerate(lines) if SUMMARY in line]
    if not measured:
        if not summaries:
            raise ArtefactError("the log has no statistics of runs: it was cut short.")
        return [_benchmark(None, lines, lines[number:][:1]) for number in summaries]
    starts = [0] + [number for number, _ in measured[:-1]]
    ends = [number for number, _ in measured[1:]] + [len(lines)]
    return [
        _benchmark(stat, lines[start:number], lines[number:end])
        for start, (number, stat), end in zip(starts, measured, ends, strict=True)
    ]


def read_options(lines: Sequence[str]) -> dict[str, Stat | None]:
    """What each set of options gave, from the lines below `OPTIONS`; None where it failed.

    Raises:
        ArtefactError: A line is damaged.
    """
    found: dict[str, Stat | None] = {}
    for line in lines:
        if option := _OPTION.fullmatch(line.rstrip()):
            name, outcome = option.groups()
            is_stat = outcome.startswith("count=")
            found[name] = read_stat(outcome, f"the line of {name!r}") if is_stat else None
    return found


def _measured(lines: Sequence[str]) -> list[tuple[int, Stat]]:
    """The stretches of runs that are no warm-up, with the numbers of their lines.

    Each is announced; the first of every two is warm-up. Where the announcements were not kept,
    the summary tells which stretch is meant.
    """
    stats, announced = [], 0
    for number, line in enumerate(lines):
        is_profile = "(microseconds):" in line or "(bytes):" in line
        if ANNOUNCEMENT in line:
            announced += 1
        elif not is_profile and (found := _STAT.fullmatch(line.rstrip())):
            stats.append((number, found[1]))
    if announced:
        if announced % 2 or len(stats) != announced:
            raise ArtefactError(
                f"the log announces {announced} stretches of runs and has statistics of "
                f"{len(stats)}; a warm-up and a measured one should alternate. It was cut short."
            )
        stats = stats[1::2]
    read = [(number, read_stat(text, f"line {number + 1}")) for number, text in stats]
    if announced or not read:
        return read
    means = [_summary(line).get("Inference") for line in lines if SUMMARY in line]
    told = [entry for entry in read if len(means) == 1 and _agree(entry[1], means[0])]
    if len(told) != 1:
        raise ArtefactError(
            f"the log has {len(read)} stretches of runs without the lines that announce them, and "
            "no summary that tells which is warm-up: it was cut short."
        )
    return told


def _agree(stat: Stat, summary_ms: float | None) -> bool:
    mean = stat.values_ms["avg"]
    return summary_ms is None or abs(mean - summary_ms) <= SUMMARY_TOLERANCE * mean


def _benchmark(stat: Stat | None, before: Sequence[str], after: Sequence[str]) -> Benchmark:
    """One benchmark from its runs and the lines before and after them."""
    summary = next((_summary(line) for line in after if SUMMARY in line), {})
    if stat is None and "Inference" not in summary:
        raise ArtefactError("the summary does not say what an inference takes.")
    if stat is not None and not _agree(stat, summary.get("Inference")):
        raise ArtefactError(
            f"the runs take {stat.values_ms['avg']:g} ms on average and the summary says "
            f"{summary['Inference']:g} ms: the log is damaged, or of several runs. Split it."
        )
    delegations = [found for line in before if (found := _DELEGATION.search(line))]
    facts = _settings(before) | _memory(after)
    for key, fact in (("Init", "init_ms"), ("First inference", "first_inference_ms")):
        if key in summary:
            facts[fact] = summary[key]
    if delegations:
        facts["delegation"] = tuple(
            f"{found[3]}: {found[1]} of {found[2]} operators"
            + (f" in {found[4]} partitions" if found[4] else "")
            for found in delegations
        )
    is_partial = any(int(found[1]) < int(found[2]) for found in delegations)
    return Benchmark(stat, summary, facts, is_partial)


def _summary(line: str) -> dict[str, float]:
    """The summary line in ms by its keys, those of older versions under the newer names."""
    found = {}
    for part in line.partition(SUMMARY)[2].split(","):
        key, _, value = part.strip().partition(": ")
        what = f"{key!r} in the summary"
        found[key.removesuffix(" (avg)")] = latency(decimal(value, what), what) / US_PER_MS
    if "no stats" in found:
        found.setdefault("Inference", found["no stats"])
    return found


def _settings(lines: Sequence[str]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for line in lines:
        if model := _MODEL.search(line):
            facts["model"] = model[1]
        if threads := _THREADS.search(line):
            facts["threads"] = int(threads[1])
    return facts


def _memory(lines: Sequence[str]) -> dict[str, Fact]:
    """Memory in MB, which the tool polls: roughly what the model needs."""
    for line in lines:
        if memory := _MEMORY.search(line):
            return {
                f"memory_{key}_mb": latency(decimal(value, what := f"memory at {key}"), what)
                for key, value in zip(("init", "overall"), memory.groups(), strict=True)
            }
    return {}
