"""Times of every inference, as TensorRT's trtexec writes them with `--exportTimes`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from ..flags import Flag
from . import importers
from .base import Fact, Imported, Importer, Row
from .lines import head_of
from .parsing import json_of, latency, shown
from .rows import median_of, printed_step

COMPUTE = "GPU Compute Time"
LATENCY = "Latency"
WARM_UP_MS = 200.0
SUM_TOLERANCE = 1e-4
ENQUEUE_SHARE = 0.8

_WITH_TRANSFERS: Mapping[str, Fact] = {"interval": "transfers and compute"}
_HEAD = re.compile(rb'\[\s*\{\s*"start(?:In|Enq|H2d|Compute)Ms"\s*:')


@dataclass(frozen=True)
class Variant:
    """A set of keys that some versions of trtexec write.

    Attributes:
        versions: Of TensorRT, in words.
        before, after: The keys' names of the transfers to and from the device.
        enqueue: Which stamps hold the call that enqueues; None where there are none.
        queued: Whether `endToEndMs` is there.
    """

    versions: str
    before: str
    after: str
    enqueue: str | None
    queued: bool

    @property
    def keys(self) -> frozenset[str]:
        """Every key of a row."""
        stamps = [self.before, "Compute", self.after]
        if self.enqueue is not None:
            stamps.append("Enq")
        spans = [f"{name[0].lower()}{name[1:]}" for name in (self.before, "Compute", self.after)]
        spans += ["latency", "endToEnd"] if self.queued else ["latency"]
        edges = [f"{edge}{name}" for name in stamps for edge in ("start", "end")]
        return frozenset(f"{name}Ms" for name in [*edges, *spans])

    def enqueue_ms(self, row: Mapping[str, float]) -> float | None:
        """What the host took to enqueue the inference `row`, or None where it is not told."""
        if self.enqueue is None:
            return None
        return row[f"end{self.enqueue}Ms"] - row[f"start{self.enqueue}Ms"]


# 7.1 and 7.2 print the stamps of enqueue and input under each other's names.
_VARIANTS = (
    Variant("7.0", "In", "Out", None, True),
    Variant("7.1 to 7.2", "In", "Out", "In", True),
    Variant("8.0 to 8.2", "H2d", "D2h", "Enq", True),
    Variant("8.4 or later", "H2d", "D2h", "Enq", False),
)


@importers.register("trtexec-times")
class TrtexecTimes(Importer):
    """Raw samples of a network: the time on the GPU, and the latency with its transfers."""

    def recognises(self, data: bytes) -> bool:
        return _HEAD.match(head_of(data)) is not None

    def read(self, data: bytes) -> Imported:
        variant, rows = read_inferences(json_of(data))
        warm = [row for row in rows if row["startComputeMs"] >= WARM_UP_MS]
        notes = _warm_up_note(len(warm), len(rows))
        kept = warm or rows
        flags: frozenset[Flag] = frozenset() if warm else frozenset({Flag.WARMUP_CAP})
        compute = [row["computeMs"] for row in kept]
        latencies = [row["latencyMs"] for row in kept]
        if variant.enqueue == "In":
            notes.append(
                "TensorRT 7.1 and 7.2 print the stamps of enqueue and input under each other's "
                "names; they were put back."
            )
        if variant.queued:
            notes.append(
                "endToEndMs was left out: it counts the wait behind the batch enqueued before."
            )
        return Imported(
            kind="trtexec-times",
            tool=f"trtexec (TensorRT {variant.versions})",
            variant=f"the keys of TensorRT {variant.versions}",
            unit="ms",
            unit_source="the names of its keys end in Ms",
            resolution=printed_step(latencies),
            rows=(
                _compute_row(compute, _enqueue(kept, variant), flags),
                median_of(LATENCY, latencies, facts=_WITH_TRANSFERS, flags=flags),
            ),
            sha256=sha256_of(data),
            facts={"inferences": len(rows), "warm_up_inferences": len(rows) - len(kept)},
            notes=tuple(notes),
        )


def read_inferences(document: object) -> tuple[Variant, list[dict[str, float]]]:
    """The variant of a file, and its rows, each of which adds up.

    Raises:
        ArtefactError: It is no list of inferences as a known version of trtexec writes them.
    """
    if not isinstance(document, list) or not document:
        raise ArtefactError(f"the times are {shown(document)}, which is no list of inferences.")
    variant = _variant_of(document[0])
    rows = []
    for index, entry in enumerate(document):
        if not isinstance(entry, dict) or entry.keys() != variant.keys:
            raise ArtefactError(
                f"inference {index} has other keys than the first, which are those of TensorRT "
                f"{variant.versions}: the file was damaged or put together from several."
            )
        row = {key: latency(value, f"{key} of inference {index}") for key, value in entry.items()}
        _check_sums(row, variant, index)
        rows.append(row)
    return variant, rows


def _variant_of(first: object) -> Variant:
    if not isinstance(first, dict):
        raise ArtefactError(f"the first inference is {shown(first)}, which is no JSON object.")
    for variant in _VARIANTS:
        if first.keys() == variant.keys:
            return variant
    raise ArtefactError(
        f"no known version of trtexec writes the keys {', '.join(sorted(first))}. Known are those "
        f"of TensorRT {', '.join(v.versions for v in _VARIANTS)}."
    )


def _check_sums(row: Mapping[str, float], variant: Variant, index: int) -> None:
    """Refuse an inference whose parts are not its latency, or that ends before it starts."""
    before, after = f"{variant.before.lower()}Ms", f"{variant.after.lower()}Ms"
    total = row[before] + row["computeMs"] + row[after]
    if abs(row["latencyMs"] - total) > SUM_TOLERANCE * total:
        raise ArtefactError(
            f"latencyMs of inference {index} is {row['latencyMs']:g}, but {before}, computeMs and "
            f"{after} add up to {total:g}: the file is damaged."
        )
    for key in row:
        if key.startswith("start") and row[f"end{key[5:]}"] < row[key]:
            raise ArtefactError(f"end{key[5:]} of inference {index} is before {key}.")


def _warm_up_note(kept: int, total: int) -> list[str]:
    """What was left out for warm-up, in words; nothing where nothing was.

    Until 8.4 the file holds the warm-up; later its rows are gone, and nothing starts so early.
    """
    early = f"in the first {WARM_UP_MS:g} ms, which is trtexec's warm-up by default"
    if not kept:
        return [f"All {total} inferences start {early}; they were kept, as there are no others."]
    if kept < total:
        return [f"{total - kept} of {total} inferences start {early}, and were left out."]
    return []


def _enqueue(rows: Sequence[Mapping[str, float]], variant: Variant) -> float | None:
    """Median time that the host takes to enqueue, in ms, or None where it is not told."""
    times = [time_ms for row in rows if (time_ms := variant.enqueue_ms(row)) is not None]
    return statistics.median(times) if times else None


def _compute_row(
    compute_ms: Sequence[float], enqueue_ms: float | None, flags: frozenset[Flag]
) -> Row:
    """The row of the time on the GPU, flagged where the host was the slower."""
    facts: dict[str, Fact] = {"interval": "device compute"}
    if enqueue_ms is not None:
        facts["enqueue_ms"] = enqueue_ms
        if enqueue_ms > ENQUEUE_SHARE * statistics.median(compute_ms):
            flags |= {Flag.ENQUEUE_BOUND}
    return median_of(COMPUTE, compute_ms, facts=facts, flags=flags)
