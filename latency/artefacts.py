"""Compiled operators with an input and torch's output beside them, cached by content."""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.artefact import canonical_json, read_json, sha256_of, write_bytes, write_json
from ..core.errors import ArtefactError, ConfigError, WrongOutputError
from ..core.seeding import numpy_generator, torch_generator
from .condition import Condition, Precision
from .graph.ir import Array
from .operators import Operator
from .runtimes import Runtime, runtimes

if TYPE_CHECKING:
    from torch import nn

    from .graph.quantise import Quantisation

WRITER_VERSION = 1
"""Raised when the writers or the seeded weights change, so that older artefacts are rebuilt."""

DESCRIPTION = "artefact.json"
ARRAYS = "io.npz"
_SEED = 0
_CALIBRATION_SAMPLES = 4
_FP32_ERROR = 1e-4
# Far below what sound arithmetic gives, far above what a wrong operation does: 11 bits of mantissa
# are worth about 65 dB, 8 bits 47 dB, and layers add up.
_MIN_SNR_DB = {Precision.FP16: 35.0, Precision.BF16: 20.0, Precision.INT8: 15.0}

Sample = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Artefact:
    """A model file of one runtime, an input for it, and what torch computes from that.

    Attributes:
        model_path: The file that the runtime opens; `sha256` is its hash.
        inputs: Float32, `NCHW` or `NC`, one for each input of the operator.
        expected: Output of the torch module in float32, `NCHW` or `NC`.
        max_error: Largest absolute difference allowed in fp32; None otherwise.
        min_snr_db: Smallest signal-to-noise ratio allowed, in decibels; None for fp32.
        build_ms: What building it took.
    """

    folder: Path
    model_path: Path
    sha256: str
    inputs: Sample
    expected: Array
    max_error: float | None
    min_snr_db: float | None
    seed: int
    build_ms: float
    macs: int
    params: int

    def check(self, output: Array) -> float:
        """The largest absolute difference between `output` and torch's.

        Raises:
            WrongOutputError: The shape differs, a value is not finite, or the difference is more
                than this artefact allows.
        """
        if output.shape != self.expected.shape:
            raise WrongOutputError(
                f"{self.model_path} gives {output.shape}, torch gives {self.expected.shape}."
            )
        difference = output.astype(np.float64) - self.expected
        error = float(np.abs(difference).max())
        if not np.isfinite(error):
            raise WrongOutputError(f"{self.model_path} gives values that are not finite.")
        if self.max_error is not None and error > self.max_error:
            raise WrongOutputError(
                f"{self.model_path} differs from torch by {error:.3g}; "
                f"at most {self.max_error:.3g} is allowed."
            )
        if self.min_snr_db is not None:
            found = snr_db(self.expected, output)
            if found < self.min_snr_db:
                raise WrongOutputError(
                    f"{self.model_path} has a signal-to-noise ratio of {found:.1f} dB against "
                    f"torch; at least {self.min_snr_db:.1f} dB is asked."
                )
        return error


def snr_db(expected: Array, output: Array) -> float:
    """Power of `expected` over that of the difference, in decibels; infinite if there is none."""
    noise = float(np.square(output.astype(np.float64) - expected).sum())
    signal = float(np.square(expected.astype(np.float64)).sum())
    if noise == 0.0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal > 0.0 else float("-inf")


def read_artefact(folder: Path) -> Artefact:
    """The artefact in `folder`, its files checked against their hashes; needs no torch.

    Raises:
        ArtefactError: A file is missing, cut short or changed.
    """
    data = read_json(folder / DESCRIPTION)
    try:
        model_path = folder / data["model"]
        for path, found in ((model_path, data["sha256"]), (folder / ARRAYS, data["io_sha256"])):
            if sha256_of(path.read_bytes()) != found:
                raise ArtefactError(f"{path} was changed or cut short since it was written.")
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            inputs = tuple(arrays[f"input{i}"] for i in range(data["inputs"]))
            expected = arrays["expected"]
        return Artefact(
            folder,
            model_path,
            data["sha256"],
            inputs,
            expected,
            data["max_error"],
            data["min_snr_db"],
            data["seed"],
            data["build_ms"],
            data["macs"],
            data["params"],
        )
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{folder} holds no whole artefact ({error!r}).") from error


class ArtefactCache:
    """Artefacts in `folder`, built on first use; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def artefact(self, operator: Operator, condition: Condition) -> Artefact:
        """The artefact of `operator` under `condition`; one that is missing or damaged is built.

        It depends on the operator, the runtime's file format, the precision and the batch only.

        Raises:
            UnsupportedOperatorError: The operator executes nothing, or the runtime cannot run it.
            UnavailableError: A package that writes the format is missing.
        """
        runtime = runtimes[condition.runtime]()
        identity = _identity(operator, runtime, condition)
        folder = self._folder / sha256_of(canonical_json(identity))[:32]
        if folder.exists():
            try:
                return read_artefact(folder)
            except ArtefactError:
                # Damaged on disk; what follows replaces it.
                shutil.rmtree(folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as name:
            made = Path(name) / "artefact"
            made.mkdir()
            with one_thread():
                _build(operator, runtime, condition, identity, made)
            try:
                made.rename(folder)
            except OSError:
                # Another process was faster; its artefact is the same.
                if not folder.exists():
                    raise
        return read_artefact(folder)


def export(
    operator: Operator,
    module: nn.Module,
    runtime_name: str,
    *,
    precision: Precision = Precision.FP32,
    calibration: Sequence[Sample] = (),
    batch: int = 1,
) -> bytes:
    """The model file of a trained `module`, as `runtime_name` opens it.

    Args:
        operator: What `module` was built from.
        module: From `operator.build()`; its weights and running statistics are used as they are.
        runtime_name: A name of the runtime registry; it decides the format.
        precision: A number format of the runtime; int8 is quantised after training.
        calibration: For int8, inputs typical of use: for each run one float32 array per input,
            with the batch axis.
        batch: Samples that one run of the file takes.

    Raises:
        ConfigError: int8 is asked for without calibration inputs.
        UnsupportedOperatorError: The runtime has no counterpart for a part of the operator.
    """
    from .graph.quantise import calibrate

    graph = operator.lower(module, batch)
    if precision is not Precision.INT8:
        return runtimes[runtime_name]().write(graph, precision)
    if not calibration:
        raise ConfigError("An int8 export needs calibration inputs; pass a few training images.")
    with one_thread():
        quantisation = calibrate(graph, calibration)
    return runtimes[runtime_name]().write(graph, precision, quantisation)


def one_thread() -> AbstractContextManager[object]:
    """Holds torch and BLAS to one thread.

    What is computed here is small: on a busy machine their threads wait for one another five times
    as long as one thread needs for all of it.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _identity(operator: Operator, runtime: Runtime, condition: Condition) -> dict[str, Any]:
    from .operators.serial import to_json

    return {
        "operator": to_json(operator),
        "suffix": runtime.suffix,
        "precision": condition.precision.value,
        "batch": condition.batch,
        "writer": WRITER_VERSION,
    }


def _build(
    operator: Operator,
    runtime: Runtime,
    condition: Condition,
    identity: dict[str, Any],
    folder: Path,
) -> None:
    """Write the files of an artefact into the empty `folder`, the description last."""
    started = time.perf_counter()
    module, inputs, expected = _reference(operator, condition.batch)
    graph = operator.lower(module, condition.batch)
    quantisation: Quantisation | None = None
    if condition.precision is Precision.INT8:
        from .graph.quantise import calibrate

        samples = (
            _inputs(operator, condition.batch, "calibration", index)
            for index in range(_CALIBRATION_SAMPLES)
        )
        quantisation = calibrate(graph, samples)
    model = runtime.write(graph, condition.precision, quantisation)
    is_fp32 = condition.precision is Precision.FP32
    name = f"model{runtime.suffix}"
    write_bytes(folder / name, model)
    named = {f"input{i}": array for i, array in enumerate(inputs)}
    np.savez(folder / ARRAYS, allow_pickle=False, expected=expected, **named)
    scale = max(1.0, float(np.abs(expected).max()))
    description = {
        **identity,
        "model": name,
        "sha256": sha256_of(model),
        "io_sha256": sha256_of((folder / ARRAYS).read_bytes()),
        "inputs": len(inputs),
        "max_error": _FP32_ERROR * scale if is_fp32 else None,
        "min_snr_db": _MIN_SNR_DB.get(condition.precision),
        "seed": _SEED,
        "build_ms": 1e3 * (time.perf_counter() - started),
        "macs": operator.macs,
        "params": operator.params,
    }
    write_json(folder / DESCRIPTION, description)


def _reference(operator: Operator, batch: int) -> tuple[nn.Module, Sample, Array]:
    """A module with seeded weights as training leaves them, an input, and its output."""
    import torch

    from .operators.serial import key
    from .operators.weights import initialise, randomise_statistics

    module = operator.build().eval()
    generator = torch_generator(_SEED, "weights", key(operator))
    initialise(module, generator)
    randomise_statistics(module, generator)
    inputs = _inputs(operator, batch, "check", 0)
    with torch.no_grad():
        output = module(*(torch.from_numpy(array) for array in inputs))
    return module, inputs, output.numpy().astype(np.float32)


def _inputs(operator: Operator, batch: int, purpose: str, index: int) -> Sample:
    random = numpy_generator(_SEED, "inputs", purpose, index)
    return tuple(
        random.standard_normal((batch, *shape), np.float32) for shape in operator.input_shapes
    )
