"""Where the time of one network goes on one device, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...core.errors import ArtefactError
from ..condition import Condition
from ..flags import Flag
from .raw import Fact

SCHEMA = 1


@dataclass(frozen=True)
class ProfiledNode:
    """One thing that the runtime executes.

    Attributes:
        name: As the runtime calls it.
        kind: Of operation, as the runtime calls it.
        fused: Names of the model's nodes that it executes, in order; empty where it executes none
            (a change of layout that the runtime put in) or where that is not known.
        raw_ms: Typical time of one run while profiled (mean of the middle half).
        latency_ms: What is left of it without the profiler's own work, scaled so that all nodes
            and the call together take what a run takes unprofiled.
        is_layout: Whether it only changes how a tensor lies in memory, and the runtime put it in.
        macs: Multiply-adds of what it executes; None where shapes are not known.
        moved_bytes: Of the tensors and weights that it reads and writes, each once; None where
            shapes are not known.
        bound_ms: No device of this speed is faster (see `roofline.py`); None where not known.
        is_delegate: Whether it is all that a delegate runs at once, told as one.
    """

    name: str
    kind: str
    fused: tuple[str, ...]
    raw_ms: float
    latency_ms: float
    is_layout: bool
    macs: int | None = None
    moved_bytes: int | None = None
    bound_ms: float | None = None
    flags: frozenset[Flag] = frozenset()
    is_delegate: bool = False

    @property
    def bound_share(self) -> float | None:
        """`bound_ms` over `latency_ms`: 1 where the node is as fast as can be."""
        if self.bound_ms is None or self.latency_ms <= 0.0:
            return None
        return self.bound_ms / self.latency_ms

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; `bound_share` is for readers."""
        return {
            **asdict(self),
            "fused": list(self.fused),
            "flags": sorted(self.flags),
            "bound_share": self.bound_share,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProfiledNode:
        """The node that `to_json` wrote."""
        plain = {name: value for name, value in data.items() if name != "bound_share"}
        flags = frozenset(Flag(flag) for flag in plain["flags"])
        return cls(**{**plain, "fused": tuple(plain["fused"]), "flags": flags})


@dataclass(frozen=True)
class Profile:
    """What a network's nodes cost.

    Attributes:
        nodes: In order of execution; at least one.
        runs: Profiled runs behind each node, over all processes.
        processes: Fresh processes that profiled, and as many that timed without profiling.
        profiled_run_ms: Time of one run while profiled.
        unprofiled_run_ms: Time of one run in the processes that did not profile; None where
            another tool made the profile and did not tell.
        call_ms: What a call costs whatever it runs; no node's time.
        node_cost_ms: The profiler's own work in each node's raw time, taken off; negative where
            its clock cuts off more than that.
        scale: Factor on what was left, so that nodes and call sum to the unprofiled run: 1 if the
            profile accounts for all of it.
        step_ms: Step of the profiler's clock; None if not known.
        condition: Under which; None for another tool's.
        facts: What the runtime or the tool says of itself.
        notes: What a reader should know, a sentence each.
        origin: `measured`, or `imported`.
    """

    nodes: tuple[ProfiledNode, ...]
    runs: int
    processes: int
    profiled_run_ms: float
    unprofiled_run_ms: float | None
    call_ms: float
    node_cost_ms: float
    scale: float
    step_ms: float | None
    condition: Condition | None
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    origin: str = "measured"

    @property
    def nodes_ms(self) -> float:
        """Sum of all nodes."""
        return sum(node.latency_ms for node in self.nodes)

    @property
    def layout_ms(self) -> float:
        """Sum of the nodes that only change layout."""
        return sum(node.latency_ms for node in self.nodes if node.is_layout)

    @property
    def kernel_ms(self) -> float:
        """Sum of the other nodes: what an operator costs without reorders around it."""
        return sum(node.latency_ms for node in self.nodes if not node.is_layout)

    @property
    def residual_ms(self) -> float | None:
        """What a run takes unprofiled beyond its nodes: the call, and what nothing explains."""
        return None if self.unprofiled_run_ms is None else self.unprofiled_run_ms - self.nodes_ms

    @property
    def overhead_share(self) -> float | None:
        """How much longer a run takes while profiled, as a share of the unprofiled run."""
        if self.unprofiled_run_ms is None:
            return None
        return self.profiled_run_ms / self.unprofiled_run_ms - 1

    def share(self, node: ProfiledNode) -> float:
        """Share of `node` in the sum of all nodes."""
        return node.latency_ms / self.nodes_ms

    def with_bounds(self, bounds_ms: tuple[float | None, ...]) -> Profile:
        """This profile with a bound for each node; a node twice as fast is flagged."""
        nodes = []
        for node, bound in zip(self.nodes, bounds_ms, strict=True):
            is_beyond = bound is not None and bound > 2 * node.latency_ms
            flags = node.flags | {Flag.BELOW_ROOFLINE} if is_beyond else node.flags
            nodes.append(replace(node, bound_ms=bound, flags=flags))
        return replace(self, nodes=tuple(nodes))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back; sums and shares are for readers."""
        return {
            "schema": SCHEMA,
            "kind": "profile",
            "nodes": [{**node.to_json(), "share": self.share(node)} for node in self.nodes],
            "runs": self.runs,
            "processes": self.processes,
            "profiled_run_ms": self.profiled_run_ms,
            "unprofiled_run_ms": self.unprofiled_run_ms,
            "call_ms": self.call_ms,
            "node_cost_ms": self.node_cost_ms,
            "scale": self.scale,
            "step_ms": self.step_ms,
            "condition": None if self.condition is None else self.condition.to_json(),
            "facts": dict(self.facts),
            "notes": list(self.notes),
            "origin": self.origin,
            "nodes_ms": self.nodes_ms,
            "kernel_ms": self.kernel_ms,
            "layout_ms": self.layout_ms,
            "residual_ms": self.residual_ms,
            "overhead_share": self.overhead_share,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote.

        Raises:
            ArtefactError: It is of another schema, or fields are missing or unknown.
        """
        if data.get("kind") != "profile" or data.get("schema") != SCHEMA:
            raise ArtefactError(
                f"A profile of schema {SCHEMA} was expected; found kind {data.get('kind')!r}, "
                f"schema {data.get('schema')!r}."
            )
        try:
            plain = {name: data[name] for name in _STORED}
            nodes = tuple(
                ProfiledNode.from_json({k: v for k, v in node.items() if k != "share"})
                for node in plain.pop("nodes")
            )
            condition = plain.pop("condition")
            return cls(
                nodes=nodes,
                condition=None if condition is None else Condition.from_json(condition),
                notes=tuple(plain.pop("notes")),
                **plain,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(f"Not a whole profile: {error!r}.") from error


_STORED = (
    "nodes",
    "runs",
    "processes",
    "profiled_run_ms",
    "unprofiled_run_ms",
    "call_ms",
    "node_cost_ms",
    "scale",
    "step_ms",
    "condition",
    "facts",
    "notes",
    "origin",
)
