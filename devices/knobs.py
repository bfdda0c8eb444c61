"""Settings of a machine that decide its clocks: where they are, how to read and write them."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ArtefactError, UnavailableError
from .files import read_cpus, read_text
from .nvml import NvidiaGpu

_CPU = "sys/devices/system/cpu"
_FLOATING = "floating"
_SETTABLE = re.compile(
    rf"{_CPU}/(cpufreq/policy\d+/scaling_governor|intel_pstate/no_turbo|cpufreq/boost)"
)


class Knob(ABC):
    """One setting. `place` names it in a journal, so that another process can put it back."""

    @property
    @abstractmethod
    def place(self) -> str:
        """What is set, unique on the machine."""

    @abstractmethod
    def read(self) -> str | None:
        """The value of now; None where the machine does not tell."""

    @abstractmethod
    def origin(self) -> str | None:
        """What it is to be put back to, before anything is changed; None where that is unknown."""

    @abstractmethod
    def write(self, value: str) -> None:
        """Set it.

        Raises:
            UnavailableError: The system refuses; names the command that does it.
        """

    @abstractmethod
    def refusal(self, value: str) -> str | None:
        """Why it cannot be set to `value`, with the repair, as far as can be told before."""


class FileKnob(Knob):
    """A setting in a file of the kernel.

    Only files that decide clocks are accepted, so that a journal that somebody edited leads to no
    other one.

    Args:
        root: Folder that holds `sys`.
        file: Path below it.

    Raises:
        ArtefactError: The file decides no clock.
    """

    def __init__(self, root: Path, file: str) -> None:
        if not _SETTABLE.fullmatch(file):
            raise ArtefactError(f"{file} decides no clock; a journal of --tune was edited.")
        self._root = root
        self._path = root / file
        self._file = file

    @property
    def place(self) -> str:
        return self._file

    def read(self) -> str | None:
        return read_text(self._path)

    def origin(self) -> str | None:
        return self.read()

    def write(self, value: str) -> None:
        try:
            # Unlike mode "w" this makes no file where there is none.
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_TRUNC), "w") as file:
                file.write(value + "\n")
        except FileNotFoundError as error:
            raise UnavailableError(self._gone()) from error
        except OSError as error:
            raise UnavailableError(
                f"{self._path} cannot be set to {value} ({error.strerror}); "
                f"do it as root: {self._command(value)}"
            ) from error

    def refusal(self, value: str) -> str | None:
        choices = read_text(self._path.parent / "scaling_available_governors")
        is_governor = self._file.endswith("scaling_governor")
        if is_governor and choices is not None and value not in choices.split():
            return f"{self._path} takes {choices}, not {value}."
        if os.access(self._path, os.W_OK):
            return None
        return (
            f"{self._path} is not writable for this user. Let it be until the next start with: "
            f'sudo chown "$USER" {self._path}; or do it by hand: {self._command(value)}'
        )

    def _gone(self) -> str:
        """Why the file is not there, with the repair as far as it is known."""
        policy = re.search(r"policy(\d+)", self._file)
        if policy is None:
            return f"{self._path} is gone; the clocks have another driver now"
        online = self._root / _CPU / f"cpu{policy[1]}" / "online"
        return f"{self._path} is gone, as its CPU is offline; wake it: echo 1 | sudo tee {online}"

    def _command(self, value: str) -> str:
        return f"echo {value} | sudo tee {self._path}"


class PersistenceKnob(Knob):
    """Whether a GPU's driver stays loaded: `1` or `0`."""

    def __init__(self, gpu: NvidiaGpu) -> None:
        self._gpu = gpu

    @property
    def place(self) -> str:
        return f"gpu/{self._gpu.index}/persistence"

    def read(self) -> str | None:
        is_on = self._gpu.is_persistent()
        return None if is_on is None else str(int(is_on))

    def origin(self) -> str | None:
        return self.read()

    def write(self, value: str) -> None:
        self._gpu.set_persistence(value == "1")

    def refusal(self, value: str) -> str | None:
        return _needs_root(f"sudo nvidia-smi -i {self._gpu.index} -pm {value}")


class ClockLockKnob(Knob):
    """The clock that a GPU is held at, `base` or MHz, or `floating`, which is how it is put back.

    NVML does not tell whether clocks are locked.
    """

    def __init__(self, gpu: NvidiaGpu) -> None:
        self._gpu = gpu

    @property
    def place(self) -> str:
        return f"gpu/{self._gpu.index}/clocks"

    def read(self) -> str | None:
        return None

    def origin(self) -> str | None:
        return _FLOATING

    def write(self, value: str) -> None:
        if value == _FLOATING:
            self._gpu.unlock_clocks()
        else:
            self._gpu.lock_clocks(value)

    def refusal(self, value: str) -> str | None:
        return _needs_root(f"sudo nvidia-smi -i {self._gpu.index} -lgc {value},{value}")


def _needs_root(command: str) -> str | None:
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        return f"A GPU's clocks are set by root alone; set them by hand: {command}"
    return None


@dataclass(frozen=True)
class Policy:
    """CPUs whose clock is governed together."""

    folder: Path
    cpus: tuple[int, ...]
    governor: str


def policies(root: Path, affinity: Sequence[int] | None) -> list[Policy]:
    """The policies of the CPUs `affinity`, of all CPUs where it is None."""
    found = []
    for folder in sorted((root / _CPU / "cpufreq").glob("policy*")):
        number = folder.name.removeprefix("policy")
        alone = (int(number),) if number.isdecimal() else ()
        cpus = read_cpus(folder / "affected_cpus") or alone
        if affinity is None or set(cpus) & set(affinity):
            governor = read_text(folder / "scaling_governor") or ""
            found.append(Policy(folder, cpus, governor))
    return found


@dataclass(frozen=True)
class Turbo:
    """The file that lets clocks go beyond the base clock, and what it says for on and off."""

    root: Path
    file: str
    on: str
    off: str

    def is_on(self) -> bool | None:
        """Whether clocks may go beyond the base clock; None where the file says neither."""
        return {self.on: True, self.off: False}.get(read_text(self.root / self.file) or "")

    def value(self, is_on: bool) -> str:
        """What the file is to hold."""
        return self.on if is_on else self.off


def turbo_knob(root: Path) -> Turbo | None:
    """The machine's switch for turbo: Intel's own, or the one of AMD and other drivers."""
    for file, on, off in (("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")):
        if (root / _CPU / file).is_file():
            return Turbo(root, f"{_CPU}/{file}", on, off)
    return None
