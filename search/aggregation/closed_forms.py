"""What links and shortest paths are by formula, to hold built networks against."""

from __future__ import annotations


def plain_links(layers: int) -> int:
    """N: one a layer."""
    return layers


def dense_links(layers: int) -> int:
    """N (N + 1) / 2 (Huang et al. 2017, section 1, with the input counted as an output)."""
    return layers * (layers + 1) // 2


def residual_skips(layers: int) -> int:
    """N: the additions of a running sum, by which N residual layers aggregate all before them.

    The same function read as an aggregation has `dense_links` (He et al. 2016, section 3.2).
    """
    return layers


def exponential_links(layers: int, base: int) -> int:
    """The sum over `l` = 1 ... N of `floor(log_c l) + 1`, in integers.

    The lecture's and the paper's log_c N! (Zhu et al. 2018) is its lower estimate.
    """
    # Offset c^k is there for the N - c^k + 1 layers from c^k on.
    total, offset = 0, 1
    while offset <= layers:
        total += layers - offset + 1
        offset *= base
    return total


def exponential_path(distance: int, base: int) -> int:
    """The fewest links over `distance` layers: the sum of its digits in base c.

    A path is a sum of powers of the base; fewest summands, as coins of these values need.
    """
    digits = 0
    while distance:
        distance, digit = divmod(distance, base)
        digits += digit
    return digits


def longest_exponential_path(layers: int, base: int) -> int:
    """The greatest digit sum of the distances 1 to N in base c."""
    return max(exponential_path(distance, base) for distance in range(1, layers + 1))


def mean_exponential_path(layers: int, base: int) -> float:
    """The mean digit sum over all pairs: distance `d` is between N + 1 - d of them."""
    weighted = (
        (layers + 1 - distance) * exponential_path(distance, base)
        for distance in range(1, layers + 1)
    )
    return sum(weighted) / dense_links(layers)


def exponential_path_bound(layers: int, base: int) -> int:
    """(c - 1) ceil(log_c (N + 1)): no path is longer (Zhu et al. 2018)."""
    digits, reach = 0, 1
    while reach < layers + 1:
        reach *= base
        digits += 1
    return (base - 1) * digits
