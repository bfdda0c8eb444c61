"""The latency table of ProxylessNAS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..entry import Entry
from ..imports.proxyless_table import key_of_operator
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from . import exporters
from .base import Exported, Exporter, Source
from .keyed_yaml import keyed


@exporters.register("proxyless")
class Proxyless(Exporter):
    """`key: {count, mean, var}`. A pooling and a classifier of its width are one key, `Logits`."""

    def export(self, source: Source) -> Exported:
        joined = replace(source, entries=dict(_with_logits(source)), records=())
        return keyed(joined, key_of_operator, _fields, "ProxylessNAS")


def _fields(entry: Entry) -> dict[str, float]:
    return {"count": entry.count, "mean": entry.mean_ms, "var": entry.std_ms**2}


def _with_logits(source: Source) -> Iterator[tuple[Operator, Entry]]:
    """The entries, a pooling and the only classifier of its width as one."""
    pools = [operator for operator in source.entries if isinstance(operator, GlobalPool)]
    heads = [operator for operator in source.entries if isinstance(operator, Linear)]
    pairs: dict[Operator, Linear] = {}
    for pool in pools:
        fitting = [head for head in heads if head.in_features == pool.channels]
        alone = sum(other.channels == pool.channels for other in pools) == 1
        if len(fitting) == 1 and alone:
            pairs[pool] = fitting[0]
    for operator, entry in source.entries.items():
        if (head := pairs.get(operator)) is not None:
            other = source.entries[head]
            yield (
                Chain((operator, head)),
                Entry(
                    min(entry.count, other.count),
                    entry.mean_ms + other.mean_ms,
                    entry.std_ms + other.std_ms,
                ),
            )
        elif operator not in pairs.values():
            yield operator, entry
