"""pymoo's genetic algorithm."""

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


class PymooGaSettings(Settings):
    """Of `pymoo.algorithms.soo.nonconvex.ga.GA`; at most a quarter of the queries live."""

    population: int = Field(default=20, ge=2)


@final
@samplers.register("pymoo-ga")
@dataclass(frozen=True)
class PymooGa(Sampler):
    """pymoo's genetic algorithm on the value alone, with the bounds as constraints, a peer."""

    settings: PymooGaSettings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], source: str) -> Self:
        return cls(parse(PymooGaSettings, dict(settings), source))

    @classmethod
    def unavailable_reason(cls) -> str | None:
        return missing(PACKAGE)

    def describe(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    def start(self, domain: Domain, seed: int, queries: int) -> Sampling:
        require(PACKAGE)
        from pymoo.algorithms.soo.nonconvex.ga import GA

        algorithm = GA(**breeding(self.settings.population, queries))
        peer = PymooPeer(algorithm, domain, spawn(seed, "ga") % _SEEDS, has_costs=False)
        return PeerSampling(peer, domain, seed)
