"""What a topology costs and how gradients flow in it: counted in a network, and by formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ...core.errors import ConfigError, UnknownNameError
from ...latency.operators import Operator
from ...latency.operators.add import Add
from ...latency.operators.aggregate import How
from ...latency.operators.concat import Concat
from ...latency.operators.dag import Dag
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.sum import Sum
from . import closed_forms
from .layers import Layer, window
from .network import Stage, Stem
from .reading import aggregated_layers, flatten
from .topology import Topology

_IMAGE = 3
_KERNEL = 9
_FP32_BYTES = 4
MOST_LAYERS = 1024


class Family(StrEnum):
    """What layers aggregate."""

    PLAIN = "plain"
    RESIDUAL = "residual"
    DENSE = "dense"
    SPARSE = "sparse"


@dataclass(frozen=True)
class Wiring:
    """A family with its sizes.

    Args:
        layers: Each is batch norm, ReLU and a 3x3 convolution; 1 to 1024.
        base: Of the sparse offsets, the paper's c; of no account to the others.
        width: Channels of every output.
        how: None for the family's own: sums for residual, concatenation for dense and sparse.
        resolution: Side of the square image, in pixels.
    """

    family: Family
    layers: int = 64
    base: int = 2
    width: int = 16
    how: How | None = None
    resolution: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= MOST_LAYERS:
            raise ConfigError(f"Give 1 to {MOST_LAYERS} layers, found {self.layers}.")
        if self.width < 1 or self.resolution < 1:
            raise ConfigError(
                f"Width and resolution must be at least 1, found {self.width} and "
                f"{self.resolution}."
            )
        if self.family is Family.RESIDUAL and self.how is How.CONCAT:
            raise ConfigError(
                "A residual network adds; with concatenation it is dense: elat topology dense."
            )
        _ = self.topology(1)

    @property
    def joins(self) -> How:
        """How outputs are joined."""
        own = How.CONCAT if self.family in (Family.DENSE, Family.SPARSE) else How.SUM
        return own if self.how is None else self.how

    @property
    def name(self) -> str:
        """The family; with how it joins where that is open, and a base other than 2."""
        if self.family in (Family.PLAIN, Family.RESIDUAL):
            return self.family.value
        base = f" base {self.base}" if self.family is Family.SPARSE and self.base != 2 else ""
        return f"{self.family}{base} ({self.joins})"

    def topology(self, layers: int) -> Topology:
        """What so many layers of the family read."""
        match self.family:
            case Family.PLAIN:
                return Topology.plain(layers)
            case Family.RESIDUAL:
                return Topology.residual(layers)
            case Family.DENSE:
                return Topology.dense(layers)
            case Family.SPARSE:
                return Topology.exponential(layers, self.base)

    def network(self) -> Dag:
        """A bare 3x3 stem, the layers, and a pool of what the family's next layer would read.

        Residual layers keep a running sum; the other families' sums are added up anew.
        """
        convs = window(self.width)
        layer = Layer(inner=convs) if self.joins is How.SUM else Layer(outer=convs)
        runs = self.family is Family.RESIDUAL
        stage = Stage(self.topology(self.layers + 1), layer, runs=runs)
        builder = DagBuilder((_IMAGE, self.resolution, self.resolution))
        value = stage.add(builder, Stem(self.width).add(builder))
        builder.add(GlobalPool(*builder.shape(value)[:2]), value)
        return builder.finish()


@dataclass(frozen=True)
class Check:
    """One quantity counted in the built network, and by a closed form."""

    quantity: str
    found: float
    expected: float
    formula: str

    @property
    def agrees(self) -> bool:
        """Whether both are the same; means, to rounding."""
        return abs(self.found - self.expected) <= 1e-9 * abs(self.expected)


@dataclass(frozen=True)
class Analysis:
    """A built network's aggregation and costs.

    Attributes:
        topology: As read from its operators: a sum or copy reads all that went into it.
        parameters: Trainable ones.
        macs: Multiply-adds of one image.
        traffic_bytes: What its operators read and write for one image in float32 if nothing stays
            in a cache, weights too.
        join_traffic_bytes: Of that, sums and concatenations.
        additions: Of two tensors each.
        copies: Tensors copied into concatenations.
    """

    name: str
    resolution: int
    topology: Topology
    parameters: int
    macs: int
    traffic_bytes: int
    join_traffic_bytes: int
    additions: int
    copies: int
    checks: tuple[Check, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every closed form gives what was counted."""
        return all(check.agrees for check in self.checks)


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownNameError: There is none.
    """
    known = [family.value for family in Family]
    if name not in known:
        repair = "Or name a network of: elat zoo."
        raise UnknownNameError("topology", name, known, repair)
    return Family(name)


def how_named(name: str) -> How:
    """How outputs are joined, by name.

    Raises:
        UnknownNameError: In no way of that name.
    """
    known = [how.value for how in How]
    if name not in known:
        raise UnknownNameError("way of joining", name, known)
    return How(name)


def analyse(name: str, network: Operator) -> Analysis:
    """What is counted in a built network.

    Args:
        name: To print.
        network: Of one image; chains and graphs are looked into.
    """
    operators = flatten(network).operators
    joins = [part for part in operators if isinstance(part, Add | Sum | Concat)]
    copied = [part for part in joins if isinstance(part, Concat)]
    added = [part for part in joins if not isinstance(part, Concat)]
    return Analysis(
        name=name,
        resolution=network.input_shapes[0][1],
        topology=aggregated_layers(network),
        parameters=network.params,
        macs=network.macs,
        traffic_bytes=_FP32_BYTES * network.traffic_elements,
        join_traffic_bytes=_FP32_BYTES * sum(part.traffic_elements for part in joins),
        additions=sum(len(part.input_shapes) - 1 for part in added),
        copies=sum(len(part.channels) for part in copied),
    )


def analyse_wiring(wiring: Wiring) -> Analysis:
    """What is counted in the network of a family, beside its closed forms."""
    found = analyse(wiring.name, wiring.network())
    return replace(found, checks=_checks(wiring, found))


def expected_links(wiring: Wiring) -> int:
    """By closed form; of residual networks, those of the aggregation that the sum is."""
    n = wiring.layers
    match wiring.family:
        case Family.PLAIN:
            return closed_forms.plain_links(n)
        case Family.RESIDUAL | Family.DENSE:
            return closed_forms.dense_links(n)
        case Family.SPARSE:
            return closed_forms.exponential_links(n, wiring.base)


def expected_longest_path(wiring: Wiring) -> int:
    """The longest shortest gradient path by closed form, in links."""
    match wiring.family:
        case Family.PLAIN:
            return wiring.layers
        case Family.RESIDUAL | Family.DENSE:
            return 1
        case Family.SPARSE:
            return closed_forms.longest_exponential_path(wiring.layers, wiring.base)


def expected_parameters(wiring: Wiring) -> int:
    """By closed form: a 3x3 for each link where outputs are concatenated, else for each layer."""
    per_input = _KERNEL * wiring.width**2 + 2 * wiring.width
    return _KERNEL * _IMAGE * wiring.width + per_input * _inputs(wiring)


def expected_aggregated(wiring: Wiring) -> int:
    """How many outputs the last layer reads, by closed form."""
    n = wiring.layers
    match wiring.family:
        case Family.PLAIN:
            return 1
        case Family.RESIDUAL | Family.DENSE:
            return n
        case Family.SPARSE:
            return expected_links(wiring) - closed_forms.exponential_links(n - 1, wiring.base)


def _inputs(wiring: Wiring) -> int:
    """Tensors of one width that the convolutions read."""
    return expected_links(wiring) if wiring.joins is How.CONCAT else wiring.layers


def _expected_mean_path(wiring: Wiring) -> float:
    match wiring.family:
        case Family.PLAIN:
            return (wiring.layers + 2) / 3
        case Family.RESIDUAL | Family.DENSE:
            return 1.0
        case Family.SPARSE:
            return closed_forms.mean_exponential_path(wiring.layers, wiring.base)


_LINKS = {
    Family.PLAIN: "N",
    Family.RESIDUAL: "N (N + 1) / 2",
    Family.DENSE: "N (N + 1) / 2",
    Family.SPARSE: "sum of floor(log_c l) + 1",
}
_LONGEST = {
    Family.PLAIN: "N",
    Family.RESIDUAL: "1",
    Family.DENSE: "1",
    Family.SPARSE: "greatest digit sum of 1 ... N in base c",
}
_MEAN = {
    Family.PLAIN: "(N + 2) / 3",
    Family.RESIDUAL: "1",
    Family.DENSE: "1",
    Family.SPARSE: "mean digit sum over pairs",
}
_LAST = {
    Family.PLAIN: "1",
    Family.RESIDUAL: "N",
    Family.DENSE: "N",
    Family.SPARSE: "floor(log_c N) + 1",
}


def _checks(wiring: Wiring, found: Analysis) -> tuple[Check, ...]:
    family, topology, width = wiring.family, found.topology, wiring.width
    each = "links" if wiring.joins is How.CONCAT else "N"
    pixels = wiring.resolution**2
    macs = pixels * _KERNEL * width * (_IMAGE + width * _inputs(wiring))
    checks = [
        Check("links", topology.links, expected_links(wiring), _LINKS[family]),
        Check(
            "longest shortest path",
            topology.longest_shortest_path,
            expected_longest_path(wiring),
            _LONGEST[family],
        ),
        Check(
            "mean shortest path",
            topology.mean_shortest_path,
            _expected_mean_path(wiring),
            _MEAN[family],
        ),
        Check(
            "aggregated by the last layer",
            topology.aggregated[-1],
            expected_aggregated(wiring),
            _LAST[family],
        ),
        Check(
            "parameters",
            found.parameters,
            expected_parameters(wiring),
            f"27 k + {each} (9 k^2 + 2 k)",
        ),
        Check("multiply-adds", found.macs, macs, f"9 k r^2 (3 + k {each})"),
    ]
    if family is Family.RESIDUAL:
        skips = closed_forms.residual_skips(wiring.layers)
        checks.append(Check("additions", found.additions, skips, "N"))
    return tuple(checks)
