"""Power rails of a board as its sensors show them below `/sys/class/hwmon` (INA226, INA3221)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import MeasurementError, UnavailableError
from ..files import read_integer, read_text
from .power import PowerMeter

_FOLDER = "sys/class/hwmon"
_INTERVAL_MS = 20  # where the driver does not tell its own


@dataclass(frozen=True)
class Rail:
    """One rail: a file of microwatts, or files of millivolts and milliamperes.

    Attributes:
        label: What a card calls it.
        interval_s: Seconds until the sensor has a new value.
    """

    label: str
    files: tuple[Path, ...]
    interval_s: float

    def read_uw(self) -> float:
        """Power of now in microwatts; mV times mA is uW.

        Raises:
            MeasurementError: The sensor answers no more.
        """
        power = 1.0
        for file in self.files:
            value = read_integer(file)
            if value is None:
                raise MeasurementError(f"{file} cannot be read any more.")
            power *= value
        return power


def find_rails(root: Path) -> list[Rail]:
    """Every rail that the machine shows, by its label, else by the sensor's name."""
    return [
        rail for folder in sorted((root / _FOLDER).glob("hwmon*")) for rail in _rails_of(folder)
    ]


def _rails_of(folder: Path) -> Iterator[Rail]:
    chip = read_text(folder / "name") or folder.name
    interval_ms = read_integer(folder / "update_interval") or _INTERVAL_MS
    for power in sorted(folder.glob("power*_input")):
        number = power.name.removeprefix("power").removesuffix("_input")
        yield Rail(read_text(folder / f"power{number}_label") or chip, (power,), interval_ms / 1e3)
    for current in sorted(folder.glob("curr*_input")):
        number = current.name.removeprefix("curr").removesuffix("_input")
        voltage, label = folder / f"in{number}_input", read_text(folder / f"in{number}_label")
        # The fourth channel of an INA3221 is the sum of the others and has no voltage.
        if label and voltage.is_file():
            yield Rail(label, (voltage, current), interval_ms / 1e3)


def hwmon_meter(root: Path, labels: Sequence[str]) -> PowerMeter:
    """The sum of the rails that a card names.

    Raises:
        UnavailableError: One of them is not here; says which are.
    """
    rails = {rail.label: rail for rail in find_rails(root)}
    missing = [label for label in labels if label not in rails]
    if missing:
        raise UnavailableError(
            f"There is no power rail {missing[0]!r}; this machine shows "
            f"{', '.join(map(repr, rails)) or 'none'}. Repair power.rails in the card; "
            "labels are in: grep . /sys/class/hwmon/hwmon*/*_label"
        )
    chosen = [rails[label] for label in labels]
    name = f"hwmon {', '.join(labels)}"
    interval_s = max(rail.interval_s for rail in chosen)
    return PowerMeter(name, lambda: sum(rail.read_uw() for rail in chosen), interval_s)
