"""Flags of what a vendor's program told, which other launches do not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .flags import Flag

if TYPE_CHECKING:
    from .measurement import Measurement


def _is_partly_delegated(m: Measurement) -> bool:
    """A delegate left a part of the model, or all of it, to others; or nobody knows."""
    found = [one for state in _states(m) for one in state.get("delegation", ())]
    shares = [one.get("share") for one in found if isinstance(one, Mapping)]
    return any(share in ("partial", "none", "untold") for share in shares)


def _is_mean_only(m: Measurement) -> bool:
    """The program prints means alone, which a single disturbance moves."""
    return any(state.get("statistic") == "mean" for state in _states(m))


def _states(m: Measurement) -> tuple[Mapping[str, Any], ...]:
    """What the first launch and the last one told."""
    return m.state_before, m.state_after


TOOL_TESTS: Mapping[Flag, Callable[[Measurement], bool]] = {
    Flag.PARTIAL_DELEGATION: _is_partly_delegated,
    Flag.MEAN_ONLY: _is_mean_only,
}
