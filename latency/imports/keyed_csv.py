"""CSV of two columns, a key and a latency whose unit the header names."""

from __future__ import annotations

import re

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Importer, Statistic
from .parsing import MS_PER, csv_of, decimal, latency, shown
from .rows import judged

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?(?:key|name|operator),latency_(ns|us|ms|s)\r?\n")
_FASTERSEG = re.compile(
    r"(?:ConvNorm|BasicResidual\w*|FactorizedReduce|ff|head)(?:_[A-Z]\d+)+(?:_[A-Za-z]+\d+)*",
    re.ASCII,
)


@importers.register("keyed-csv")
class KeyedCsv(Importer):
    """`key,latency_ms` (or us, ns, s), as FasterSeg's table of TensorRT latencies is passed on.

    Values count as means, which FasterSeg's are; the file does not say it. Keys stand once.
    """

    def recognises(self, data: bytes) -> bool:
        return _HEADER.match(data) is not None

    def read(self, data: bytes) -> Imported:
        head, *body = csv_of(data)
        unit = head[1].removeprefix("latency_")
        if not body:
            raise ArtefactError("the table has no rows.")
        names = [key for key, _ in body]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ArtefactError(f"the key {shown(twice)} stands twice.")
        rows = []
        for key, text in body:
            what = f"the latency of {shown(key)}"
            value = latency(decimal(text, what), what) * MS_PER[unit]
            rows.append(judged(key, value, Statistic.MEAN))
        is_fasterseg = all(map(_FASTERSEG.fullmatch, names))
        return Imported(
            kind="keyed-csv",
            tool="FasterSeg, TensorRT" if is_fasterseg else "unknown",
            variant="keys of FasterSeg" if is_fasterseg else "keys of an unknown tool",
            unit=unit,
            unit_source=f"the column {head[1]}",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
        )
