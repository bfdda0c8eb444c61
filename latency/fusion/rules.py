"""What was found of all pairs on one device, as a document that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from ...core.artefact import SCHEMA, manifest, read_json, write_json
from ...core.errors import ArtefactError, ConfigError
from ..condition import Condition
from .decision import LEVEL, SHARE, Decision, Outcome, decide
from .pairs import CONTROLS, Pair

KIND = "fusion-rules"


class Verdict(StrEnum):
    """What is held of a pair, by all evidence."""

    FUSED = "fused"
    APART = "not fused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """What was found of one pair.

    Attributes:
        times_ms: Of each test graph, one of a round; empty where the pair could not be timed.
        profiled: Whether the engine's own profile has one node for both; None if it does not say.
        failure: Why the pair could not be timed.
    """

    pair: Pair
    times_ms: Mapping[str, tuple[float, ...]] = field(hash=False)
    profiled: bool | None
    failure: str | None = None
    share: float = SHARE
    level: float = LEVEL

    @cached_property
    def decision(self) -> Decision | None:
        """What the times say; None where there are none."""
        if not self.times_ms:
            return None
        return decide(self.times_ms, share=self.share, level=self.level)

    @property
    def outcome(self) -> Outcome:
        """What the times say, undecided without them."""
        return Outcome.UNDECIDED if self.decision is None else self.decision.outcome

    @property
    def is_disputed(self) -> bool:
        """Whether times and profile contradict each other."""
        if self.profiled is None or self.outcome is Outcome.UNDECIDED:
            return False
        return self.profiled is not (self.outcome is Outcome.FUSED)

    @property
    def verdict(self) -> Verdict:
        """What the times say; where they are undecided, what the profile says; unknown else.

        A disputed pair is unknown, and so as it is assumed without a rule.
        """
        if self.is_disputed:
            return Verdict.UNKNOWN
        if self.outcome is not Outcome.UNDECIDED:
            return Verdict(self.outcome.value)
        if self.profiled is None:
            return Verdict.UNKNOWN
        return Verdict.FUSED if self.profiled else Verdict.APART

    def to_json(self) -> dict[str, Any]:
        """A JSON object; of what follows from the times, `from_json` checks the verdict."""
        decision = self.decision
        return {
            "first": list(self.pair.first),
            "second": self.pair.second,
            "times_ms": {role: list(values) for role, values in self.times_ms.items()},
            "profiled": self.profiled,
            "failure": self.failure,
            "outcome": self.outcome.value,
            "verdict": self.verdict.value,
            "disputed": self.is_disputed,
            "decision": None
            if decision is None
            else {**asdict(decision), "saved_share": decision.saved_share},
        }


@dataclass(frozen=True, eq=False)
class FusionRules:
    """All rules of a device's runtime.

    Attributes:
        condition: Under which pairs were timed.
        origin: `measured` or `simulated`.
        created_utc: When, as ISO time.
    """

    condition: Condition
    origin: str
    rules: tuple[Rule, ...]
    created_utc: str = ""
    share: float = SHARE
    level: float = LEVEL

    @cached_property
    def _verdicts(self) -> dict[Pair, Verdict]:
        return {rule.pair: rule.verdict for rule in self.rules}

    @property
    def failed_controls(self) -> tuple[Rule, ...]:
        """Rules of pairs that no runtime fuses, and that are fused by their times.

        Where there are any, something else than fusion saves time on this device.
        """
        fused = (rule for rule in self.rules if rule.outcome is Outcome.FUSED)
        return tuple(rule for rule in fused if rule.pair in CONTROLS)

    def verdict(self, first: str | Sequence[str], second: str) -> Verdict:
        """What is held of a pair of primitives; unknown where it was not tested."""
        names = (first,) if isinstance(first, str) else tuple(first)
        return self._verdicts.get(Pair(names, second), Verdict.UNKNOWN)

    def fuses(self, first: str | Sequence[str], second: str, *, assumed: bool) -> bool:
        """Whether a pair is executed as one; as `assumed` where that is not known."""
        found = self.verdict(first, second)
        return assumed if found is Verdict.UNKNOWN else found is Verdict.FUSED

    def reason_against(self, condition: Condition, origin: str) -> str | None:
        """Why these rules say nothing of `condition`, or None if they do.

        Methods of timing operators do not matter, nor how many threads there are.
        """
        if self.origin != origin:
            return f"they are {self.origin}, not {origin}"
        for name in ("device", "runtime", "runtime_version", "precision", "options"):
            mine, other = getattr(self.condition, name), getattr(condition, name)
            if mine != other:
                return f"they are of {name.replace('_', ' ')} {mine}, not {other}"
        return None

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back: a manifest, the condition and the rules."""
        return {
            **manifest(
                KIND,
                config={
                    "condition": self.condition.to_json(),
                    "origin": self.origin,
                    "share": self.share,
                    "level": self.level,
                },
                seed=None,
                parents={},
            ),
            "rules": [rule.to_json() for rule in self.rules],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FusionRules:
        """The rules that `to_json` wrote; decisions are made again from the times.

        Raises:
            ArtefactError: It is another document, of another schema, or not whole.
        """
        found = data.get("kind") if isinstance(data, Mapping) else None
        if found != KIND or data.get("schema") != SCHEMA:
            raise ArtefactError(
                f"Fusion rules of schema {SCHEMA} were expected; found "
                f"{found or 'a nameless thing'}. Detect them with: elat fusion --device DEVICE."
            )
        try:
            config = data["config"]
            share, level = float(config["share"]), float(config["level"])
            return cls(
                Condition.from_json(config["condition"]),
                str(config["origin"]),
                tuple(_rule(row, share, level) for row in data["rules"]),
                str(data["created_utc"]),
                share,
                level,
            )
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise ArtefactError(
                f"These fusion rules are not whole ({error!r}); detect them again with: elat "
                "fusion --device DEVICE."
            ) from error


def _rule(row: Mapping[str, Any], share: float, level: float) -> Rule:
    profiled = row["profiled"]
    if profiled is not None and not isinstance(profiled, bool):
        raise ValueError(f"profiled is {profiled!r}")
    times = {role: tuple(map(float, values)) for role, values in row["times_ms"].items()}
    rule = Rule(
        Pair(tuple(map(str, row["first"])), str(row["second"])),
        times,
        profiled,
        row["failure"],
        share,
        level,
    )
    if rule.verdict.value != row["verdict"]:
        raise ValueError(f"{rule.pair} is {rule.verdict} by its times, not {row['verdict']}")
    return rule


def write_rules(path: Path, rules: FusionRules) -> None:
    """Write `rules` to `path`, whole or not at all."""
    write_json(path, rules.to_json())


def read_rules(path: Path) -> FusionRules:
    """The rules in the file `path`.

    Raises:
        ArtefactError: It is missing, damaged or another document.
    """
    try:
        return FusionRules.from_json(read_json(path))
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error}") from error


def rules_path(home: Path, device: str) -> Path:
    """Where the rules of `device` live under `ELAT_HOME`."""
    return home / "fusion" / f"{device}.json"


@dataclass(frozen=True)
class KnownRules:
    """The rules that hold for a condition, if there are any, and a sentence that says so."""

    rules: FusionRules | None
    said: str


def rules_for(condition: Condition, origin: str, home: Path) -> KnownRules:
    """The rules that are kept for the device and runtime of `condition`.

    Rules of another version of the runtime, or of other options, say nothing of this one.

    Raises:
        ArtefactError: There is a file, and it is damaged.
    """
    path = rules_path(home, condition.device)
    repair = f"detect them with: elat fusion --device {condition.device}"
    if not path.exists():
        return KnownRules(None, f"assumed; {repair}")
    rules = read_rules(path)
    if reason := rules.reason_against(condition, origin):
        return KnownRules(None, f"assumed: {path} is not used, {reason}; {repair}")
    return KnownRules(rules, f"detected ({path}, {rules.created_utc})")
