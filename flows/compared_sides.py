"""What stands on one side of a comparison: a stored run, or a device that is measured now."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.artefact import canonical_json, sha256_of
from ..core.errors import ConfigError, MissingLatencyError, UnavailableError
from ..devices.device import Device, card_paths, find_device
from ..latency.comparison import Side
from ..latency.condition import Condition
from ..latency.launcher import default_command
from ..latency.store import open_store

_CARD_SUFFIXES = (".yaml", ".yml")
_FREE_FIELDS = frozenset({"device", "runtime_version", "options"})
_ASK = (
    "import sys; from elat.latency.runtimes import runtimes;"
    " print(runtimes[sys.argv[1]]().version())"
)
_ASK_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class StoredRun:
    """`STORE` or `STORE@WHICH`: one condition of a store.

    Attributes:
        which: A device, or a part of the description of a condition; empty for the only one.
    """

    store: str
    which: str


@dataclass(frozen=True)
class LiveDevice:
    """`DEVICE` or `DEVICE@PYTHON`: a device whose workers run in this or in another Python.

    Attributes:
        python: None for this one.
    """

    device: Device
    python: Path | None

    @property
    def command(self) -> tuple[str, ...]:
        """How a worker is started."""
        first, *rest = default_command()
        return (first if self.python is None else str(self.python), *rest)

    def condition(self) -> Condition:
        """The condition of whole models there; the version is what that Python has installed.

        Raises:
            UnavailableError: That Python has no elat, or not the runtime.
        """
        if reason := self.device.not_here_reason:
            raise UnavailableError(reason)
        found = Condition.of(self.device).of_models
        if self.python is None:
            return found
        return replace(found, runtime_version=_version_in(self.python, found.runtime))


@dataclass(frozen=True)
class Found:
    """One side as it is compared.

    Attributes:
        text: What the user called it.
        environments: The distinct fingerprints of the machine under which it was measured.
    """

    text: str
    store: str
    side: Side
    environments: tuple[Mapping[str, Any], ...]

    @property
    def environment_sha256(self) -> tuple[str, ...]:
        """The hash of each environment."""
        return tuple(sha256_of(canonical_json(dict(found))) for found in self.environments)


def parse_side(text: str) -> StoredRun | LiveDevice:
    """The side that `text` names; a name of a device comes before a file of that name.

    Raises:
        ConfigError: It is neither a store nor a device.
    """
    if "://" in text:
        store, _, which = text.partition("#")
        return StoredRun(store, which)
    name, _, rest = text.partition("@")
    if name in card_paths() or name.endswith(_CARD_SUFFIXES):
        return LiveDevice(find_device(name), _python(rest) if rest else None)
    if Path(name).is_file() or Path(name).suffix in (".db", ".sqlite"):
        return StoredRun(name, rest)
    raise ConfigError(
        f"{text!r} is neither a store nor a device; give STORE.db, STORE.db@DEVICE, DEVICE or "
        "DEVICE@PYTHON. List devices with: elat devices."
    )


def read_stored(run: StoredRun, text: str) -> Found:
    """What the store holds of one condition, failures and imports left out.

    Raises:
        ConfigError: Several conditions or origins fit.
        MissingLatencyError: Nothing fits.
    """
    with open_store(run.store, create=False) as store:
        condition = _chosen(store.conditions(), run.which, run.store)
        measurements = store.measurements(condition)
        environments = tuple(store.environments(condition))
    return Found(text, run.store, Side.of(measurements), environments)


def different_fields(a: Condition, b: Condition) -> tuple[str, ...]:
    """In what two conditions differ besides device, version of the runtime and its options."""
    first, second = a.to_json(), b.to_json()
    return tuple(n for n in first if n not in _FREE_FIELDS and first[n] != second[n])


def different_environment(a: Found, b: Found) -> dict[str, tuple[str, str]]:
    """The parts of the fingerprints that differ, with what each side has."""
    names = sorted({name for side in (a, b) for found in side.environments for name in found})
    values = {name: (_values(a, name), _values(b, name)) for name in names}
    return {name: both for name, both in values.items() if both[0] != both[1]}


def _values(side: Found, name: str) -> str:
    texts = {canonical_json(e[name]) for e in side.environments if name in e}
    return " or ".join(sorted(json.dumps(json.loads(t), ensure_ascii=False) for t in texts))


def _chosen(conditions: Sequence[Condition], which: str, store: str) -> Condition:
    fitting = [c for c in conditions if c.device == which] or [
        c for c in conditions if which in str(c)
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(map(str, fitting or conditions))
    if not conditions:
        raise MissingLatencyError(f"{store} holds no launch; measure with: elat measure.")
    if not fitting:
        raise MissingLatencyError(f"{store} holds nothing of {which!r}. It holds: {listed}.")
    raise ConfigError(
        f"{store} holds several conditions that fit: {listed}. Choose one with {store}@DEVICE, or "
        "@ and a part of its description."
    )


def _python(text: str) -> Path:
    """The interpreter `text`, not resolved: what a link points to belongs to no environment."""
    path = Path(text).absolute()
    if not path.is_file():
        raise ConfigError(f"{text} is no Python interpreter; give its path after @.")
    return path


def _version_in(python: Path, runtime: str) -> str:
    """The version of `runtime` that the interpreter `python` has installed."""
    command = [str(python), *default_command()[1:-2], "-c", _ASK, runtime]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{python} could not be asked for {runtime}: {error}.") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        ours = ".".join(map(str, sys.version_info[:2]))
        raise UnavailableError(
            f"{python} has no worker with {runtime} ({last}); install there, for a Python like "
            f"{ours}: elat --no-deps, numpy, pydantic, pyyaml and the runtime."
        )
    return done.stdout.strip()
