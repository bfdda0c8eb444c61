"""Text files as lines and counts, and the beginning of a file for telling formats apart."""

from __future__ import annotations

import re

from ...core.errors import ArtefactError
from .parsing import shown, text_of, whole

_DIGITS = re.compile(r"\d{1,18}", re.ASCII)
HEAD_BYTES = 4096


def lines_of(data: bytes) -> list[str]:
    """The lines of the text `data`, whatever their ends (adb gives carriage returns).

    Raises:
        ArtefactError: It is not UTF-8.
    """
    return [line.rstrip("\r") for line in text_of(data).split("\n")]


def head_of(data: bytes) -> bytes:
    """The first 4096 bytes of `data`, white space and a byte-order mark before them left out."""
    return data[: 2 * HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()[:HEAD_BYTES]


def whole_of(text: str, what: str, least: int = 1) -> int:
    """The whole number that `text` spells in digits.

    Raises:
        ArtefactError: It spells none, one below `least`, or one that counts nothing real.
    """
    if not _DIGITS.fullmatch(text.strip()):
        raise ArtefactError(f"{what} should be a whole number, found {shown(text)}.")
    return whole(int(text), what, least)
