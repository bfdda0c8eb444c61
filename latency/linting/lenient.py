"""Tables whose values an importer refuses, read as they are written so that all can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf, nan, sqrt
from types import MappingProxyType

from ...core.errors import ArtefactError
from ..imports import ofa_table, proxyless_table
from ..imports.keyed_yaml import texts_of
from ..imports.parsing import MS_PER, csv_of
from ..operators import Operator
from ..operators.chain import Chain
from .names import attributes_of
from .view import Row, operator_attributes

OperatorOf = Callable[[str], Operator | None]

_SPELT_BY_YAML = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


def _keyed_yaml(data: bytes, operator_of: OperatorOf) -> Iterator[Row]:
    for key, fields in texts_of(data):
        said = dict(fields)
        count, std = _number(said.get("count")), _number(said.get("std"))
        if (variance := _number(said.get("var"))) >= 0:
            std = sqrt(variance)
        yield _row(
            key,
            _number(said.get("mean")),
            int(count) if 1 <= count < inf else None,
            std if std >= 0 else None,
            operator_of,
        )


def _keyed_csv(data: bytes) -> Iterator[Row]:
    head, *body = csv_of(data)
    ms = MS_PER[head[1].removeprefix("latency_")]
    for key, text in body:
        yield _row(key, _number(text) * ms, None, None, lambda _: None)


def _row(
    name: str, value: float, count: int | None, std: float | None, operator_of: OperatorOf
) -> Row:
    try:
        operator = operator_of(name)
    except ArtefactError:
        operator = None
    if operator is None:
        return Row(name, value, count, std, (), attributes_of(name))
    if isinstance(operator, Chain):
        return Row(name, value, count, std, operator.operators, attributes_of(name))
    return Row(name, value, count, std, (operator,), operator_attributes(operator))


def _number(text: str | None) -> float:
    """What `text` spells, or not a number."""
    said = (text or "nan").lower()
    try:
        return float(_SPELT_BY_YAML.get(said, said))
    except ValueError:
        return nan


LENIENT: Mapping[str, Callable[[bytes], Iterator[Row]]] = MappingProxyType(
    {
        "proxyless-table": lambda data: _keyed_yaml(data, proxyless_table.operator_of_key),
        "ofa-table": lambda data: _keyed_yaml(data, ofa_table.operator_of_key),
        "keyed-csv": _keyed_csv,
    }
)
"""Readers by the importer that refused the file."""
