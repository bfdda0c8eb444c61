"""The tables of operators that benchmark_model prints, as what a profiler said of a model.

A row is one of three things. An operator that TFLite runs itself is told by its number and by the
tensors that it writes. A delegate that tells of its own operators (XNNPACK, since 2022) has a row
for each, by kind alone. Of other delegates there is one row for each part of the graph that they
run, told by the tensors that the part writes (tflite/profiling/profile_summarizer.cc of LiteRT).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...core.errors import ArtefactError, MeasurementError
from ..benchmark_model.options import Delegate
from ..benchmark_model.told import Coverage, coverage_by, run_ms
from ..imports.lines import lines_of
from ..imports.tflite_log import read_benchmarks
from ..imports.tflite_stats import RESOLUTION_MS, Stat
from ..imports.tflite_tables import OpTable, TableRow, read_tables
from .model_file import ModelFile
from .raw import Fact, RawNode, RawProfile

_SHORT_MS = 0.01
_INSIDE = "DelegateOpInvoke"
"""The type that builds of 2020 and 2021 give to what is inside of a delegate's own row."""


@dataclass(frozen=True)
class _Stretch:
    """What one invocation of the program told of the runs that it profiled."""

    rows: tuple[TableRow, ...]
    run_ms: float
    runs: int
    coverage: tuple[Coverage, ...]


def raw_profile(model: ModelFile, logs: Sequence[bytes], asked: Delegate) -> RawProfile:
    """What the invocations that printed `logs` say of `model`.

    Args:
        model: What they ran.
        logs: At least one.
        asked: The delegate that they were told to apply.

    Raises:
        MeasurementError: A log has no readable table, they tell of different operators, or the
            program has no such delegate.
    """
    try:
        stretches = [_stretch(log, asked) for log in logs]
    except ArtefactError as error:
        raise MeasurementError(
            f"benchmark_model printed no readable table of operators: {error}"
        ) from error
    kept = _alike(stretches)
    first = kept[0]
    nodes = []
    for place, (row, known) in enumerate(zip(first.rows, _known(model, first.rows), strict=True)):
        times_ms = tuple(stretch.rows[place].run_ms for stretch in kept)
        original, delegated = known
        name = f"{row.kind}:{row.index}" if _is_of_delegate(row) else row.name
        nodes.append(RawNode(name, row.kind, times_ms, original=original, delegated=delegated))
    return RawProfile(
        tuple(nodes),
        tuple(stretch.run_ms for stretch in kept),
        RESOLUTION_MS,
        is_gapless=True,
        facts=_facts(first.coverage),
        run_count=sum(stretch.runs for stretch in kept),
    )


def unprofiled_ms(log: bytes, asked: Delegate) -> float:
    """Time of one run in an invocation that did not profile and printed `log`, in milliseconds.

    As in `told.run_ms`; but of runs of a few microseconds, which the program's clock cuts to whole
    ones, it is the mean, in which fractions show.

    Raises:
        MeasurementError: There is no readable time, or the program has no delegate `asked`.
    """
    lines = _lines(log)
    coverage_by(asked, lines)
    try:
        stat = _stat(lines)
    except ArtefactError as error:
        raise MeasurementError(f"benchmark_model printed no readable times: {error}") from error
    mean_ms = stat.values_ms["avg"]
    return mean_ms if mean_ms < _SHORT_MS else run_ms(stat)


def _lines(log: bytes) -> list[str]:
    """The lines of `log`; drivers may print bytes that are no text."""
    return lines_of(log.decode(errors="replace").encode())


def _stretch(log: bytes, asked: Delegate) -> _Stretch:
    lines = _lines(log)
    stat = _stat(lines)
    tables = [table for table in read_tables(lines) if _is_of_runs(table)]
    if len(tables) != 1:
        raise ArtefactError(f"one table of operators was asked for; found {len(tables)}.")
    rows = tuple(row for row in tables[0].rows if row.kind != _INSIDE and _is_operator(row))
    if not rows:
        raise ArtefactError("its table holds no operators.")
    return _Stretch(rows, stat.values_ms["avg"], stat.count, coverage_by(asked, lines))


def _stat(lines: Sequence[str]) -> Stat:
    """The statistics of the one benchmark in `lines`."""
    stats = [benchmark.stat for benchmark in read_benchmarks(lines)]
    if len(stats) != 1 or stats[0] is None:
        raise ArtefactError(f"one benchmark was asked for; found {len(stats)}.")
    return stats[0]


def _is_of_runs(table: OpTable) -> bool:
    """Whether it is of what TFLite runs in every run, and not a part of one of its rows."""
    return not (table.is_initialisation or table.is_delegate or table.subgraph)


def _is_operator(row: TableRow) -> bool:
    """Whether it is no event of the interpreter, such as `Invoke/0`."""
    return row.name.rpartition("/")[0] != row.kind


def _is_of_delegate(row: TableRow) -> bool:
    """Whether it is an operator that a delegate tells of."""
    return row.name == f"Delegate/{row.kind}"


def _alike(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    """Those of `stretches` that tell of the same operators as most do."""
    shapes = [tuple((row.kind, row.name, row.index) for row in s.rows) for s in stretches]
    common, count = Counter(shapes).most_common(1)[0]
    if 2 * count < len(stretches):
        raise MeasurementError(
            f"benchmark_model told of {len(common)} operators in {count} of {len(stretches)} "
            "processes, and of others in the rest: the runtime chooses anew each time, and no "
            "profile is that of all."
        )
    return [s for s, shape in zip(stretches, shapes, strict=True) if shape == common]


def _known(
    model: ModelFile, rows: Sequence[TableRow]
) -> Iterator[tuple[int | None, tuple[int, ...] | None]]:
    """The model's node that each of `rows` is, and those that it is where it is a delegate.

    What a delegate runs at once is all that its outputs need and nothing before it has made. Where
    another delegate that does not tell has run before, that is not known.
    """
    numbers = [_number(model, row) for row in rows]
    taken = {number for number in numbers if number is not None}
    is_told = True
    for row, number in zip(rows, numbers, strict=True):
        if number is not None or _is_of_delegate(row):
            is_told = is_told and number is not None
            yield number, None
            continue
        needed = _needed(model, row.name.split(", "), taken) if is_told else ()
        is_told = is_told and bool(needed)
        taken.update(needed)
        yield None, needed


def _number(model: ModelFile, row: TableRow) -> int | None:
    """The node of `model` that writes what `row` says, if its number is the same or not told."""
    number = model.producers.get(row.name.split(", ")[0])
    if number is None or ", ".join(model.nodes[number].outputs) != row.name:
        return None
    return number if row.index in ("", str(number)) else None


def _needed(model: ModelFile, outputs: Sequence[str], taken: set[int]) -> tuple[int, ...]:
    """The nodes that make `outputs` of what `taken` makes; none if an output is unknown."""
    if not model.producers.keys() >= set(outputs):
        return ()
    waiting, found = list(outputs), set[int]()
    while waiting:
        number = model.producers.get(waiting.pop())
        is_new = number is not None and number not in found and number not in taken
        if number is not None and is_new and not model.is_constant(number):
            found.add(number)
            waiting += model.nodes[number].inputs
    return tuple(sorted(found))


def _facts(coverage: Sequence[Coverage]) -> dict[str, Fact]:
    """Which delegates took how much, in words."""
    told = []
    for one in coverage:
        counts = "" if one.operators is None else f" ({one.operators} of {one.of} operators)"
        told.append(f"{one.delegate} {one.share}{counts}")
    return {"delegation": "; ".join(told)} if told else {}
