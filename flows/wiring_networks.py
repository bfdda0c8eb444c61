"""The networks that a study of wirings compares: by rules, and beside them what was learnt."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InfeasibleError
from ..core.seeding import numpy_generator
from ..latency.operators import Operator
from ..reports.wirings import Wiring
from ..search.architecture import Architecture
from ..search.result import MeasuredLatency
from ..search.spaces.aggregation import AggregationSpace
from ..search.spaces.wirings import dense, exponential, shuffled
from .measured_latency import measured_latency
from .measuring import Campaign
from .wiring_settings import WiringSettings, of_growth


@dataclass(frozen=True)
class Network:
    """One network of the study; `scale` is the growth of the sparse one it is compared with."""

    wiring: Wiring
    scale: int
    growth: int
    seed: int
    architecture: Architecture

    @property
    def name(self) -> str:
        """Of its training: wiring, scale, its own growth where it differs, and seed."""
        word = self.wiring.replace(", same ", "-").replace(" ", "-")
        width = "" if self.growth == self.scale else f"-width{self.growth}"
        return f"{word}-g{self.scale}{width}-seed{self.seed}"


class Rules:
    """What the rules of a study wire, in spaces that are each made once.

    Args:
        settings: Of the study.
    """

    def __init__(self, settings: WiringSettings) -> None:
        self._settings = settings
        self._spaces: dict[int, AggregationSpace] = {}

    def space(self, growth: int) -> AggregationSpace:
        """The study's space at `growth` channels a layer."""
        if growth not in self._spaces:
            self._spaces[growth] = of_growth(self._settings.space, growth)
        return self._spaces[growth]

    def operator(self, network: Network) -> Operator:
        """`network` as one operator, to measure."""
        return self.space(network.growth).network(network.architecture)

    def sparse(self, growth: int) -> Architecture:
        """The links of the exponential rule."""
        return exponential(self.space(growth), self._settings.base)

    def sparse_params(self, scale: int) -> int:
        """Parameters of the sparse network, which bound all others of `scale`."""
        return self.space(scale).network(self.sparse(scale)).params

    def reference(self, campaign: Campaign, scale: int) -> MeasuredLatency:
        """What was measured of the sparse network; its upper limit bounds all others of `scale`.

        Raises:
            MeasurementError: Nothing was.
        """
        return measured_latency(campaign, self.space(scale), self.sparse(scale))

    def dense_growths(self, campaign: Campaign, scale: int) -> tuple[int, int]:
        """The greatest widths at which the dense network is as fast, and as small, as the sparse.

        Raises:
            InfeasibleError: The narrowest is slower, or greater.
            MeasurementError: One of the networks was not measured.
        """
        limit = self.reference(campaign, scale).high_ms
        fast, small = [], []
        for growth in self._settings.widths:
            space = self.space(growth)
            architecture = dense(space)
            if measured_latency(campaign, space, architecture).high_ms <= limit:
                fast.append(growth)
            if space.network(architecture).params <= self.sparse_params(scale):
                small.append(growth)
        if not fast or not small:
            raise InfeasibleError(
                f"The narrowest dense network measured, of growth {self._settings.widths[0]}, is "
                f"slower or greater than the sparse one of growth {scale}; lower dense_growths."
            )
        return max(fast), max(small)

    def compared(
        self, scale: int, seed: int, widths: tuple[int, int], learned: Architecture
    ) -> tuple[Network, ...]:
        """All networks of one scale and seed.

        Args:
            scale: Growth of the sparse network.
            seed: Of shuffled links, of the search and of trainings.
            widths: As `dense_growths` has them.
            learned: What the search found and the device confirmed.
        """
        fast, small = widths
        return (
            Network(Wiring.SPARSE, scale, scale, seed, self.sparse(scale)),
            Network(Wiring.SHUFFLED, scale, scale, seed, self._shuffled(scale, seed)),
            Network(Wiring.LEARNED, scale, scale, seed, learned),
            Network(Wiring.DENSE_LATENCY, scale, fast, seed, dense(self.space(fast))),
            Network(Wiring.DENSE_PARAMS, scale, small, seed, dense(self.space(small))),
        )

    def _shuffled(self, scale: int, seed: int) -> Architecture:
        random = numpy_generator(seed, "shuffled", scale)
        return shuffled(self.space(scale), self.sparse(scale), random)
