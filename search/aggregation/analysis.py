"""What closed forms give for a family of networks, beside what was counted."""

from __future__ import annotations

from dataclasses import dataclass

from ...latency.operators.aggregate import How
from . import closed_forms
from .counting import Counted, count
from .network import IMAGE_CHANNELS
from .wiring import Family, Wiring

_KERNEL = 9


@dataclass(frozen=True)
class Check:
    """One quantity counted in the built network, and by a closed form."""

    quantity: str
    found: float
    expected: float
    formula: str

    @property
    def agrees(self) -> bool:
        """Whether both are the same; means, to rounding."""
        return abs(self.found - self.expected) <= 1e-9 * abs(self.expected)


def expected_links(wiring: Wiring) -> int:
    """By closed form; of residual networks, those of the aggregation that the sum is."""
    n = wiring.layers
    match wiring.family:
        case Family.PLAIN:
            return closed_forms.plain_links(n)
        case Family.RESIDUAL | Family.DENSE:
            return closed_forms.dense_links(n)
        case Family.SPARSE:
            return closed_forms.exponential_links(n, wiring.base)


def expected_longest_path(wiring: Wiring) -> int:
    """The longest shortest gradient path by closed form, in links."""
    match wiring.family:
        case Family.PLAIN:
            return wiring.layers
        case Family.RESIDUAL | Family.DENSE:
            return 1
        case Family.SPARSE:
            return closed_forms.longest_exponential_path(wiring.layers, wiring.base)


def expected_parameters(wiring: Wiring) -> int:
    """By closed form: a 3x3 for each link where outputs are concatenated, else for each layer."""
    per_input = _KERNEL * wiring.width**2 + 2 * wiring.width
    return _KERNEL * IMAGE_CHANNELS * wiring.width + per_input * _inputs(wiring)


def expected_aggregated(wiring: Wiring) -> int:
    """How many outputs the last layer reads, by closed form."""
    n = wiring.layers
    match wiring.family:
        case Family.PLAIN:
            return 1
        case Family.RESIDUAL | Family.DENSE:
            return n
        case Family.SPARSE:
            return expected_links(wiring) - closed_forms.exponential_links(n - 1, wiring.base)


def _inputs(wiring: Wiring) -> int:
    """Tensors of one width that the convolutions read."""
    return expected_links(wiring) if wiring.joins is How.CONCAT else wiring.layers


def expected_mean_path(wiring: Wiring) -> float:
    """The mean shortest gradient path over all pairs by closed form, in links."""
    match wiring.family:
        case Family.PLAIN:
            return (wiring.layers + 2) / 3
        case Family.RESIDUAL | Family.DENSE:
            return 1.0
        case Family.SPARSE:
            return closed_forms.mean_exponential_path(wiring.layers, wiring.base)


_LINKS = {
    Family.PLAIN: "N",
    Family.RESIDUAL: "N (N + 1) / 2",
    Family.DENSE: "N (N + 1) / 2",
    Family.SPARSE: "sum of floor(log_c l) + 1",
}
_LONGEST = {
    Family.PLAIN: "N",
    Family.RESIDUAL: "1",
    Family.DENSE: "1",
    Family.SPARSE: "greatest digit sum of 1 ... N in base c",
}
_MEAN = {
    Family.PLAIN: "(N + 2) / 3",
    Family.RESIDUAL: "1",
    Family.DENSE: "1",
    Family.SPARSE: "mean digit sum over pairs",
}
_LAST = {
    Family.PLAIN: "1",
    Family.RESIDUAL: "N",
    Family.DENSE: "N",
    Family.SPARSE: "floor(log_c N) + 1",
}


def expected_macs(wiring: Wiring) -> int:
    """By closed form: those of the stem, and of a 3x3 as in `expected_parameters`."""
    k = wiring.width
    return wiring.resolution**2 * _KERNEL * k * (IMAGE_CHANNELS + k * _inputs(wiring))


def checks(wiring: Wiring, found: Counted) -> tuple[Check, ...]:
    """Every quantity with its closed form."""
    family, topology = wiring.family, found.topology
    each = "links" if wiring.joins is How.CONCAT else "N"
    numbers: list[tuple[str, float, float, str]] = [
        ("links", topology.links, expected_links(wiring), _LINKS[family]),
        (
            "longest shortest path",
            topology.longest_shortest_path,
            expected_longest_path(wiring),
            _LONGEST[family],
        ),
        (
            "mean shortest path",
            topology.mean_shortest_path,
            expected_mean_path(wiring),
            _MEAN[family],
        ),
        (
            "aggregated by the last layer",
            topology.aggregated[-1],
            expected_aggregated(wiring),
            _LAST[family],
        ),
        (
            "parameters",
            found.parameters,
            expected_parameters(wiring),
            f"27 k + {each} (9 k^2 + 2 k)",
        ),
        ("multiply-adds", found.macs, expected_macs(wiring), f"9 k r^2 (3 + k {each})"),
    ]
    if family is Family.RESIDUAL:
        skips = closed_forms.residual_skips(wiring.layers)
        numbers.append(("additions", found.additions, skips, "N"))
    return tuple(Check(*each) for each in numbers)


@dataclass(frozen=True)
class Analysis:
    """What was counted in a network, beside its closed forms; none where there are none."""

    counted: Counted
    checks: tuple[Check, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every closed form gives what was counted."""
        return all(check.agrees for check in self.checks)


def analyse(wiring: Wiring) -> Analysis:
    """What is counted in the network of a family, beside its closed forms."""
    counted = count(wiring.name, wiring.network())
    return Analysis(counted, checks(wiring, counted))
