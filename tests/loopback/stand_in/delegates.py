"""Which operators delegates take, and what the tool and the runtime say of it."""

from __future__ import annotations

from .flags import Flags
from .log import Log, ToolError
from .settings import Settings

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from typing import Any

XNNPACK = "use_xnnpack"
DELEGATES = {  # by flag: the tool's name, and the runtime's
    XNNPACK: ("XNNPACK", "TfLiteXNNPackDelegate"),
    "use_gpu": ("GPU", "TfLiteGpuDelegateV2"),
    "use_nnapi": ("NNAPI", "TfLiteNnapiDelegate"),
}


class Delegation:
    """What one delegate took of a graph.

    Attributes:
        taken: How many operators.
        total: Of so many.
        kernels: Parts of the graph that it runs.
        partitions: Parts of the graph, its own and the others.
    """

    def __init__(self, taken: int, total: int, kernels: int, partitions: int) -> None:
        self.taken = taken
        self.total = total
        self.kernels = kernels
        self.partitions = partitions

    @property
    def is_full(self) -> bool:
        return self.kernels == 1 and self.taken == self.total


def found_in(interpreter: Any) -> Delegation:
    """What XNNPACK took: the operators between a kernel's inputs and its outputs."""
    nodes = range(interpreter.NumNodes())
    kernels = [node for node in nodes if interpreter.NodeName(node) == "DELEGATE"]
    others = [node for node in nodes if node not in kernels]
    makers = {t: node for node in others for t in interpreter.NodeOutputs(node).tolist()}
    taken: set[int] = set()
    for kernel in kernels:
        edge = set(interpreter.NodeInputs(kernel).tolist())
        waiting = interpreter.NodeOutputs(kernel).tolist()
        while waiting:
            tensor = waiting.pop()
            maker = makers.get(tensor)
            if tensor not in edge and maker is not None and maker not in taken:
                taken.add(maker)
                waiting += interpreter.NodeInputs(maker).tolist()
    left = {node for node in others if node not in taken}
    groups = sum(node - 1 not in left for node in left)
    return Delegation(len(taken), len(others), len(kernels), len(kernels) + groups)


def apply_delegates(interpreter: Any, flags: Flags, settings: Settings, log: Log) -> None:
    """Tell of the delegates that the flags ask for, in their order.

    Raises:
        ToolError: One cannot be applied, or leaves operators to the CPU where that is forbidden.
    """
    found = found_in(interpreter)
    asked = [flag for flag in DELEGATES if flags.values[flag] and _is_there(flag, settings, log)]
    asked.sort(key=lambda flag: flags.places[flag])
    if asked and not log.is_old:
        log.info(f"{DELEGATES[asked[0]][0]} delegate created.")
    if len(asked) >= 2:
        log.info(f"Going to apply {len(asked)} delegates one after another.")
    if not asked and flags.values["require_full_delegation"]:
        log.error("Disallowed CPU fallback detected.")
        raise ToolError
    rest = found
    for flag in asked:
        name = DELEGATES[flag][0]
        how = rest if flag == XNNPACK else _pretended(name, rest, settings, log)
        _tell(how, flag, flags.values["require_full_delegation"], log)
        rest = _rest(how)
    if XNNPACK not in flags.places:
        _tell_runtime(rest, XNNPACK, log)


def _is_there(flag: str, settings: Settings, log: Log) -> bool:
    """Whether the build has the delegate; if not the tool warns, and goes on without."""
    name = DELEGATES[flag][0]
    if settings.value(name.lower()) != "absent":
        return True
    log.warn(f"{name} acceleration is unsupported on this platform.")
    return False


def _pretended(name: str, rest: Delegation, settings: Settings, log: Log) -> Delegation:
    """What a delegate that is not here is said to take of `rest`."""
    log.runtime(f"INFO: Created TensorFlow Lite delegate for {name}.")
    how = settings.value(name.lower())
    if how == "partial" and rest.total > 1:
        return Delegation(rest.total - 1, rest.total, 1, 2)
    if how in ("partial", "full"):
        return Delegation(rest.total, rest.total, 1, 1)
    log.error(f"Failed to apply {name} delegate.")
    raise ToolError


def _rest(how: Delegation) -> Delegation:
    """What the next delegate takes: all that is left, which never is a kernel of another."""
    left = how.total - how.taken
    return Delegation(left, left + how.kernels, 1 if left else 0, how.partitions)


def _tell(how: Delegation, flag: str, must_be_full: bool, log: Log) -> None:
    _tell_runtime(how, flag, log)
    if must_be_full and not how.is_full:
        log.error("Disallowed CPU fallback detected.")
        raise ToolError
    name = DELEGATES[flag][0]
    applied = f"Explicitly applied {name} delegate, and the model graph will be"
    if how.is_full:
        log.info(f"{applied} completely executed by the delegate.")
    elif how.kernels:
        log.info(
            f"{applied} partially executed by the delegate w/ {how.kernels} delegate kernels."
        )
    else:
        log.info(
            f"Though {name} delegate is explicitly applied, the model graph will not be executed "
            "by the delegate."
        )


def _tell_runtime(how: Delegation, flag: str, log: Log) -> None:
    """The runtime's own line, which phones print (minimal_logging_android.cc)."""
    if not how.taken:
        return
    tail = f"with delegate ({DELEGATES[flag][1]}) node, yielding {how.partitions} partitions"
    if log.is_old:
        log.runtime(f"INFO: Replacing {how.taken} node(s) {tail}.")
    else:
        log.runtime(
            f"VERBOSE: Replacing {how.taken} out of {how.total} node(s) {tail} for subgraph 0."
        )
