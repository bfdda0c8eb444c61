"""One point of a search space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """The index of the chosen candidate of each choice block of the space named `space`."""

    space: str
    choices: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {"space": self.space, "choices": list(self.choices)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Architecture:
        """The architecture that `to_json` wrote."""
        return cls(data["space"], tuple(data["choices"]))
