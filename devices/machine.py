"""What a card says of the machine itself: published facts, and what it told when asked."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from ..core.config import Settings

Scalar = str | int | float


class CardFact(Settings):
    """A fact that somebody published.

    Attributes:
        of: The known machine that it is of: a server has facts of its processor and of its GPU.
        name: What the value is; a unit ends it: `memory_bandwidth_gb_s`.
        source: Who says so, and `url`: where.
    """

    of: str = Field(min_length=1)
    name: str = Field(min_length=1)
    value: Scalar
    source: str = Field(min_length=1)
    url: str = Field(pattern=r"^https://[^\x00-\x20\x7f]+$")


class MachineSection(Settings):
    """The section `machine` of a card; it decides nothing, and is kept for people and reports.

    Attributes:
        known: Ids of the catalogue (`elat devices known`) that the machine was recognised as.
        verified: When somebody compared the facts with a real machine.
        told: What the machine answered when the card was written.
        facts: What is published of the known machines.
    """

    known: tuple[str, ...] = ()
    verified: Literal["never"] | date = "never"
    told: dict[str, Scalar] = Field(default_factory=dict)
    facts: tuple[CardFact, ...] = ()
