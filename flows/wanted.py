"""What a campaign is to measure, said so that any process can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..latency.measure import Progress
from ..latency.methods import METHODS, Subjects
from ..latency.operators.generate import generate
from ..search.spaces import find_space
from .measuring import Campaign, evidence_of, measure_operators, measure_space, space_table


@dataclass(frozen=True)
class Wanted:
    """What a campaign measures: every operator of a space, or some of random configuration.

    Attributes:
        space: The space's name, or its YAML file; None for random ones.
        generate: How many random ones.
        kinds: Of which kinds these are; none for all.
    """

    space: str | None
    generate: int = 0
    kinds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in progress bars."""
        return f"{self.generate} operators" if self.space is None else find_space(self.space).name

    def measure(self, campaign: Campaign) -> Iterator[Progress]:
        """Measure it; resumes by itself."""
        if self.space is not None:
            yield from measure_space(campaign, find_space(self.space))
        else:
            yield from measure_operators(campaign, self._generated(campaign))

    def known(self, campaign: Campaign) -> int:
        """How many of its operators have a latency now.

        Raises:
            MissingOperatorError: One of a space has none.
        """
        if self.space is not None:
            return len(space_table(campaign.store, campaign.device, find_space(self.space)))
        subjects = self._generated(campaign)
        evidence = evidence_of(campaign.store, campaign.condition, subjects)
        return len(METHODS[campaign.condition.method].latencies(subjects, evidence).entries)

    def _generated(self, campaign: Campaign) -> Subjects:
        return Subjects(generate(self.generate, campaign.seed, self.kinds))
