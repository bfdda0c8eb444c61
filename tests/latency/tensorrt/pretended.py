"""A machine with a pretended GPU, driver and TensorRT, for this process and for workers.

As a program it is a worker on such a machine: `python pretended.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import importlib
from importlib.machinery import ModuleSpec
from types import ModuleType

from elat.latency.tensorrt import package as packages

if __name__ == "__main__":
    fake_cuda = importlib.import_module("latency.tensorrt.fake_cuda")
    fake_tensorrt = importlib.import_module("latency.tensorrt.fake_tensorrt")
else:
    from . import fake_cuda, fake_tensorrt


def modules():
    """Modules by name that make a machine with a GPU, with the fakes behind them."""
    api = fake_cuda.FakeCuda()
    module = fake_tensorrt.FakeTensorRt(api)
    module.__spec__ = ModuleSpec("tensorrt", None)
    bindings = ModuleType("cuda.bindings")
    vars(bindings)["runtime"] = api
    return api, module, {"cuda.bindings": bindings, "tensorrt": module, "pynvml": None}


def install(monkeypatch, home: Path):
    """Make this process's machine such a one until the test ends; `home` is its ELAT_HOME."""
    api, module, found = modules()
    for name, value in found.items():
        monkeypatch.setitem(sys.modules, name, value)
    monkeypatch.setattr(packages, "_version", lambda name: module.__version__)
    monkeypatch.setenv("ELAT_HOME", str(home / "home"))
    return api, module


def main() -> None:
    """Serve as a worker."""
    _, _, found = modules()
    sys.modules.update(found)
    packages._version = lambda name: "10.13.0"
    importlib.import_module("elat.latency.worker").main()


if __name__ == "__main__":
    main()
