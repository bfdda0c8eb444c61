"""Whether each network is the fastest on the device it was searched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..search.result import MeasuredLatency
from .networks import Network


@dataclass(frozen=True)
class Comparison:
    """A network against a rival on the network's own device; both measured there."""

    device: str
    own: Network
    rival: Network
    own_latency: MeasuredLatency
    rival_latency: MeasuredLatency

    @property
    def saving(self) -> float:
        """Share of the rival's latency that the own network saves; negative where it loses."""
        return 1 - self.own_latency.latency_ms / self.rival_latency.latency_ms

    @property
    def is_significant(self) -> bool:
        """Whether the two confidence intervals have no point in common."""
        own, rival = self.own_latency, self.rival_latency
        return own.high_ms < rival.low_ms or rival.high_ms < own.low_ms

    @property
    def is_reversal(self) -> bool:
        """Whether the rival is significantly faster on the own network's device."""
        return self.rival_latency.high_ms < self.own_latency.low_ms

    def __str__(self) -> str:
        own, rival = self.own_latency.latency_ms, self.rival_latency.latency_ms
        word = "less" if self.saving >= 0 else "more"
        verdict = (
            f"the {_percent(self.own_latency.level)} intervals are disjoint: significant"
            if self.is_significant
            else f"the {_percent(self.own_latency.level)} intervals overlap: not significant"
        )
        return (
            f"On {self.device} the network {self.own.label} takes {abs(self.saving):.1%} {word} "
            f"time than the network {self.rival.label} "
            f"({own:.4g} ms against {rival:.4g} ms); {verdict}."
        )


def compare(rows: Sequence[Network]) -> tuple[Comparison, ...]:
    """Every network against those of its space that were searched for something else.

    Only pairs of which both are measured on the first network's own device.
    """
    found = []
    for own in rows:
        mine = own.on(own.target) if own.is_for_device else None
        if mine is None:
            continue
        for rival in rows:
            theirs = rival.on(own.target)
            if rival.target != own.target and rival.space == own.space and theirs is not None:
                found.append(Comparison(own.target, own, rival, mine, theirs))
    return tuple(found)


def check_specialisation(rows: Sequence[Network]) -> list[str]:
    """What contradicts that each network is the fastest on the device it was searched for.

    A reversal is a problem where the intervals are disjoint; where they overlap it is noise.
    A network that was not measured on its own device is a problem too: nothing is shown of it.
    """
    problems = [
        f"The network {row.label} was not measured on {row.target}; measure it with: elat verify."
        for row in rows
        if row.is_for_device and row.on(row.target) is None
    ]
    problems += [
        f"On {found.device} the network {found.rival.label} is significantly faster "
        f"({found.rival_latency.latency_ms:.4g} ms, at most {found.rival_latency.high_ms:.4g} ms) "
        f"than the network searched for it ({found.own_latency.latency_ms:.4g} ms, "
        f"at least {found.own_latency.low_ms:.4g} ms)."
        for found in compare(rows)
        if found.is_reversal
    ]
    return problems


def _percent(level: float) -> str:
    return f"{100 * level:g}%"
