"""A phone or board by what its own tools print: its state of the moment, identity, readiness.

Each is asked in one round trip, by a shell program that never changes (`programs.py`).
"""

from __future__ import annotations

from .examination import examine_phone
from .identity import identify
from .readiness import refusals, wait_until_ready
from .state import PhoneState, read_phone

__all__ = [
    "PhoneState", "examine_phone", "identify", "read_phone", "refusals", "wait_until_ready",
]  # fmt: skip
