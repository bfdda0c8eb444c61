"""What a table is held against, besides itself."""

from __future__ import annotations

from dataclasses import dataclass

from ..operators import Operator
from .view import View


@dataclass(frozen=True)
class Peaks:
    """What the device can do at most, measured or by its data sheet.

    Attributes:
        macs_per_ms: Multiply-adds a millisecond.
        bytes_per_ms: Bytes that memory moves a millisecond.
    """

    macs_per_ms: float
    bytes_per_ms: float


@dataclass(frozen=True)
class Context:
    """What the user names beside the file.

    Attributes:
        required: What the table must hold an entry for; `required_by` says who asks.
        against: Other tables, for rows that were copied from them; `against_name` is their file.
        peaks: What the device can do.
    """

    required: tuple[Operator, ...] = ()
    required_by: str = ""
    against: tuple[View, ...] = ()
    against_name: str = ""
    peaks: Peaks | None = None
