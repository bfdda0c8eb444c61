"""What a device's runtime makes of operators, networks and files before it runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import elat_home, sha256_of, write_bytes
from ..core.errors import ArtefactError, ConfigError, MeasurementError, UnavailableError
from ..devices.device import find_device
from ..latency.artefacts import ArtefactCache
from ..latency.condition import Condition
from ..latency.operators import Operator
from ..latency.operators.serial import kind_of
from ..latency.request import error_class
from ..latency.runtimes import runtimes
from ..search.spaces import find_space
from .measuring import default_cache
from .zoo import NetworkOrder, find_config

_FILE = ".onnx"


@dataclass(frozen=True)
class BuildOrder:
    """What to build.

    Attributes:
        device: The name of a device's card, or its file.
        space: A search space whose operators are built, or None.
        models: ONNX files, and whatever names a network: of the zoo, a run folder, `net.config`.
        target: A kind of device to build for ahead of time, such as `sm86`; None for the one
            that is here.
    """

    device: str
    space: str | None = None
    models: tuple[str, ...] = ()
    target: str | None = None


@dataclass(frozen=True)
class Subject:
    """One thing to build: an operator, or the file of that name where there is none.

    Attributes:
        kind: Of the operator; `file` for a file.
    """

    name: str
    kind: str
    operator: Operator | None


@dataclass(frozen=True)
class Built:
    """What became of one subject.

    Attributes:
        size: In bytes, and
        seconds: what building took when it was built; None where nothing was built.
        refusal: Why it was not built: a class of failure (`UNSUPPORTED` where the runtime cannot)
            and a sentence; None where it was.
        facts: What else the runtime says of it.
    """

    subject: Subject
    size: int | None
    seconds: float | None
    refusal: str | None
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "operator": self.subject.name,
            "kind": self.subject.kind,
            "built": self.refusal is None,
            "bytes": self.size,
            "seconds": self.seconds,
            "refusal": self.refusal,
            **self.facts,
        }


def subjects_of(order: BuildOrder) -> list[Subject]:
    """Everything that `order` asks for, each once; operators that execute nothing are left out.

    Raises:
        ConfigError: It asks for nothing.
        UnknownNameError: A space or network is unknown.
    """
    operators: dict[Operator, str] = {}
    files: list[Subject] = []
    if order.space is not None:
        operators |= {o: str(o) for o in find_space(order.space).all_operators() if not o.is_free}
    for name in dict.fromkeys(order.models):
        if name.endswith(_FILE):
            files.append(Subject(name, "file", None))
        else:
            operator, _ = find_config(NetworkOrder(name))
            operators[operator] = name
    found = [Subject(text, kind_of(operator), operator) for operator, text in operators.items()]
    if not found and not files:
        raise ConfigError(
            "Nothing to build: give a space with --space NAME, or name networks of `elat zoo` or "
            "ONNX files."
        )
    return [*found, *files]


def build(order: BuildOrder, subjects: Sequence[Subject]) -> Iterator[Built]:
    """Build `subjects` as the device's runtime wants them; what it cannot is a result, too.

    What was built before is not built again.

    Raises:
        ConfigError: The runtime builds nothing ahead of time, or not for the target.
        UnavailableError: A package, the driver or the GPU is missing.
    """
    device = find_device(order.device)
    if reason := device.not_here_reason:
        raise UnavailableError(reason)
    condition = Condition.of(device)
    cache = default_cache()
    for subject in subjects:
        try:
            yield _built(subject, condition, cache, order.target)
        except MeasurementError as error:
            yield Built(subject, None, None, f"{error_class(error)}: {error}", {})


def _built(
    subject: Subject, condition: Condition, cache: ArtefactCache, target: str | None
) -> Built:
    if subject.operator is not None:
        model = cache.artefact(subject.operator, condition).model_path
    else:
        model = _kept(Path(subject.name), runtimes[condition.runtime]().suffix)
    made = runtimes[condition.runtime]().compile(model, condition, target)
    return Built(subject, made.size, made.seconds, None, dict(made.facts))


def _kept(file: Path, suffix: str) -> Path:
    """A copy of `file` in ELAT_HOME, beside which engines may lie.

    Raises:
        ArtefactError: It cannot be read.
        ConfigError: The runtime reads other files.
    """
    if not suffix.endswith(_FILE):
        raise ConfigError(f"{file} is an ONNX file, and the device's runtime reads {suffix}.")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{file} cannot be read: {error.strerror}.") from error
    kept = elat_home() / "models" / sha256_of(data)[:32] / f"model{suffix}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, data)
    return kept
