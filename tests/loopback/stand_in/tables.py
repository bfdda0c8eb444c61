"""The profile of operators, in the tables that the tool prints.

Times are those of LiteRT's own profiler in the very runs that are counted; the plain interpreter
of the wheel has none. The tables are those of tsl/util/stats_calculator.cc without a column of
starts, as TFLite prints them since it left that out (profile_summary_formatter.cc).
"""

from __future__ import annotations

from .stats import Stat

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from typing import Any

INITIALISATION = "Profiling Info for Benchmark Initialization:"
REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_LONGEST_TOP = 10
_WIDTHS = {
    "[node type]": 24,
    "[first]": 9,
    "[avg ms]": 9,
    "[%]": 8,
    "[cdf%]": 8,
    "[mem KB]": 10,
    "[times called]": 9,
}
_TYPE_WIDTHS = {
    "[Node type]": 24,
    "[count]": 9,
    "[avg ms]": 10,
    "[avg %]": 11,
    "[cdf %]": 11,
    "[mem KB]": 10,
    "[times called]": 10,
}


class Node:
    """An operator and what it took in each run.

    Attributes:
        memory_kb: What it took of memory, in 1000 bytes.
    """

    def __init__(self, kind: str, name: str, memory_kb: float = 0.0) -> None:
        self.kind = kind
        self.name = name
        self.memory_kb = memory_kb
        self.times_us: list[int] = []

    @property
    def stat(self) -> Stat:
        return Stat(self.times_us)


class Profile:
    """Operators by name, in the order in which they first ran."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._totals_us: list[int] = []

    def add_run(self, operators: list[tuple[str, str, int]], memory_kb: float = 0.0) -> None:
        """Add a run.

        Args:
            operators: The type, the name and the microseconds of each.
            memory_kb: What each took of memory.
        """
        for kind, name, took_us in operators:
            node = self.nodes.setdefault(name, Node(kind, name, memory_kb))
            node.times_us.append(took_us)
        self._totals_us.append(sum(took_us for *_, took_us in operators))

    def text(self, is_csv: bool) -> str:
        """The tables."""
        ordered = list(self.nodes.values())
        longest = sorted(ordered, key=lambda node: -node.stat.avg)[:_LONGEST_TOP]
        return (
            self._table("Run Order", ordered, is_csv)
            + self._table("Top by Computation Time", longest, is_csv)
            + self._types(is_csv)
            + f"Timings (microseconds): {Stat(self._totals_us).text()}\n"
            + f"Memory (bytes): count=0\n{len(ordered)} nodes observed\n\n"
        )

    def _table(self, title: str, nodes: list[Node], is_csv: bool) -> str:
        lines = [f"{'=' * 30} {title} {'=' * 30}"]
        if is_csv:
            lines.append("node type, first, avg_ms, %, cdf%, mem KB, times called, name")
        else:
            heads = [f"\t{head:>{width}}" for head, width in _WIDTHS.items()]
            lines.append("".join(heads) + "\t[Name]")
        total_us, so_far_us = sum(self._totals_us) or 1, 0
        for node in nodes:
            so_far_us += sum(node.times_us)
            shares = (sum(node.times_us) * 100 / total_us, so_far_us * 100 / total_us)
            lines.append(self._row(node, shares, is_csv))
        return "\n".join(lines) + "\n\n"

    def _row(self, node: Node, shares: tuple[float, float], is_csv: bool) -> str:
        times_ms = (node.times_us[0] / 1e3, node.stat.avg / 1e3)
        calls = len(node.times_us) // len(self._totals_us)
        if is_csv:
            numbers = [f"{value:g}" for value in times_ms] + [f"{share:g}%" for share in shares]
            cells = [node.kind, *numbers, f"{node.memory_kb:g}", str(calls)]
            return ", ".join([*cells, node.name.replace(",", "\t")])
        times = "".join(f"\t{value:9.3f}" for value in times_ms)
        parts = "".join(f"\t{share:7.3f}%" for share in shares)
        return f"\t{node.kind:>24}{times}{parts}\t{node.memory_kb:10.3f}\t{calls:9}\t{node.name}"

    def _types(self, is_csv: bool) -> str:
        runs = len(self._totals_us)
        kinds: dict[str, list[int]] = {}
        for node in self.nodes.values():
            found = kinds.setdefault(node.kind, [0, 0, 0])
            found[0] += 1
            found[1] += sum(node.times_us) // runs
            found[2] += len(node.times_us) // runs
        total_us, so_far = sum(us for _, us, _ in kinds.values()) or 1, 0.0
        lines = [f"Number of nodes executed: {len(self.nodes)}"]
        lines.append(f"{'=' * 30} Summary by node type {'=' * 30}")
        if is_csv:
            lines.append("node type, count, avg_ms, avg %, cdf %, mem KB, times called")
        else:
            lines.append("".join(f"\t{head:>{width}}" for head, width in _TYPE_WIDTHS.items()))
        for kind, (count, us, calls) in sorted(kinds.items(), key=lambda item: -item[1][1]):
            share = us * 100 / total_us
            so_far += share
            if is_csv:
                lines.append(f"{kind}, {count}, {us / 1e3:g}, {share:g}%, {so_far:g}%, 0, {calls}")
            else:
                lines.append(
                    f"\t{kind:>24}\t{count:9}\t{us / 1e3:10.3f}\t{share:10.3f}%\t{so_far:10.3f}%"
                    f"\t{0:10.3f}\t{calls:9}"
                )
        return "\n".join(lines) + "\n\n"


def operators_of(events: Any, outputs: dict[int, str]) -> list[tuple[str, str, int]]:
    """The type, the name and the time of each operator of a run (profile_summarizer.cc).

    Args:
        events: What LiteRT's profiler told of a run.
        outputs: Names of the tensors that an operator of the interpreter writes, by its number.
    """
    from elat.latency.profiling.litert import DELEGATE_EVENT, OPERATOR_EVENT

    found = []
    for event in events:
        if event.kind == DELEGATE_EVENT:
            name = f"Delegate/{event.tag}:{event.number}"
        elif event.kind == OPERATOR_EVENT and "Delegate" not in event.tag:
            name = f"[{outputs.get(event.number, '')}]:{event.number}"
        else:
            continue
        found.append((event.tag, name, event.duration_us))
    return found
