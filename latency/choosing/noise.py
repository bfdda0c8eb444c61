"""How sure a measurement is, and how much surer more launches would make it.

The logarithm of what is found of an operator differs from its latency by what the launches of one
stretch of time share, which more of them do not lessen, and by the mean of what each launch has
of its own.
"""

from __future__ import annotations

from ..entry import Entry

_SHARED = 0.02
# A deviation seen among few launches is itself unsure: it counts together with so many degrees of
# freedom of a typical one (launches scatter by about 2 %, docs/measuring.md).
_TYPICAL, _TYPICAL_DEGREES = 0.02, 2
_SURE = 0.01


def noise_variance(entry: Entry | None = None) -> float:
    """Variance of the logarithm of what measuring an operator finds; of one to come without."""
    return _SHARED**2 + (0.0 if entry is None else _scatter(entry) / entry.count)


def repeat_variance(entry: Entry, launches: int) -> float:
    """Variance of the one observation that is worth as much as `launches` more of `entry`.

    Precisions of independent observations add up: one of this variance beside one of
    `noise_variance(entry)` is one of as many launches as both have.
    """
    before = noise_variance(entry)
    after = _SHARED**2 + _scatter(entry) / (entry.count + launches)
    return 1 / (1 / after - 1 / before)


def is_noisy(entry: Entry) -> bool:
    """Whether the mean of its launches is unsure by more than 1 %."""
    return _scatter(entry) / entry.count > _SURE**2


def _scatter(entry: Entry) -> float:
    """Variance of the logarithm of one launch."""
    seen = (entry.count - 1) * (entry.std_ms / entry.mean_ms) ** 2
    degrees = entry.count - 1 + _TYPICAL_DEGREES
    return (seen + _TYPICAL_DEGREES * _TYPICAL**2) / degrees
