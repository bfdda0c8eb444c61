"""A GPU that does not exist, behind the calls of CUDA that elat makes; with a timeline of its own.

Work on the stream starts when the host has handed it over and the work before it is done. What the
calls read and write is real memory of this process. Names and parameters of the calls are held
against the installed package by `test_cuda.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace

CALL_NS = 1_000
SWEEP_NS = 100_000


class Error(IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorInvalidValue = 1  # noqa: N815
    cudaErrorInsufficientDriver = 35  # noqa: N815
    cudaErrorNoDevice = 100  # noqa: N815
    cudaErrorNotReady = 600  # noqa: N815
    cudaErrorLaunchFailure = 719  # noqa: N815


OK = Error.cudaSuccess


class Handle(int):
    """A stream, an event or a graph: a number, and what belongs to it."""


class FakeCuda(ModuleType):
    """Stands in for `cuda.bindings.runtime`, with one GPU.

    Attributes:
        host_ns: The host's clock, and
        gpu_ns: when the stream will be done.
        calls: Names of the calls so far.
        refused: Calls that fail, with their errors.
        held: What is not freed yet, by kind.
    """

    cudaStreamNonBlocking = 1  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaDeviceAttr = SimpleNamespace(  # noqa: N815
        cudaDevAttrL2CacheSize=38,
        cudaDevAttrComputeCapabilityMajor=75,
        cudaDevAttrComputeCapabilityMinor=76,
    )

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.host_ns = self.gpu_ns = 0
        self.calls: list[str] = []
        self.refused: dict[str, Error] = {}
        self.held: dict[str, set[int]] = {
            kind: set() for kind in ("stream", "event", "memory", "pinned", "graph", "launchable")
        }
        self.memory: dict[int, ctypes.Array] = {}
        self.reached: dict[int, int] = {}
        self.recorded: dict[int, list[Callable[[], None]]] = {}
        self.capturing: list[Callable[[], None]] | None = None
        self.attributes = {38: 48 << 20, 75: 8, 76: 6}
        self.devices = 1
        self._next = 1

    def work(self, duration_ns: int, effect: Callable[[], object] = lambda: None) -> None:
        """Put work on the stream, or into the graph that is being recorded."""

        def run() -> None:
            self.gpu_ns = max(self.gpu_ns, self.host_ns) + duration_ns
            effect()

        if self.capturing is None:
            run()
        else:
            self.capturing.append(run)

    def leaked(self) -> list[str]:
        """Kinds of things that were not freed."""
        return [kind for kind, numbers in self.held.items() if numbers]

    def _enter(self, name: str) -> Error:
        self.calls.append(name)
        self.host_ns += CALL_NS
        return self.refused.get(name, OK)

    def _made(self, name: str, kind: str) -> tuple[Error, Handle | None]:
        if error := self._enter(name):
            return error, None
        self._next += 1
        self.held[kind].add(self._next)
        return OK, Handle(self._next)

    def _freed(self, name: str, kind: str, number: int) -> tuple[Error]:
        if error := self._enter(name):
            return (error,)
        if number not in self.held[kind]:
            return (Error.cudaErrorInvalidValue,)
        self.held[kind].discard(number)
        return (OK,)

    def cudaGetDeviceCount(self):  # noqa: N802
        error = self._enter("cudaGetDeviceCount")
        return error, None if error else self.devices

    def cudaSetDevice(self, device):  # noqa: N802
        return (self._enter("cudaSetDevice"),)

    def cudaDeviceGetAttribute(self, attr, device):  # noqa: N802
        return self._enter("cudaDeviceGetAttribute"), self.attributes[attr]

    def cudaGetDeviceProperties(self, device):  # noqa: N802
        return self._enter("cudaGetDeviceProperties"), SimpleNamespace(
            name=b"Pretended GPU" + 243 * b"\0"
        )

    def cudaDeviceGetPCIBusId(self, length, device):  # noqa: N802
        return self._enter("cudaDeviceGetPCIBusId"), b"0000:01:00.0\0" + 19 * b" "

    def cudaDriverGetVersion(self):  # noqa: N802
        return self._enter("cudaDriverGetVersion"), 13000

    def cudaRuntimeGetVersion(self):  # noqa: N802
        return self._enter("cudaRuntimeGetVersion"), 13000

    def cudaStreamCreateWithFlags(self, flags):  # noqa: N802
        return self._made("cudaStreamCreateWithFlags", "stream")

    def cudaStreamDestroy(self, stream):  # noqa: N802
        return self._freed("cudaStreamDestroy", "stream", stream)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        error = self._enter("cudaStreamSynchronize")
        self.host_ns = max(self.host_ns, self.gpu_ns)
        return (error,)

    def cudaEventCreate(self):  # noqa: N802
        return self._made("cudaEventCreate", "event")

    def cudaEventDestroy(self, event):  # noqa: N802
        return self._freed("cudaEventDestroy", "event", event)

    def cudaEventRecord(self, event, stream):  # noqa: N802
        error = self._enter("cudaEventRecord")
        self.gpu_ns = max(self.gpu_ns, self.host_ns)
        self.reached[event] = self.gpu_ns
        return (error,)

    def cudaEventSynchronize(self, event):  # noqa: N802
        error = self._enter("cudaEventSynchronize")
        self.host_ns = max(self.host_ns, self.reached[event])
        return (error,)

    def cudaEventElapsedTime(self, start, end):  # noqa: N802
        if error := self._enter("cudaEventElapsedTime"):
            return error, None
        if max(self.reached[start], self.reached[end]) > self.host_ns:
            return Error.cudaErrorNotReady, None
        return OK, (self.reached[end] - self.reached[start]) / 1e6

    def cudaMalloc(self, size):  # noqa: N802
        return self._allocated("cudaMalloc", "memory", size)

    def cudaFree(self, devPtr):  # noqa: N802, N803
        return self._freed("cudaFree", "memory", devPtr)

    def cudaMallocHost(self, size):  # noqa: N802
        return self._allocated("cudaMallocHost", "pinned", size)

    def cudaFreeHost(self, ptr):  # noqa: N802
        return self._freed("cudaFreeHost", "pinned", ptr)

    def _allocated(self, name: str, kind: str, size: int) -> tuple[Error, int | None]:
        if error := self._enter(name):
            return error, None
        # What is swept is never looked at, and need not be there.
        block = (ctypes.c_byte * min(size, 1 << 24))()
        address = ctypes.addressof(block)
        self.memory[address] = block
        self.held[kind].add(address)
        return OK, address

    def cudaMemcpyAsync(self, dst, src, count, kind, stream):  # noqa: N802
        error = self._enter("cudaMemcpyAsync")
        self.work(CALL_NS, lambda: ctypes.memmove(dst, src, count))
        return (error,)

    def cudaMemsetAsync(self, devPtr, value, count, stream):  # noqa: N802, N803
        error = self._enter("cudaMemsetAsync")
        self.work(SWEEP_NS)
        return (error,)

    def cudaStreamBeginCapture(self, stream, mode):  # noqa: N802
        error = self._enter("cudaStreamBeginCapture")
        self.capturing = []
        return (error,)

    def cudaStreamEndCapture(self, stream):  # noqa: N802
        error, graph = self._made("cudaStreamEndCapture", "graph")
        self.recorded[graph or 0] = self.capturing or []
        self.capturing = None
        return error, graph

    def cudaGraphInstantiate(self, graph, flags):  # noqa: N802
        error, launchable = self._made("cudaGraphInstantiate", "launchable")
        self.recorded[launchable or 0] = self.recorded[graph]
        return error, launchable

    def cudaGraphDestroy(self, graph):  # noqa: N802
        return self._freed("cudaGraphDestroy", "graph", graph)

    def cudaGraphExecDestroy(self, graphExec):  # noqa: N802, N803
        return self._freed("cudaGraphExecDestroy", "launchable", graphExec)

    def cudaGraphLaunch(self, graphExec, stream):  # noqa: N802, N803
        error = self._enter("cudaGraphLaunch")
        for run in self.recorded[graphExec]:
            run()
        return (error,)
