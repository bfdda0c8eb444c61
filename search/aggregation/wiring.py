"""Families of topologies as networks: plain, residual, dense and sparse, with their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ...core.errors import ConfigError, UnknownNameError
from ...latency.operators.aggregate import How
from ...latency.operators.dag import Dag
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.global_pool import GlobalPool
from .layers import Layer, window
from .network import IMAGE_CHANNELS, Stage, Stem
from .topology import Topology

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
        builder = DagBuilder((IMAGE_CHANNELS, self.resolution, self.resolution))
        value = stage.add(builder, Stem(self.width).add(builder))
        builder.add(GlobalPool(*builder.shape(value)[:2]), value)
        return builder.finish()


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
