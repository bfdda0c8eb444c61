"""elat: expected latency. Measure, predict, search under a bound, prove it on the device.

Public names are resolved on first use (PEP 562), so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Architecture": "search.architecture",
    "Condition": "latency.condition",
    "Device": "devices.device",
    "ExpectedLatency": "search.expected_latency",
    "LatencyTable": "latency.table",
    "NetworkLatency": "latency.network",
    "find_device": "devices.device",
    "find_network": "search.zoo",
    "find_space": "search.spaces",
    "load": "search.zoo.weights",
    "open_store": "latency.store.opening",
    "read_model": "latency.models.folder",
    "read_run": "search.result",
    "read_table": "latency.table",
}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
