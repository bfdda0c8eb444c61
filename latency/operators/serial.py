"""Operators to JSON and back, and their key in databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import lru_cache
from types import NoneType
from typing import Any

from ...core.artefact import canonical_json, sha256_of
from ...core.errors import ArtefactError, ConfigError, UnknownNameError
from . import operators
from .base import Operator
from .checks import is_silent

KIND = "kind"
_PLAIN = frozenset({bool, int, float, str, NoneType})


def kind_of(operator: Operator) -> str:
    """The name under which the class of `operator` is registered.

    Raises:
        ConfigError: It is not registered.
    """
    return _kind_of(type(operator))


def to_json(operator: Operator) -> dict[str, Any]:
    """A JSON object with the operator's `kind` and its fields; `from_json` reads it back.

    Fields that came later than the first tables are left out at their default (`checks.LATER`).
    """
    data: dict[str, Any] = {KIND: _kind_of(type(operator))}
    for field in fields(operator):
        value = getattr(operator, field.name)
        if not is_silent(field, value):
            data[field.name] = value if type(value) in _PLAIN else _plain(value)
    return data


def from_json(data: Mapping[str, Any]) -> Operator:
    """The operator that `to_json` wrote; fields that have a default may be missing.

    Raises:
        ArtefactError: The kind or a field is unknown, missing or out of range.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get(KIND), str):
        raise ArtefactError(f"An operator needs a {KIND!r}; found {data!r}.")
    try:
        cls = operators[data[KIND]]
    except UnknownNameError as error:
        raise ArtefactError(str(error)) from error
    known = [field.name for field in fields(cls)]
    values = {name: _value(value) for name, value in data.items() if name != KIND}
    if unknown := sorted(values.keys() - set(known)):
        raise ArtefactError(
            f"Operator {data[KIND]!r} has no field {unknown[0]!r}. Fields: {', '.join(known)}."
        )
    try:
        return cls(**values)
    except (ConfigError, TypeError) as error:
        raise ArtefactError(f"Operator {data[KIND]!r} is not readable: {error}") from error


def key(operator: Operator) -> str:
    """SHA-256 of the operator's canonical JSON: equal operators, equal keys, on every machine."""
    return sha256_of(canonical_json(to_json(operator)))


@lru_cache
def _kind_of(cls: type[Operator]) -> str:
    for name, registered in operators.items():
        if registered is cls:
            return name
    raise ConfigError(f"{cls.__name__} is not registered; decorate it with operators.register.")


def _plain(value: Any) -> Any:
    if isinstance(value, Operator):
        return to_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_json(value)
    if isinstance(value, list | tuple):
        return tuple(_value(item) for item in value)
    return value
