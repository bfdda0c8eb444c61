"""This machine, reached as any other device is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from ...core.config import Settings, parse
from ...core.errors import ConfigError, TransportError
from . import links
from .link import Link, LinkState, Seen
from .quoting import check_words


class _Section(Settings):
    folder: str = Field(min_length=1)


@links.register("local")
class LocalLink(Link):
    """Programs of this machine, in the work folder `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @classmethod
    def of(cls, section: Mapping[str, Any], where: str) -> Self:
        return cls(parse(_Section, section, where).folder)

    @property
    def prefix(self) -> str:
        return ""

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def name(self) -> str:
        return "this machine"

    def unavailable_reason(self) -> str | None:
        return None

    def words_here(self, words: Sequence[str]) -> list[str]:
        check_words(words)
        return list(words)

    def send_words(self, source: Path, target: str) -> list[str] | None:
        return None

    def receive_words(self, source: str, target: Path) -> list[str] | None:
        return None

    def look(self) -> Seen:
        return Seen(LinkState.DEVICE, "")

    def refusal(self, seen: Seen) -> TransportError:
        return TransportError(f"this machine was found {seen.state}, which it cannot be")

    def reboot_words(self) -> list[str]:
        raise ConfigError("elat does not restart the machine that it runs on.")

    def close(self) -> None:
        return
