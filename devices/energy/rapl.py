"""RAPL: the energy counters of Intel's and AMD's processors, below `/sys/class/powercap`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import MeasurementError, UnavailableError
from ..files import read_integer, read_text
from .meter import EnergyMeter

_FOLDER = "sys/class/powercap"
# Packages hold their cores and graphics; memory is counted apart. `psys` would count all again.
_COUNTED = ("package", "dram")
_UNIT_UJ = 61  # 2^-14 J, the usual unit; counters are written in whole microjoules


@dataclass(frozen=True)
class Domain:
    """One counter, which begins anew at zero after `range_uj`."""

    name: str
    file: Path
    range_uj: int


class RaplMeter(EnergyMeter):
    """The sum of `domains`. A counter that wrapped since the last reading is made up for.

    It must be read more often than a counter wraps: every ten minutes at 400 W.
    """

    def __init__(self, domains: Sequence[Domain]) -> None:
        self._domains = tuple(domains)
        self._last: dict[str, int] = {}
        self._sum_uj = 0
        self._wraps = 0

    @property
    def name(self) -> str:
        return "RAPL " + ", ".join(domain.name for domain in self._domains)

    @property
    def resolution_uj(self) -> int:
        return _UNIT_UJ

    @property
    def wraps(self) -> int:
        return self._wraps

    def read_uj(self) -> int:
        for domain in self._domains:
            now = read_integer(domain.file)
            if now is None:
                raise MeasurementError(f"{domain.file} cannot be read any more.")
            step = now - self._last.get(domain.name, now)
            if step < 0:
                step += domain.range_uj
                self._wraps += 1
            self._last[domain.name] = now
            self._sum_uj += step
        return self._sum_uj


def find_domains(root: Path) -> list[Domain]:
    """The counters of packages and memory; empty where the machine has none.

    Raises:
        UnavailableError: There are some, and this user cannot read them.
    """
    found, hidden = [], []
    for folder in sorted((root / _FOLDER).glob("intel-rapl:*")):
        kind = read_text(folder / "name") or ""
        range_uj = read_integer(folder / "max_energy_range_uj")
        if not kind.startswith(_COUNTED) or not range_uj:
            continue
        if read_integer(folder / "energy_uj") is None:
            hidden.append(folder / "energy_uj")
        else:
            found.append(Domain(_unique(kind, folder.name), folder / "energy_uj", range_uj))
    if hidden:
        raise UnavailableError(
            "RAPL counts energy here, but not for this user; allow it until the next start with: "
            f"sudo chmod a+r {' '.join(map(str, hidden))}"
        )
    return found


def _unique(kind: str, folder: str) -> str:
    """`package-0`, or `dram 0` for the memory of package 0."""
    if kind.startswith("package"):
        return kind
    return f"{kind} {folder.removeprefix('intel-rapl:').partition(':')[0]}"
