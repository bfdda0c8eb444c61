"""Samples of a launch from the file that trtexec writes with `--exportTimes`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ....core.errors import ArtefactError, MeasurementError
from ...imports.parsing import json_of
from ...imports.trtexec_times import read_inferences
from ...sample import NS_PER_MS, Interval, Sample

_SPAN = {Interval.DEVICE_COMPUTE: "computeMs", Interval.TRANSFERS_AND_COMPUTE: "latencyMs"}


def read_samples(data: bytes, interval: Interval, warm_up_ms: int) -> tuple[Sample, ...]:
    """A sample for each inference in `data`, those of the warm-up left out.

    trtexec prints six digits. A stamp has three decimals in the first second and two later, so
    that what enqueuing took, a difference of stamps, is known to 1 or 10 microseconds.

    Args:
        data: Content of the file.
        interval: Which time of an inference counts.
        warm_up_ms: Start of the first inference that counts, in milliseconds.

    Raises:
        MeasurementError: The file is cut short, or of no known version, or holds no inference
            that counts, or none that took any time.
    """
    try:
        variant, rows = read_inferences(json_of(data))
    except ArtefactError as error:
        raise MeasurementError(f"trtexec wrote no readable times: {error}") from error
    samples = tuple(
        Sample(
            loops=1,
            wall_ns=round(row[_SPAN[interval]] * NS_PER_MS),
            cpu_ns=round((variant.enqueue_ms(row) or 0.0) * NS_PER_MS),
            involuntary_switches=0,
        )
        for row in rows
        if row["startComputeMs"] >= warm_up_ms
    )
    if not samples:
        raise MeasurementError(
            f"All {len(rows)} inferences of trtexec began in the {warm_up_ms} ms of its warm-up."
        )
    if median_ms(samples) <= 0:
        raise MeasurementError("Inferences took no time at all, as trtexec tells it.")
    return samples


def median_ms(samples: Sequence[Sample]) -> float:
    """Median time of one inference, in milliseconds."""
    return statistics.median(sample.wall_ms for sample in samples)
