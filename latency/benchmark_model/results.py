"""What a run brings back from a device, read as if an enemy had written it."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import MeasurementError

_OTHER_ENTRIES = 100
_FIRST = re.compile(rb"\s*([0-9a-f]{32}) ")
# All that a damaged header can make of `tarfile`.
_DAMAGES = (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError, EOFError)


@dataclass(frozen=True)
class Ended:
    """An invocation that has ended.

    Attributes:
        end: Its exit code.
        log: What it printed.
        took_s: Whole seconds; None where the device does not tell.
    """

    end: int
    log: bytes = field(repr=False)
    took_s: int | None = None


def began_s(data: bytes) -> float | None:
    """When what `scripts.RUN` printed was begun, in seconds since 1970; None where nothing was."""
    first = _FIRST.match(data)
    return None if first is None else float(int(first[1][:8], 16))


def read_log(data: bytes) -> tuple[dict[int, Ended], int | None]:
    """The invocations in what `scripts.RUN` printed, and the one that was begun and not ended.

    The token of the lines in between is that of the first line; what the program itself prints
    cannot know it.
    """
    first = _FIRST.match(data)
    if first is None:
        return {}, None
    marks = list(
        re.finditer(
            rb"\n"
            + first[1]
            + rb" (?:begin (\d{1,9})|end (\d{1,9}) (\d{1,3}) (\d{0,9})|done)\r?\n",
            data,
        )
    )
    ended: dict[int, Ended] = {}
    begun: int | None = None
    start = 0
    for mark in marks:
        if mark[1] is not None:
            begun, start = int(mark[1]), mark.end()
        elif mark[2] is not None and begun == int(mark[2]):
            took_s = int(mark[4]) if mark[4] else None
            ended[begun] = Ended(int(mark[3]), data[start : mark.start()], took_s)
            begun = None
    return ended, begun


def read_outputs(file: Path, wanted: Mapping[int, int]) -> dict[int, bytes]:
    """The members of the tar file `file` that are called by numbers that are `wanted`.

    Nothing is unpacked. Links, devices and what is longer than wanted are passed over.

    Args:
        file: As a device packed it, who knows how.
        wanted: For each number the most bytes that its member may have.

    Raises:
        MeasurementError: It is damaged.
    """
    names = {str(number): number for number in wanted}
    whole_bytes = file.stat().st_size
    found: dict[int, bytes] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for place, entry in enumerate(archive):
                if place > len(wanted) + _OTHER_ENTRIES:
                    raise MeasurementError("The outputs that came back are among too many files.")
                number = names.get(entry.name.removeprefix("./"))
                if number is None or number in found or not _is_plain(entry):
                    continue
                is_readable = 0 <= entry.size <= min(wanted[number], whole_bytes)
                content = archive.extractfile(entry) if is_readable else None
                if content is not None:
                    found[number] = content.read()
    except _DAMAGES as error:
        raise MeasurementError(f"The outputs that came back are damaged: {error}.") from error
    return found


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """Whether it is a file that is there in full: one with holes may claim any length."""
    return entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()
