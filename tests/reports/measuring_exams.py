"""A made-up exam of the meter. Nothing was measured."""

from __future__ import annotations

from elat.latency.condition import Condition, Method, Precision
from elat.reports.measuring_exam import MeasuringExam, Outcome, Share, Slowdown


def made_up_exam() -> MeasuringExam:
    """Two simulated machines by two protocols, and a device whose truth is not known."""
    simulated = [
        Outcome(
            scenario, protocol, "simulated", scenario == "quiet", share(0.95), share(0.96),
            share(0.01), share(0.02), slowdowns(), 0.02, 5.0, 0.1, 0.9,
        )
        for scenario in ("quiet", "wild")
        for protocol in ("screen", "standard")
    ]  # fmt: skip
    condition = Condition("one", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
    recorded = Outcome(
        "one", "standard", "simulated", True, None, share(0.97), share(0.0), None, (), 0.01, 5.0,
        0.0, 1.0, condition,
    )  # fmt: skip
    return MeasuringExam((*simulated, recorded))


def share(value: float) -> Share:
    return Share(value, 100, 0.01)


def slowdowns() -> tuple[Slowdown, ...]:
    return tuple(Slowdown(e, share(min(1.0, 30 * e)), share(0.0)) for e in (0.01, 0.03, 0.05))
