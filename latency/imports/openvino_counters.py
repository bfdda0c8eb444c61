"""Times of every layer, as OpenVINO's benchmark_app writes its performance counters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import head_of, lines_of
from .openvino_report import TOOL
from .parsing import decimal, json_of, latency, member
from .rows import judged, median_of

STEP_MS = 1e-3
HEADER = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"
STATUSES = {"EXECUTED", "NOT_RUN", "OPTIMIZED_OUT"}
BUG_NOTE = (
    "The file holds the network's first node alone, which is a fault of benchmark_app: other "
    "nodes are missing. Write CSV instead (no -json_stats), or -report_type detailed_counters."
)

_KEYS = ("name", "status", "node_type", "exec_type", "real_time", "cpu_time")
# The end of a kernel's name is the type that it computes in: brgconv_avx512_bf16.
_PRECISION = re.compile(r"_(bf16|f16|f32|f64|[iu]\d{1,2}|I8|U8)$", re.I)


@dataclass(frozen=True)
class _Node:
    """One layer; times in milliseconds."""

    name: str
    status: str
    kind: str
    kernel: str
    real_ms: float
    cpu_ms: float

    @property
    def facts(self) -> dict[str, Fact]:
        """Its status, kinds, the precision really used, and CPU time."""
        facts: dict[str, Fact] = {
            "status": self.status,
            "type": self.kind,
            "kernel": self.kernel,
            "cpu_ms": self.cpu_ms,
        }
        if self.status == "EXECUTED" and (found := _PRECISION.search(self.kernel)):
            facts["precision"] = found[1].lower()
        if self.kind == "Reorder":
            facts["layout"] = True
        return facts

    @property
    def step_ms(self) -> float | None:
        """Step of its time, but of one that did not run: its 0 is exact."""
        return STEP_MS if self.status == "EXECUTED" else None


@importers.register("openvino-counters")
class OpenvinoCounters(Importer):
    """The mean of every layer, or its samples where every inference is told (detailed)."""

    def recognises(self, data: bytes) -> bool:
        head = head_of(data)
        return head.startswith(b"layerName;execStatus;") or (
            head.startswith(b"{")
            and b'"report_type"' in head
            and (b'"avg_performance"' in head or b'"detailed_performance"' in head)
        )

    def read(self, data: bytes) -> Imported:
        notes: tuple[str, ...] = ()
        if not head_of(data).startswith(b"{"):
            variant, rows = "average counters, CSV", _of_csv(lines_of(data))
        elif b'"avg_performance"' in head_of(data):
            variant, rows = "average counters, JSON", _of_average(json_of(data))
            notes = (BUG_NOTE,) if len(rows) == 1 else ()
        else:
            variant, rows = "detailed counters, JSON", _of_detail(json_of(data))
        return Imported(
            kind="openvino-counters",
            tool=TOOL,
            variant=variant,
            unit="ms",
            unit_source="the header names it"
            if "CSV" in variant
            else "the format's definition: real_time is in ms",
            resolution=STEP_MS,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts={"is_incomplete": True} if notes else {},
            notes=notes,
        )


def _node(cells: Sequence[str], where: str) -> _Node:
    name, status, kind, kernel, real, cpu = cells
    bare = status.removeprefix("Status.")
    if bare not in STATUSES:
        raise ArtefactError(f"{where} has the status {status[:60]!r}; known: {sorted(STATUSES)}.")
    real_ms, cpu_ms = (latency(decimal(text, where), where) for text in (real, cpu))
    if real_ms > 0 and bare != "EXECUTED":
        raise ArtefactError(f"{where} took {real_ms:g} ms although it is {bare}: it is damaged.")
    return _Node(name, bare, kind, kernel, real_ms, cpu_ms)


def _mean_rows(nodes: Sequence[_Node], total: str) -> list[Row]:
    """A row for each layer, which together take the total that the file says."""
    total_ms = latency(decimal(total, "the total"), "the total")
    summed_ms = fsum(node.real_ms for node in nodes)
    # Each time is rounded to a step, and so is the total.
    if abs(summed_ms - total_ms) > STEP_MS / 2 * (len(nodes) + 1) * 1.001:
        raise ArtefactError(
            f"the layers take {summed_ms:g} ms together and the file says {total_ms:g} ms: it was "
            "damaged or cut short."
        )
    return [
        judged(
            node.name,
            node.real_ms,
            Statistic.MEAN,
            resolution=node.step_ms,
            facts=node.facts,
        )
        for node in nodes
    ]


def _of_csv(lines: Sequence[str]) -> list[Row]:
    """The rows of a CSV file, whose layers' names may hold semicolons."""
    header, *layers = [line for line in lines if line.strip()] or [""]
    if header.strip() != HEADER:
        raise ArtefactError(f"the header is {header[:100]!r}; {HEADER!r} was expected.")
    *body, last = layers or [""]
    total = last.strip().split(";")
    if total[0] != "Total" or len(total) != 6 or not body:
        raise ArtefactError("the file does not end with the line Total: it was cut short.")
    nodes = []
    for number, line in enumerate(body, 2):
        cells = line.strip().rsplit(";", 5)
        if len(cells) != 6:
            raise ArtefactError(f"layer {number - 1} has {len(cells)} columns instead of 6.")
        nodes.append(_node(cells, f"layer {cells[0][:60]!r}"))
    return _mean_rows(nodes, total[4])


def _nodes(document: object, where: str) -> list[_Node]:
    """The layers in a JSON object, at least one."""
    listed = member(document, "nodes", list, where)
    nodes = []
    for index, entry in enumerate(listed):
        what = f"node {index} of {where}"
        nodes.append(_node([member(entry, key, str, what) for key in _KEYS], what))
    if not nodes:
        raise ArtefactError(f"{where} lists no layer.")
    return nodes


def _of_average(document: object) -> list[Row]:
    average = member(document, "avg_performance", dict, "the file")
    nodes = _nodes(average, "avg_performance")
    return _mean_rows(nodes, member(average, "total_real_time", str, "avg_performance"))


def _of_detail(document: object) -> list[Row]:
    """The rows of a detailed file: each inference lists the same layers."""
    listed = member(document, "detailed_performance", list, "the file")
    inferences = [_nodes(entry, f"inference {index}") for index, entry in enumerate(listed)]
    if not inferences:
        raise ArtefactError("detailed_performance lists no inference.")
    names = [node.name for node in inferences[0]]
    for index, nodes in enumerate(inferences):
        if [node.name for node in nodes] != names:
            raise ArtefactError(f"inference {index} has other layers than the first.")
    return [
        median_of(
            node.name,
            [nodes[place].real_ms for nodes in inferences],
            resolution=node.step_ms,
            facts=node.facts,
        )
        for place, node in enumerate(inferences[0])
    ]
