"""JSON documents that the store keeps once each and knows by number: operators, conditions, ..."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from ...core.artefact import canonical_json, sha256_of
from ..condition import Condition
from ..operators import Operator
from ..operators.serial import from_json, key, to_json
from ..protocol import Protocol
from .database import Database, rows_among

_OPERATORS, _CONDITIONS = "operators", "conditions"
_PROTOCOLS, _ENVIRONMENTS = "protocols", "environments"
_REMEMBERED = 100_000


class Documents:
    """Numbers of documents in `database`, and back.

    A number is asked for once: rows are only added, so that it never changes.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._numbers: dict[Hashable, int] = {}

    def forget(self) -> None:
        """Ask for every number again: a transaction that added some was undone."""
        self._numbers.clear()

    def add_operator(self, operator: Operator) -> int:
        """The number of `operator`, added where it is new; inside a transaction."""
        return self._numbers.get(operator) or self._add(_OPERATORS, operator, to_json(operator))

    def add_condition(self, condition: Condition) -> int:
        """The number of `condition`, added where it is new; inside a transaction."""
        return self._numbers.get(condition) or self._add(
            _CONDITIONS, condition, condition.to_json()
        )

    def add_protocol(self, protocol: Protocol) -> int:
        """The number of `protocol`, added where it is new; inside a transaction."""
        return self._numbers.get(protocol) or self._add(_PROTOCOLS, protocol, protocol.to_json())

    def add_environment(self, environment: Mapping[str, Any]) -> int:
        """The number of `environment`, added where it is new; inside a transaction."""
        text = canonical_json(dict(environment))
        return self._numbers.get(text) or self._add(_ENVIRONMENTS, text, dict(environment))

    def condition(self, condition: Condition) -> int:
        """The number of `condition`, or -1 where the store does not know it."""
        return self._known(_CONDITIONS, condition, condition.to_json())

    def protocol(self, protocol: Protocol) -> int:
        """The number of `protocol`, or -1 where the store does not know it."""
        return self._known(_PROTOCOLS, protocol, protocol.to_json())

    def numbers_of(self, operators: Iterable[Operator]) -> dict[int, Operator]:
        """Those of `operators` that the store knows, by number."""
        wanted = dict.fromkeys(operators)
        found = {o: self._numbers[o] for o in wanted if o in self._numbers}
        keys = {key(operator): operator for operator in wanted if operator not in found}
        query = "SELECT id, sha256 FROM operators WHERE sha256 IN ({})"
        for number, sha256 in rows_among(self._db, query, keys):
            # Not read back from what is remembered, which may be forgotten meanwhile.
            found[keys[sha256]] = number
            self._remember(keys[sha256], number)
        return {found[o]: o for o in wanted if o in found}

    def operators(self, numbers: Iterable[int]) -> dict[int, Operator]:
        """The operators of `numbers`, by number.

        Raises:
            ArtefactError: One is not there, or not readable.
        """
        return {n: from_json(data) for n, data in self._documents(_OPERATORS, numbers).items()}

    def protocols(self, numbers: Iterable[int]) -> dict[int, Protocol]:
        """The protocols of `numbers`, by number.

        Raises:
            ArtefactError: One is not there, or not readable.
        """
        found = self._documents(_PROTOCOLS, numbers)
        return {number: Protocol.from_json(data) for number, data in found.items()}

    def environments(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The fingerprints of `numbers`, by number, the oldest first.

        Raises:
            ArtefactError: One is not there, or not readable.
        """
        return self._documents(_ENVIRONMENTS, numbers)

    def parsed(self, text: str) -> Any:
        """The JSON document `text`.

        Raises:
            ArtefactError: It is none.
        """
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._db.corrupt(f"a row is not JSON: {error}") from error

    def parsed_condition(self, text: str) -> Condition:
        """The condition that is the JSON document `text`.

        Raises:
            ArtefactError: It is none.
        """
        try:
            return Condition.from_json(self.parsed(text))
        except (KeyError, TypeError, ValueError) as error:
            raise self._db.corrupt(f"a condition is not readable: {error}") from error

    def _documents(self, table: str, numbers: Iterable[int]) -> dict[int, Any]:
        """The JSON documents of `numbers` in `table`, by number, which rises."""
        wanted = sorted(set(numbers))
        query = f"SELECT id, json FROM {table} WHERE id IN ({{}})"
        rows: dict[int, str] = {row[0]: row[1] for row in rows_among(self._db, query, wanted)}
        if gone := [number for number in wanted if number not in rows]:
            raise self._db.corrupt(
                f"table {table} lacks the row with id {gone[0]}, which others refer to"
            )
        return {number: self.parsed(rows[number]) for number in wanted}

    def _add(self, table: str, document: Hashable, data: Mapping[str, Any]) -> int:
        number = self._known(table, document, data)
        if number >= 0:
            return number
        text = canonical_json(data)
        self._db.change(f"INSERT INTO {table} (sha256, json) VALUES (?, ?)", sha256_of(text), text)
        return self._known(table, document, data)

    def _known(self, table: str, document: Hashable, data: Mapping[str, Any]) -> int:
        if document not in self._numbers:
            query = f"SELECT id FROM {table} WHERE sha256 = ?"
            rows = self._db.rows(query, sha256_of(canonical_json(data)))
            if not rows:
                return -1
            self._remember(document, rows[0][0])
        return self._numbers[document]

    def _remember(self, document: Hashable, number: int) -> None:
        if len(self._numbers) >= _REMEMBERED:
            self._numbers.clear()
        self._numbers[document] = number
