"""The words of the report, explained once."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Latency", "Time from handing an input to the engine until its output is there, in "
     "milliseconds."),
    ("Device", "A machine together with the inference engine and settings that its card names."),
    ("Bound", "The latency that a network may take at most on the device."),
    ("Confidence interval", "Range that holds the true latency with the stated probability, from "
     "several fresh launches. Two intervals without a common point differ significantly."),
    ("Kept", "The upper limit of the measured interval is within the bound."),
    ("E[LAT]", "Expected latency while the architecture is still a probability over choices: the "
     "latency of every choice times its probability, summed."),
    ("Multiplier λ", "Price, in the loss of the search, of being over the bound; it rises while "
     "the bound is broken."),
    ("Entropy", "How undecided the search still is: 0 when every block has one certain choice."),
    ("MAC", "One multiply-add. A count of work, not of time."),
    ("Mean error", "Mean of |predicted - measured| / measured (MAPE)."),
    ("Bias", "Mean of (predicted - measured) / measured: above 0 where predictions are too high."),
    ("Held out", "Not used when the model was fitted, so that its error there is honest."),
    ("Calibration", "Correction from the sum of operators to a whole network, fitted to whole "
     "networks measured on the device."),
    ("Rank correlation", "How alike two orders are: 1 the same, 0 unrelated (Spearman ρ, "
     "Kendall τ)."),
    ("MBConv", "Block of a 1×1 expansion, a depthwise k×k convolution and a 1×1 projection; "
     "e6 and 5×5 mean expansion 6 and kernel 5."),
    ("Wiring", "Which earlier outputs each layer reads: one link for each."),
    ("Exponential rule", "A layer reads the outputs 1, 2, 4, 8, ... layers back, in base 2 "
     "(SparseNet)."),
    ("Jaccard index", "What two sets have in common over what either has: 1 the same, 0 nothing."),
    ("Origin", "Measured here, imported from another tool's output, or simulated."),
)  # fmt: skip
