"""Text files as lines, and the beginning of a file for telling formats apart."""

from __future__ import annotations

from .parsing import text_of

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
