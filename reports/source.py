"""Where a printed number comes from: its origin and the condition it was taken under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import ArtefactError
from ..latency.condition import Condition

SIMULATED = "simulated"


@dataclass(frozen=True)
class Source:
    """The origin of a number (`measured`, `imported` or `simulated`), its device and condition."""

    origin: str
    device: str
    condition: Condition | None

    @classmethod
    def of(cls, origin: str, condition: Mapping[str, Any]) -> Source:
        """The source that a record's `origin` and `condition` objects describe.

        Raises:
            ArtefactError: The condition lacks a key or has one that this version does not know.
        """
        try:
            found = Condition.from_json(dict(condition))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(
                f"A record's measuring condition is not readable ({error}); "
                "make the record again with this version of elat."
            ) from error
        return cls(origin, found.device, found)

    @property
    def is_simulated(self) -> bool:
        return self.origin == SIMULATED

    @property
    def setting(self) -> str:
        """Runtime, precision, batch and threads, without the origin and the device."""
        here = self.condition
        if here is None:
            return "condition not recorded"
        threads = f"{here.threads} thread{'s' * (here.threads > 1)}"
        return f"{here.engine}, {here.precision}, batch {here.batch}, {threads}"

    def __str__(self) -> str:
        return f"{self.origin} on {self.device}: {self.setting}"


def distinct(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Each source once; two that differ only in how operators were isolated count as one."""
    found = {str(source): source for source in sources}
    return tuple(found[text] for text in sorted(found))


def has_simulated(sources: Iterable[Source]) -> bool:
    """Whether any of the numbers was simulated, so that the reader must be told."""
    return any(source.is_simulated for source in sources)
