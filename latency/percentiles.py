"""How many samples a percentile needs."""

from __future__ import annotations

from ..core.errors import ConfigError


def percentile_needs(percent: float) -> int:
    """Least number of samples for a percentile, by the rule of MLPerf's load generator.

    The least n at which at most one excess among n has a chance under 1 % if the true share above
    were 1 - p: p^n + n (1 - p) p^(n - 1) <= 0.01. That is 11 for the median, 64 for p90, 662 for
    p99.

    Raises:
        ConfigError: `percent` is not between 0 and 100.
    """
    if not 0 < percent < 100:
        raise ConfigError(f"A percentile lies between 0 and 100, found {percent}.")
    p = max(percent, 100 - percent) / 100
    low, high = 1, 2
    while not _is_enough(p, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(p, middle) else (middle, high)
    return high


def _is_enough(p: float, n: int) -> bool:
    return p**n + n * (1 - p) * p ** (n - 1) <= 0.01
