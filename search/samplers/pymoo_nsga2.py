"""pymoo's NSGA-II."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

from pydantic import Field

from ...core.config import Settings, parse
from ...core.seeding import spawn
from . import samplers
from .base import Domain, Sampler, Sampling
from .peer import PeerSampling, missing, require
from .pymoo_peer import PACKAGE, PymooPeer, breeding

_SEEDS = 2**32


class PymooNsga2Settings(Settings):
    """Of `pymoo.algorithms.moo.nsga2.NSGA2`; at most a quarter of the queries live."""

    population: int = Field(default=20, ge=2)


@final
@samplers.register("pymoo-nsga2")
@dataclass(frozen=True)
class PymooNsga2(Sampler):
    """pymoo's NSGA-II (Deb et al. 2002) on the value and the costs, within the bounds, a peer."""

    settings: PymooNsga2Settings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        return cls(parse(PymooNsga2Settings, dict(settings), source))

    @classmethod
    def unavailable_reason(cls) -> str | None:
        return missing(PACKAGE)

    def describe(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    def start(self, domain: Domain, seed: int, queries: int) -> Sampling:
        require(PACKAGE)
        from pymoo.algorithms.moo.nsga2 import NSGA2

        algorithm = NSGA2(**breeding(self.settings.population, queries))
        peer = PymooPeer(algorithm, domain, spawn(seed, "nsga2") % _SEEDS, has_costs=True)
        return PeerSampling(peer, domain, seed)
