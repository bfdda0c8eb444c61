"""The events of ONNX Runtime's profiler: runs of a model, the nodes and the kernels in them.

The importer of profiles and the profiling of models both read files with it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ...core.errors import ArtefactError
from ..imports.parsing import json_of, member, shown, text_of, whole

NODE_SUFFIX = "_kernel_time"
RUN = "model_run"

_CATEGORIES = ("Session", "Node", "Kernel", "Api")
_LONGEST_LINE = 1 << 20
# One event a line; everything between these two is its name, which is not escaped.
_LINE = re.compile(r'(\{"cat".*?"name" ?: ?")(.*)("\s*,\s*"args" ?: ?\{.*\}\}),?\s*')


@dataclass(frozen=True)
class Event:
    """One node or kernel in one run.

    Attributes:
        name: Of the node, without the profiler's suffix; empty where the model names none.
        start_us: Since profiling began.
        thread: The thread that ran it.
        arguments: What the profiler adds, most of it as text: `op_name`, `provider`,
            `node_index`, `input_type_shape`, `output_type_shape`.
        parent: For a node of a subgraph, the index in `RunEvents.nodes` of the node that holds it
            (a loop, a branch), whose time includes its own.
    """

    name: str
    start_us: int
    duration_us: int
    thread: int
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)
    parent: int | None = None

    @property
    def kind(self) -> str:
        """Type of its operator; empty in profiles that do not say."""
        return self.argument("op_name")

    @property
    def end_us(self) -> int:
        """When it ended, since profiling began."""
        return self.start_us + self.duration_us

    @property
    def key(self) -> tuple[str, str]:
        """Tells the nodes of a model apart: the index in its graph, and the name."""
        return self.argument("node_index"), self.name

    def argument(self, name: str) -> str:
        """An argument that is text; empty where there is none."""
        value = self.arguments.get(name, "")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class RunEvents:
    """One run of the model; nodes and kernels in the order in which they started."""

    start_us: int
    duration_us: int
    nodes: tuple[Event, ...]
    kernels: tuple[Event, ...]

    @property
    def end_us(self) -> int:
        """When it ended, since profiling began."""
        return self.start_us + self.duration_us


@dataclass(frozen=True)
class TraceEvents:
    """What a profile holds.

    Attributes:
        runs: The complete runs, in order; at least one. All have the same nodes, though one in a
            loop may have run more often.
        incomplete: How many runs had other nodes than most, and were left out.
        outside: How many events belong to no run: of one that the profiler's cap on events cut.
    """

    runs: tuple[RunEvents, ...]
    incomplete: int
    outside: int


def read_events(data: bytes) -> TraceEvents:
    """The events in `data`, the JSON that `InferenceSession.end_profiling` writes.

    Raises:
        ArtefactError: It is no profile of ONNX Runtime, cut short, or has no complete run; or its
            runs overlap, so that a node cannot be told to belong to one.
    """
    spans: list[tuple[int, int]] = []
    events: dict[str, list[Event]] = {"Node": [], "Kernel": []}
    for index, entry in enumerate(_entries(data)):
        where = f"event {index}"
        category = member(entry, "cat", str, where)
        if category not in _CATEGORIES or member(entry, "ph", str, where) != "X":
            phase = shown(entry.get("ph"))
            raise ArtefactError(
                f"{where} has the category {shown(category)} and the phase {phase}; ONNX Runtime "
                f"writes {', '.join(_CATEGORIES)} and X."
            )
        event = _event(entry, where)
        if category == "Session" and event.name == RUN:
            spans.append((event.start_us, event.end_us))
        elif category == "Kernel":
            events["Kernel"].append(event)
        elif category == "Node" and event.name.endswith(NODE_SUFFIX):
            events["Node"].append(replace(event, name=event.name.removesuffix(NODE_SUFFIX)))
    return _by_run(spans, events["Node"], events["Kernel"])


def read_runs(data: bytes) -> tuple[RunEvents, ...]:
    """The complete runs in `data`; see `read_events`.

    Raises:
        ArtefactError: As there.
    """
    return read_events(data).runs


def _entries(data: bytes) -> Iterator[dict[str, object]]:
    try:
        document = json_of(data)
    except ArtefactError as strict:
        document = _line_by_line(text_of(data), strict)
    if not isinstance(document, list):
        raise ArtefactError(f"the profile is {shown(document)}; it should be a list of events.")
    for index, entry in enumerate(document):
        if not isinstance(entry, dict):
            raise ArtefactError(f"event {index} is {shown(entry)}, which is no JSON object.")
        yield entry


def _line_by_line(text: str, strict: ArtefactError) -> list[object]:
    """The events of a profile in which names hold quotes or backslashes."""
    lines = text.strip().split("\n")
    if len(lines) < 3 or lines[0].strip() != "[" or lines[-1].strip() != "]":
        raise strict
    events = []
    for line in lines[1:-1]:
        parts = _LINE.fullmatch(line.strip()) if len(line) <= _LONGEST_LINE else None
        if parts is None:
            raise strict
        before, name, after = parts.groups()
        events.append(json_of(f"{before}{json.dumps(name)[1:-1]}{after}".encode()))
    return events


def _event(entry: dict[str, object], where: str) -> Event:
    arguments = member(entry, "args", dict, where)
    return Event(
        member(entry, "name", str, where),
        whole(entry.get("ts"), f"ts of {where}", least=0),
        whole(entry.get("dur"), f"dur of {where}", least=0),
        whole(entry.get("tid"), f"tid of {where}", least=0),
        arguments,
    )


def _by_run(spans: list[tuple[int, int]], nodes: list[Event], kernels: list[Event]) -> TraceEvents:
    """Nodes and kernels within the runs that enclose them, the incomplete ones left out."""
    spans.sort()
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise ArtefactError(
                f"a run begins {start} us after profiling began, and one before it ends only at "
                f"{end} us: nodes cannot be told apart. Profile one run at a time."
            )
    nodes_of, stray_nodes = _enclosed(spans, nodes)
    kernels_of, stray_kernels = _enclosed(spans, kernels)
    runs = [
        RunEvents(start, end - start, _nested(own), tuple(device))
        for (start, end), own, device in zip(spans, nodes_of, kernels_of, strict=True)
    ]
    complete = _alike(runs)
    if not complete:
        raise ArtefactError(
            f"the profile has {len(nodes)} nodes and no whole run ({RUN}) with nodes in it: the "
            "model was not run, or the profiler's cap on events was reached in the first run."
        )
    return TraceEvents(tuple(complete), len(runs) - len(complete), stray_nodes + stray_kernels)


def _enclosed(
    spans: Sequence[tuple[int, int]], events: list[Event]
) -> tuple[list[list[Event]], int]:
    """The events that start in each of `spans`, by start, and how many start in none."""
    starts = [start for start, _ in spans]
    found: list[list[Event]] = [[] for _ in spans]
    outside = 0
    for event in sorted(events, key=lambda event: (event.start_us, -event.duration_us)):
        place = bisect_right(starts, event.start_us) - 1
        if place < 0 or event.start_us > spans[place][1]:
            outside += 1
        else:
            found[place].append(event)
    return found, outside


def _nested(nodes: Sequence[Event]) -> tuple[Event, ...]:
    """`nodes`, which are in order of their starts, with the parents that enclose them."""
    found: list[Event] = []
    open_nodes: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        around = open_nodes.setdefault(node.thread, [])
        while around and found[around[-1]].end_us <= node.start_us:
            around.pop()
        # Starts and durations are cut to whole microseconds, each for itself.
        is_inside = bool(around) and node.end_us <= found[around[-1]].end_us + 1
        found.append(replace(node, parent=around[-1] if is_inside else None))
        around.append(index)
    return tuple(found)


def _alike(runs: Sequence[RunEvents]) -> list[RunEvents]:
    """The runs that have the nodes which most runs have."""
    keys = [frozenset(node.key for node in run.nodes) for run in runs]
    counted = Counter(key for key in keys if key)
    if not counted:
        return []
    usual = max(counted, key=lambda key: (counted[key], len(key)))
    return [run for run, key in zip(runs, keys, strict=True) if key == usual]
