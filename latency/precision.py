"""Number formats of weights and activations."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """Number format of weights and activations; int8 is full-integer, per-channel weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def element_bytes(self) -> int:
        """Bytes of one number."""
        return _BYTES[self]


_BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.BF16: 2, Precision.INT8: 1}
