"""What `elat measure` measures, and which of its options go together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import choosing, transferring
from .campaigns import draw_measuring
from .console import say

if TYPE_CHECKING:
    from ..flows.choosing import Known
    from ..flows.measuring import Campaign
    from ..flows.wanted import Wanted


@dataclass(frozen=True)
class Done:
    """What a call of `measure` measured.

    Attributes:
        name: Of the space, if it is one.
        operators: That are known now.
        counts: Of launches and failures.
        ended: Where measuring for so long ended.
    """

    name: str | None
    operators: int
    counts: dict[str, int]
    ended: Known | None = None

    def with_more(self, counts: dict[str, int]) -> Done:
        """This, and `counts` besides."""
        return replace(self, counts={kind: n + counts[kind] for kind, n in self.counts.items()})


@dataclass(frozen=True)
class Subject:
    """What is measured: operators of a space, all, chosen or sampled; or generated; or nothing."""

    space: str | None
    generate: int | None
    kinds: tuple[str, ...]
    duration: str | None
    search: Path | None
    transfer_from: str
    samples: int | None

    @property
    def is_none(self) -> bool:
        return self.space is None and self.generate is None

    @property
    def wanted(self) -> Wanted:
        """The operators of the whole space, or those that are generated."""
        from ..flows.wanted import Wanted

        return Wanted(self.space, self.generate or 0, self.kinds)

    def check_several(self, devices: tuple[str, ...], has_budget: bool, is_tuned: bool) -> None:
        """Refuse what is done on one device at a time.

        Raises:
            ConfigError: It is asked of `devices`.
        """
        from ..core.errors import ConfigError

        if not devices:
            raise ConfigError("--device names no device; see: elat devices")
        single = {
            "--for": self.duration is not None,
            "--samples": self.samples is not None,
            "--check-budget": has_budget,
            "--tune": is_tuned,
        }
        if names := [name for name, is_given in single.items() if is_given]:
            raise ConfigError(
                f"{' and '.join(names)} works on one device at a time, found "
                f"{', '.join(devices)}; give the command once for each."
            )

    def measure(self, run: Campaign) -> Done:
        """Measure it, with a bar."""
        if self.space is not None and self.samples is not None:
            return Done(*transferring.measure(run, self.space, self.transfer_from, self.samples))
        if self.space is not None and self.duration is not None:
            name, ended = choosing.measure_for(run, self.space, self.duration, self.search)
            counts = {"launches": ended.launches, "failures": ended.failed}
            return Done(name, ended.operators, counts, ended)
        if self.is_none:
            return Done(None, 0, {"launches": 0, "failures": 0})
        wanted = self.wanted
        counts = draw_measuring(wanted.measure(run), f"{run.device.id} {wanted.name}")
        return Done(None if self.space is None else wanted.name, wanted.known(run), counts)

    def say(self, run: Campaign, done: Done) -> None:
        """Say what is known now."""
        if done.ended is not None and done.name is not None:
            choosing.print_known(run, done.name, done.ended, self.search)
        elif not self.is_none:
            say(
                f"{done.operators} operators of {done.name or 'random configuration'} are known "
                f"on {run.device.id}; {done.counts['launches']} new launches in "
                f"{run.store.location}"
            )


def check(subject: Subject, has_budget: bool, is_reported: bool) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: They do not.
    """
    from ..core.errors import ConfigError

    space, transfer_from = subject.space, subject.transfer_from
    if (space is None) == (subject.generate is None) and not (has_budget and subject.is_none):
        raise ConfigError(
            "elat measure takes either --space NAME or --generate N, and exactly one of them; "
            "or --check-budget FILE alone."
        )
    if bool(transfer_from) != (subject.samples is not None) or (transfer_from and space is None):
        raise ConfigError("--space, --samples and --transfer-from go together.")
    if subject.kinds and subject.generate is None:
        raise ConfigError("--kinds says what --generate draws; give --generate N.")
    if subject.duration is not None and transfer_from:
        raise ConfigError("--for and --samples are two ways to choose; give one of them.")
    if subject.duration is not None and space is None:
        raise ConfigError("--for chooses among the operators of a space; give --space NAME.")
    if subject.search is not None and subject.duration is None:
        raise ConfigError("--search says which operators matter to --for; give --for DURATION.")
    if not has_budget and is_reported:
        raise ConfigError("--strict, --junit and --markdown are about --check-budget FILE.")
