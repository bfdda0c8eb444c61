"""One JSON object a line: every launch with all that is kept of it, or the rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ...core.artefact import canonical_json
from ...core.errors import ArtefactError, ElatError
from ..condition import Condition
from ..launch import Launch
from ..operators.serial import from_json, to_json
from ..protocol import Protocol
from ..store.rows import Record
from . import exporters
from .base import Exported, Exporter, Source


@exporters.register("jsonl")
class JsonLines(Exporter):
    """A canonical line for each launch, which `read_records` reads back whole.

    A table file keeps no launches: of it a line for each operator is written.
    """

    def export(self, source: Source) -> Exported:
        documents = [record_to_json(record) for record in source.records] or source.rows()
        text = "".join(canonical_json(document) + "\n" for document in documents)
        return Exported(text.encode(), len(documents))


def record_to_json(record: Record) -> dict[str, Any]:
    """A JSON object with every field of `record`."""
    return {
        "operator": to_json(record.operator),
        "condition": record.condition.to_json(),
        "launch": record.launch.to_json(),
        "state": dict(record.state),
        "origin": record.origin,
        "protocol": record.protocol.to_json(),
        "environment": dict(record.environment),
    }


def read_records(data: bytes) -> Iterator[Record]:
    """The launches that `JsonLines` wrote to `data`, in their order.

    Raises:
        ArtefactError: A line is cut short, or is no launch.
    """
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            document = json.loads(line)
            yield Record(
                operator=from_json(document["operator"]),
                condition=Condition.from_json(document["condition"]),
                launch=Launch.from_json(document["launch"]),
                state=document["state"],
                origin=document["origin"],
                protocol=Protocol.from_json(document["protocol"]),
                environment=document["environment"],
            )
        except (ElatError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtefactError(f"Line {number} is no launch: {error}.") from error
