"""What was imported, to JSON and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ...core.errors import ArtefactError
from ..flags import Flag
from ..operators import serial as operators
from .base import Fact, Imported, Quantity, Row, Statistic


def to_json(imported: Imported) -> dict[str, Any]:
    """A JSON object that `from_json` reads back."""
    return {
        **_plain(imported),
        "rows": [_row_to_json(row) for row in imported.rows],
        "facts": dict(imported.facts),
        "notes": list(imported.notes),
    }


def from_json(data: dict[str, Any]) -> Imported:
    """What `to_json` wrote; fields that have a default may be missing.

    Raises:
        ArtefactError: A field is unknown, missing or of another type.
    """
    try:
        return Imported(
            **{
                **data,
                "rows": tuple(map(_row_from_json, data["rows"])),
                "facts": _facts(data),
                "quantity": Quantity(data.get("quantity", Quantity.LATENCY_MS)),
                "notes": tuple(data.get("notes", ())),
            }
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"An import is not readable: {error}.") from error


def _row_to_json(row: Row) -> dict[str, Any]:
    return {
        **_plain(row),
        "samples": list(row.samples),
        "reported": dict(row.reported),
        "facts": dict(row.facts),
        "operator": None if row.operator is None else operators.to_json(row.operator),
        "flags": sorted(row.flags),
    }


def _row_from_json(data: dict[str, Any]) -> Row:
    operator = data.get("operator")
    return Row(
        **{
            **data,
            "statistic": Statistic(data["statistic"]),
            "samples": tuple(data.get("samples", ())),
            "facts": _facts(data),
            "operator": None if operator is None else operators.from_json(operator),
            "flags": frozenset(map(Flag, data.get("flags", ()))),
        }
    )


def _facts(data: dict[str, Any]) -> dict[str, Fact]:
    """The facts of a row or of a file; JSON has lists for what are tuples."""
    facts = data.get("facts", {}).items()
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts}


def _plain(thing: Imported | Row) -> dict[str, Any]:
    return {field.name: getattr(thing, field.name) for field in fields(thing)}
