"""Why a number should be read with caution, and how far it can be relied on."""

from __future__ import annotations

from enum import StrEnum


class Flag(StrEnum):
    """One reason for caution. What raises each is in docs/measuring.md."""

    NOT_CONVERGED = "NOT_CONVERGED"
    NOISE_FLOOR = "NOISE_FLOOR"
    LOW_N = "LOW_N"
    WARMUP_CAP = "WARMUP_CAP"
    PREEMPTED = "PREEMPTED"
    THROTTLED = "THROTTLED"
    HOT_START = "HOT_START"
    GOVERNOR = "GOVERNOR"
    SLOPE = "SLOPE"
    BIMODAL = "BIMODAL"
    AUTOCORRELATED = "AUTOCORRELATED"
    OUTLIERS = "OUTLIERS"
    STEAL = "STEAL"
    DRIFT = "DRIFT"
    DRIFT_CORRECTED = "DRIFT_CORRECTED"
    QUANTISED = "QUANTISED"
    ENQUEUE_BOUND = "ENQUEUE_BOUND"
    HOST_TIMING = "HOST_TIMING"
    PARTIAL_DELEGATION = "PARTIAL_DELEGATION"
    BELOW_ROOFLINE = "BELOW_ROOFLINE"
    MEAN_ONLY = "MEAN_ONLY"
    ENV_CHANGED = "ENV_CHANGED"
    CLOCK_UNLOCKED = "CLOCK_UNLOCKED"
    PRECISION_CHANGED = "PRECISION_CHANGED"


class Grade(StrEnum):
    """A: converged to 1 %; B: to 2 %; C: with caution; D: kept, not to be relied on."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
