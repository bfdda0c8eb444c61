"""A model in TFLite's interpreter, its inputs at hand."""

# ruff: noqa: PTH112, PTH118, PTH123 - pathlib is slow to load
from __future__ import annotations

import os
import sys
import types
from importlib import import_module

from .flags import Flags
from .layers import Layer
from .log import Log, ToolError

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from typing import Any

_CORE = "numpy._core._multiarray_umath"
_WITH_XNNPACK, _WITHOUT_XNNPACK = 1, 3  # OpResolverType of ai_edge_litert.interpreter


def load_wrapper() -> Any:
    """The interpreter of ai-edge-litert, with the compiled core of NumPy alone.

    NumPy's Python part takes 70 of 110 ms of the start-up and is not needed. Where its core does
    not load without it, all of NumPy is loaded.
    """
    if "numpy" not in sys.modules:
        _load_numpy_core()
    from ai_edge_litert import _pywrap_litert_interpreter_wrapper

    return _pywrap_litert_interpreter_wrapper


def _load_numpy_core() -> None:
    folders = [os.path.join(folder, "numpy") for folder in sys.path]
    home = next(folder for folder in folders if os.path.isdir(folder))
    for name, path in (("numpy", home), ("numpy._core", os.path.join(home, "_core"))):
        sys.modules[name] = module = types.ModuleType(name)
        module.__path__ = [path]
    sys.modules["numpy"]._core = sys.modules["numpy._core"]  # type: ignore[attr-defined]
    try:
        import_module(_CORE)
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "numpy"]:
            del sys.modules[name]
        import numpy  # noqa: F401


def is_without_xnnpack(flags: Flags) -> bool:
    """Whether the flags say that XNNPACK shall not be applied."""
    return "use_xnnpack" in flags.places and not flags.values["use_xnnpack"]


def load_model(wrapper: Any, flags: Flags, log: Log) -> Session:
    """The model in an interpreter; XNNPACK is applied unless the flags say no."""
    path, threads = flags.values["graph"], flags.values["num_threads"]
    resolver = _WITHOUT_XNNPACK if is_without_xnnpack(flags) else _WITH_XNNPACK
    options: tuple[Any, ...]
    options = (resolver, [], [], False, False, max(1, threads), False, False, False, False)
    try:
        interpreter = wrapper.CreateWrapperFromFile(path, *options)
    except (ValueError, RuntimeError) as error:
        for part in str(error).replace(".The ", ".\nThe ").splitlines():
            log.runtime(f"ERROR: {part}")
        log.error(f"Failed to load model {path}")
        raise ToolError from error
    log.info(f"Loaded model {path}")
    if threads < -1:
        log.error("Failed to set thread number")
        raise ToolError
    return Session(interpreter)


class Session:
    """A model in the interpreter.

    Attributes:
        run: Runs it once.
    """

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter
        self.run = interpreter.Invoke
        self._copies: list[tuple[memoryview, bytes]] = []

    def tensor(self, index: int) -> Any:
        """The array over the memory of a tensor."""
        return self.interpreter.tensor(self.interpreter, index)

    def inputs(self) -> list[Any]:
        """The arrays over the memory of the inputs."""
        return [self.tensor(index) for index in self.interpreter.InputIndices()]

    def use_signature(self, wanted: str, log: Log) -> None:
        """Say which signature runs: the only one, or the one that is wanted."""
        keys = list(self.interpreter.GetSignatureDefs() or {})
        if not keys and wanted:
            log.error("Signature key is specified, but the model does not have any signatures.")
            raise ToolError
        if not keys:
            return
        if len(keys) == 1:
            wanted = wanted or keys[0]
        if wanted not in keys:
            log.error(
                "Signature not specified or incorrect. Pass one of the following to the flag "
                '"--signature_to_run_for"'
            )
            for key in keys:
                log.error(f" #> Signature key: {key}")
            raise ToolError
        log.info(f"Using signature: {wanted}")

    def resize(self, layers: list[Layer], log: Log) -> None:
        """Hold the inputs against the flags, and give them the shapes of these."""
        indices = list(self.interpreter.InputIndices())
        if layers and len(layers) != len(indices):
            log.fatal(f"Inputs mismatch: Model inputs #:{len(layers)} expected: {len(indices)}")
        for layer, index in zip(layers, indices, strict=False):
            name = self.interpreter.TensorName(index, 0)
            shape = self.interpreter.TensorSize(index, 0).tolist()
            if layer.name != name:
                log.warn(f"Tensor # {index} is named {name} but flags call it {layer.name}")
            if len(layer.shape) != len(shape):
                log.error(f"Input tensor #{index} should have {len(shape)} dimensions!")
                raise ToolError
            if layer.shape != shape:
                array = _numpy_core().array(layer.shape, "i")
                self.interpreter.ResizeInputTensor(index, array, False, 0)

    def allocate(self, log: Log) -> None:
        try:
            self.interpreter.AllocateTensors()
        except RuntimeError as error:
            log.runtime(f"ERROR: {error}")
            log.error("Failed to allocate tensors!")
            raise ToolError from error

    def prepare(self, layers: list[Layer], log: Log) -> None:
        """Read the values of the inputs, or make them up as the tool does."""
        for number, tensor in enumerate(self.inputs()):
            path = layers[number].path if layers else ""
            data = _values_in(path, tensor.nbytes, log) if path else random_values(tensor)
            self._copies.append((memoryview(tensor).cast("B"), data))

    def reset(self) -> None:
        """Write the values into the inputs again: operators may use that memory."""
        for view, data in self._copies:
            view[:] = data

    def save(self, path: str) -> None:
        """Write all outputs as they lie in memory; the tool says nothing if it cannot."""
        try:
            with open(path, "wb") as file:
                for index in self.interpreter.OutputIndices():
                    file.write(self.tensor(index).tobytes())
        except OSError:
            return


def random_values(tensor: Any) -> bytes:
    """Values in the tool's ranges (`GetDataRangesForType`), the same in every process."""
    noise = _numpy_core().arange(tensor.size, dtype="I") * 2654435761
    kind, size = tensor.dtype.kind, tensor.dtype.itemsize
    if kind == "f":
        values = noise / 2.0**32 - 0.5
    else:
        low, high = {"b": (0, 1), "i": (-127, 127), "u": (0, 254)}[kind] if size == 1 else (0, 99)
        values = (noise >> 8).astype("q") % (high - low + 1) + low
    return bytes(values.astype(tensor.dtype).data.cast("B"))


def _values_in(path: str, size: int, log: Log) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        log.fatal(f"Failed to read the input_layer_value_file:{path}")
        raise
    if len(data) != size:
        log.fatal(f"The size of {path} is {len(data)} bytes. It should be {size} bytes.")
    return data


def _numpy_core() -> Any:
    return sys.modules[_CORE]
