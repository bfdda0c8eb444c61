"""A pretended GPU and TensorRT for every process whose `PYTHONPATH` names this folder.

Nothing of it is loaded before something asks for it. The GPU is slow, so that few runs make a
slice; its time and that of the host beside it are pretended, too, and pass at once.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

PACKAGES = ("cuda", "cuda.bindings")
NAMES = (*PACKAGES, "cuda.bindings.runtime", "tensorrt")
NODE_NS, MACS_PER_NS = 200_000, 1


@cache
def machine() -> dict[str, ModuleType]:
    """The modules that make the machine, by name."""
    home = ModuleType("pretended_machine")
    home.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["pretended_machine"] = home
    pretended = importlib.import_module("pretended_machine.pretended")
    timing = importlib.import_module("elat.latency.tensorrt.timing")
    api, module, found = pretended.modules()
    module.run_ns, module.node_ns, module.macs_per_ns = None, NODE_NS, MACS_PER_NS
    vars(timing)["time"] = SimpleNamespace(perf_counter_ns=lambda: api.host_ns)
    return {**found, "cuda": ModuleType("cuda"), "cuda.bindings.runtime": api}


class Pretended(MetaPathFinder, Loader):
    """Finds the modules of the machine, in front of what is installed."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in NAMES:
            return None
        return ModuleSpec(fullname, self, is_package=fullname in PACKAGES)

    def create_module(self, spec):
        return machine()[spec.name]

    def exec_module(self, module):
        """Nothing is left to do."""


sys.meta_path.insert(0, Pretended())
sys.modules["pynvml"] = None  # type: ignore[assignment]
