"""A made-up comparison of methods. Nothing was measured."""

from __future__ import annotations

from elat.latency.condition import Condition, Method, Precision
from elat.latency.methods import METHODS
from elat.reports.method_comparison import MethodComparison, MethodMark, WholeNetwork
from elat.reports.source import Source

BIASES = {
    Method.BLOCK: 1.28,
    Method.KERNEL: 0.95,
    Method.ISOLATED: 1.8,
    Method.SLOPE: 1.05,
    Method.IN_SITU: 0.97,
    Method.SAMPLED: 1.01,
}


def made_up_comparison(device: str = "one", networks: int = 8) -> MethodComparison:
    """Every method off by its own factor; `slope` knows no latency of one operator."""
    condition = Condition(device, "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
    wholes = tuple(
        WholeNetwork((i, 0), 1000 + i, 1.0 + 0.1 * i, 0.98 + 0.1 * i, 1.02 + 0.1 * i)
        for i in range(networks)
    )
    marks = tuple(_mark(method, wholes) for method in METHODS)
    return MethodComparison(
        Source("simulated", device, condition), "two-blocks", "screen", wholes, marks, 0.0061
    )


def _mark(method: Method, networks: tuple[WholeNetwork, ...]) -> MethodMark:
    sums: list[float | None] = [
        BIASES[method] * network.measured_ms * (1 + 0.01 * (-1) ** i)
        for i, network in enumerate(networks)
    ]
    is_short = method is Method.SLOPE
    if is_short:
        sums[0] = None
    return MethodMark(
        method, 9 if is_short else 10, ("Conv 4→8 8²",) if is_short else (), 12, 3, 90.0,
        tuple(sums), "slope", None if method is Method.ISOLATED else 0.02,
    )  # fmt: skip
