"""LiteRT's profiler, through the C interface of the library in the wheel.

The Python interface has no profiler; the C interface exports one, without headers in the wheel.
What is declared here was tried with the versions in `VERIFIED`; the layout of an event differs
from version to version, and a wrong one reads wild pointers. So other versions are refused, and
this runs in a process of its own whose crash its parent survives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import MeasurementError, UnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "ai-edge-litert"
VERIFIED = ("2.3.0",)
OPERATOR_EVENT, DELEGATE_EVENT = 2, 8
"""Kinds of events: an operator of the interpreter itself, and one inside a delegate."""

_CPU = 1
_BUILT_IN_KERNELS = 2
_LOCK_WRITE = 1
_TYPE_BYTES = 512
_Pointer = ctypes.c_void_p
_Free = ctypes.CFUNCTYPE(None, _Pointer)


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("total", "in_use", "allocated")]


class _Event(ctypes.Structure):
    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("duration_us", ctypes.c_uint64),
        ("memory_before", _Memory),
        ("memory_after", _Memory),
        ("number", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


@dataclass(frozen=True)
class Event:
    """One stretch of time that LiteRT tells of.

    Attributes:
        tag: What it was, as LiteRT calls it.
        kind: `OPERATOR_EVENT`, `DELEGATE_EVENT` or another number.
        number: Of the operator in its subgraph, or in the delegate's part of it.
        subgraph: Number of the subgraph, for operators of the interpreter.
    """

    tag: str
    kind: int
    duration_us: int
    number: int
    subgraph: int


class ProfiledModel:
    """A model in LiteRT with its inputs in place and its profiler at hand."""

    def __init__(
        self, library: _Library, run: Callable[[], None], profiler: ctypes.c_void_p
    ) -> None:
        self._library = library
        self._run = run
        self._profiler = profiler

    def run(self) -> None:
        """One run that is not profiled."""
        self._run()

    def profiled_run(self) -> tuple[Event, ...]:
        """One run, and what it consisted of."""
        call = self._library.call
        call("ResetProfiler", self._profiler)
        call("StartProfiler", self._profiler)
        self._run()
        call("StopProfiler", self._profiler)
        count = ctypes.c_int()
        call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * max(count.value, 1))()
        call("GetProfilerEvents", self._profiler, count, events)
        return tuple(
            Event(
                (event.tag or b"").decode(errors="replace"),
                int(event.kind),
                int(event.duration_us),
                int(event.number),
                int(event.subgraph),
            )
            for event in events[: count.value]
        )


def unavailable_reason() -> str | None:
    """Why LiteRT's profiler cannot be reached here, with the repair, or None if it can."""
    from importlib.metadata import version

    if find_spec("ai_edge_litert") is None:
        return (
            f"{PACKAGE} is not installed; install it with: pip install {PACKAGE}=={VERIFIED[-1]}"
        )
    if (found := version(PACKAGE)) not in VERIFIED:
        return (
            f"LiteRT's profiler is reached through an interface that differs between versions: "
            f"known are {', '.join(VERIFIED)}, installed is {found}; "
            f"pip install {PACKAGE}=={VERIFIED[-1]}"
        )
    return None


@contextmanager
def open_profiled(
    model: Path, inputs: Sequence[NDArray[Any]], threads: int, has_xnnpack: bool = True
) -> Iterator[ProfiledModel]:
    """`model` on the CPU, its inputs in place, ready to be profiled.

    Args:
        model: A TFLite file.
        inputs: As the file declares them, in any order: each goes to the first input of its size.
        threads: Of the kernels.
        has_xnnpack: Whether XNNPACK runs what it can; else TFLite's built-in kernels run.

    Raises:
        UnavailableError: The installed version is not one whose interface is known.
        MeasurementError: LiteRT refuses the model, or an input fits none of it.
    """
    if reason := unavailable_reason():
        raise UnavailableError(reason)
    library = _Library()
    with ExitStack() as stack:
        environment = library.made("Environment", stack, 0, None)
        loaded = library.made_by(
            "CreateModelFromFile", "Model", stack, environment, str(model).encode()
        )
        options = library.made("Options", stack)
        library.call("SetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        library.add_options(options, b"runtime_options_string", "enable_profiling = true\n")
        kernels = "" if has_xnnpack else f"kernel_mode = {_BUILT_IN_KERNELS}\n"
        library.add_options(options, b"xnnpack", f"num_threads = {threads}\n{kernels}")
        compiled = library.made("CompiledModel", stack, environment, loaded, options)
        signature = _Pointer()
        library.call("GetModelSignature", loaded, ctypes.c_size_t(0), ctypes.byref(signature))
        given = library.buffers("Input", environment, compiled, signature, stack)
        taken = library.buffers("Output", environment, compiled, signature, stack)
        library.fill(given, inputs, model)
        profiler = _Pointer()
        library.call("CompiledModelGetProfiler", compiled, ctypes.byref(profiler))

        def run() -> None:
            library.call(
                "RunCompiledModel",
                compiled,
                ctypes.c_size_t(0),
                ctypes.c_size_t(len(given)),
                given,
                ctypes.c_size_t(len(taken)),
                taken,
            )

        yield ProfiledModel(library, run, profiler)


class _Library:
    """LiteRT's shared library: each function answers 0, or the number of an error."""

    def __init__(self) -> None:
        import ai_edge_litert

        folder = Path(str(ai_edge_litert.__file__)).parent
        self._library = ctypes.CDLL(str(folder / "libLiteRt.so"))
        self._kept: list[object] = []

    def call(self, function: str, *args: Any) -> None:
        """Call `LiteRt<function>`.

        Raises:
            MeasurementError: It answers that it failed.
        """
        status = getattr(self._library, f"LiteRt{function}")(*args)
        if status:
            raise MeasurementError(f"LiteRt{function} failed with status {status}.")

    def made(self, noun: str, stack: ExitStack, *args: Any) -> ctypes.c_void_p:
        """A new object, destroyed with `stack`."""
        return self.made_by(f"Create{noun}", noun, stack, *args)

    def made_by(self, function: str, noun: str, stack: ExitStack, *args: Any) -> ctypes.c_void_p:
        """What `function` makes, destroyed with `stack`."""
        target = _Pointer()
        self.call(function, *args, ctypes.byref(target))
        destroy = getattr(self._library, f"LiteRtDestroy{noun}")
        destroy.restype = None
        stack.callback(destroy, target)
        return target

    def add_options(self, options: ctypes.c_void_p, name: bytes, toml: str) -> None:
        """Give `options` those that only text can express; `options` frees them."""
        text = ctypes.create_string_buffer(toml.encode())
        free = _Free(lambda _: None)
        self._kept += [text, free]
        opaque = _Pointer()
        payload = ctypes.cast(text, _Pointer)
        self.call("CreateOpaqueOptions", name, payload, free, ctypes.byref(opaque))
        self.call("AddOpaqueOptions", options, opaque)

    def buffers(
        self,
        side: str,
        environment: ctypes.c_void_p,
        compiled: ctypes.c_void_p,
        signature: ctypes.c_void_p,
        stack: ExitStack,
    ) -> Any:
        """A buffer for every tensor of one side, `Input` or `Output`, as an array of pointers."""
        count = ctypes.c_size_t()
        self.call(f"GetNumSignature{side}s", signature, ctypes.byref(count))
        found = (_Pointer * count.value)()
        for index in range(count.value):
            number = ctypes.c_size_t(index)
            tensor, needs = _Pointer(), _Pointer()
            kind = (ctypes.c_char * _TYPE_BYTES)()
            self.call(f"GetSignature{side}TensorByIndex", signature, number, ctypes.byref(tensor))
            self.call("GetRankedTensorType", tensor, kind)
            self.call(
                f"GetCompiledModel{side}BufferRequirements",
                compiled,
                ctypes.c_size_t(0),
                number,
                ctypes.byref(needs),
            )
            made = self.made_by(
                "CreateManagedTensorBufferFromRequirements",
                "TensorBuffer",
                stack,
                environment,
                kind,
                needs,
            )
            found[index] = made.value
        return found

    def fill(self, buffers: Any, inputs: Sequence[NDArray[Any]], model: Path) -> None:
        """Copy each of `inputs` to the first buffer of its size that is still empty."""
        waiting = list(inputs)
        for pointer in buffers:
            size = ctypes.c_size_t()
            self.call("GetTensorBufferPackedSize", _Pointer(pointer), ctypes.byref(size))
            index = next((i for i, x in enumerate(waiting) if x.nbytes == size.value), None)
            if index is None:
                raise MeasurementError(
                    f"{model} takes an input of {size.value} bytes; given were arrays of "
                    f"{[array.nbytes for array in inputs]} bytes."
                )
            data = waiting.pop(index).tobytes()
            address = _Pointer()
            lock = ctypes.c_int(_LOCK_WRITE)
            self.call("LockTensorBuffer", _Pointer(pointer), ctypes.byref(address), lock)
            ctypes.memmove(address, data, len(data))
            self.call("UnlockTensorBuffer", _Pointer(pointer))
