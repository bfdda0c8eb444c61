"""Launches that the meter recorded on a real machine, fed to its statistics again.

A change of an estimator, an interval or a stopping rule so shows on real scatter in milliseconds.
The recording is the JSON-lines export of one or more stores (`elat export --format jsonl`), as it
is or compressed by gzip.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import ArtefactError
from ..condition import Condition
from ..estimate import is_at_floor
from ..exports.json_lines import read_records
from ..launch import Launch
from ..measurement import Measurement
from ..operators import Operator
from ..protocol import Protocol
from .assembly import assembled

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Recording:
    """Launches of one condition by the worker process that took them.

    Attributes:
        rounds: One a worker process: the launch of each operator that it timed.
        stretches: The store that each round is from, as a number.
    """

    condition: Condition
    origin: str
    rounds: tuple[dict[Operator, Launch], ...]
    stretches: tuple[int, ...]

    def replay(
        self, protocol: Protocol, random: np.random.Generator
    ) -> dict[Operator, Measurement]:
        """What a campaign by `protocol` would have found, its rounds drawn from one stretch.

        Rounds come in random order, each once; the campaign ends early where none is left.
        """
        stretch = int(random.choice(sorted(set(self.stretches))))
        rounds = [r for r, of in zip(self.rounds, self.stretches, strict=True) if of == stretch]
        unfinished = set(rounds[0])
        taken: list[tuple[Operator, Launch]] = []
        for number, index in enumerate(random.permutation(len(rounds)).tolist(), start=1):
            taken += [(o, launch) for o, launch in rounds[index].items() if o in unfinished]
            if protocol.is_look(number):
                found = self._assembled(taken, protocol)
                unfinished = {o for o in unfinished if not _is_finished(found[o], protocol)}
            if not unfinished:
                break
        return self._assembled(taken, protocol)

    def whole(self, protocol: Protocol) -> dict[Operator, Measurement]:
        """Everything recorded, as one measurement for each operator."""
        every = [(o, launch) for found in self.rounds for o, launch in found.items()]
        return self._assembled(every, protocol)

    def _assembled(
        self, launches: list[tuple[Operator, Launch]], protocol: Protocol
    ) -> dict[Operator, Measurement]:
        return assembled(launches, self.condition, protocol, self.origin, {})


def _is_finished(found: Measurement, protocol: Protocol) -> bool:
    return protocol.is_finished(
        found.count, found.relative_half_width, is_at_floor=is_at_floor(*found.half_widths)
    )


def read_recording(*paths: Path) -> Recording:
    """The launches in the files `paths`, each a stretch of time of its own.

    Raises:
        ArtefactError: A file is missing or damaged, or they hold several conditions or origins.
    """
    rounds: list[dict[Operator, Launch]] = []
    stretches: list[int] = []
    kinds = set()
    for number, path in enumerate(paths):
        by_process: dict[str, dict[Operator, Launch]] = {}
        for record in read_records(_bytes(path)):
            kinds.add((record.condition, record.origin))
            process = record.launch.worker.partition("/")[0]
            by_process.setdefault(process, {})[record.operator] = record.launch
        rounds += by_process.values()
        stretches += [number] * len(by_process)
    if len(kinds) != 1:
        raise ArtefactError(
            f"A recording is of one condition and origin; {', '.join(map(str, paths))} hold "
            f"{len(kinds)}. Export one device: elat export --device DEVICE --format jsonl."
        )
    condition, origin = kinds.pop()
    return Recording(condition, origin, tuple(rounds), tuple(stretches))


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP) else data
    except (OSError, EOFError) as error:
        raise ArtefactError(f"{path} is no readable recording ({error}).") from error
