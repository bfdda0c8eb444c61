from types import SimpleNamespace

import pytest

from elat.latency.tensorrt import timing
from elat.latency.tensorrt.cuda import Cuda

from .fake_cuda import FakeCuda


@pytest.fixture
def api(monkeypatch):
    """A pretended GPU whose host's clock is the one that the loops read."""
    fake = FakeCuda()
    clock = SimpleNamespace(perf_counter_ns=lambda: fake.host_ns, sleep=None)
    monkeypatch.setattr(timing, "time", clock)
    return fake


@pytest.fixture
def cuda(api):
    return Cuda(api, 0)
