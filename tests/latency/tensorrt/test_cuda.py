"""Calls of CUDA: each checked, and each as the installed package has it."""

import inspect
import sys

import numpy as np
import pytest

from elat.core.errors import MeasurementError, UnavailableError
from elat.latency.tensorrt.cuda import MISSING, Cuda, load_api, missing_gpu_reason

from .fake_cuda import Error, FakeCuda

CALLS = sorted(name for name in vars(FakeCuda) if name.startswith("cuda") and callable(
    getattr(FakeCuda, name)))  # fmt: skip


def real():
    pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-python")
    return load_api()


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_those_of_the_package(name):
    """Same name, same number of parameters: the pretended GPU answers what a real one is asked."""
    of_real = inspect.signature(getattr(real(), name)).parameters
    of_fake = list(inspect.signature(getattr(FakeCuda, name)).parameters)[1:]
    assert len(of_fake) == len(of_real)


def test_constants_are_those_of_the_package():
    api, fake = real(), FakeCuda()
    assert int(api.cudaStreamNonBlocking) == fake.cudaStreamNonBlocking
    for group in ("cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr"):
        for name, value in vars(getattr(fake, group)).items():
            assert int(getattr(getattr(api, group), name)) == value
    for error in Error:
        assert int(getattr(api.cudaError_t, error.name)) == error


def test_every_call_that_elat_makes_is_pretended():
    """A call that the pretended GPU does not know would never be tested."""
    source = inspect.getsource(sys.modules[Cuda.__module__])
    made = {word.split('"')[0] for word in source.split('_call("')[1:]}
    assert made <= set(CALLS)


def test_a_machine_without_a_driver_says_so():
    api = real()
    reason = missing_gpu_reason(api, 0)
    if reason is None:
        pytest.skip("this machine has a GPU")
    assert "driver" in reason or "no GPU" in reason


@pytest.mark.parametrize(
    ("prepare", "index", "text"),
    [
        (lambda f: f.refused.update(cudaGetDeviceCount=Error.cudaErrorInsufficientDriver), 0,
         "driver does not answer (cudaErrorInsufficientDriver); load it: sudo modprobe nvidia"),
        (lambda f: f.refused.update(cudaGetDeviceCount=Error.cudaErrorNoDevice), 0,
         "finds no GPU; list those of this machine with: nvidia-smi -L"),
        (lambda f: setattr(f, "devices", 0), 0, "finds no GPU"),
        (lambda f: None, 1, "no GPU 1, CUDA finds 1"),
    ],
)  # fmt: skip
def test_says_what_is_missing(api, prepare, index, text):
    prepare(api)
    assert text in str(missing_gpu_reason(api, index))


def test_a_gpu_is_enough(api):
    assert missing_gpu_reason(api, 0) is None


def test_the_package_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(UnavailableError) as caught:
        load_api()
    assert str(caught.value) == MISSING


def test_says_which_gpu_it_is(cuda):
    assert cuda.name() == "Pretended GPU"
    assert cuda.compute_capability() == "sm86"
    assert cuda.bus_id() == "0000:01:00.0"
    assert cuda.l2_bytes() == 48 << 20
    assert cuda.versions() == {"driver": 13000, "runtime": 13000}


def test_arrays_travel_there_and_back(api, cuda):
    given = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    with (
        cuda.stream() as stream,
        cuda.memory(given.nbytes) as address,
        cuda.pinned(given) as there,
        cuda.pinned(np.zeros_like(given)) as back,
    ):
        cuda.to_device(address, there, stream)
        cuda.to_host(back, address, stream)
        cuda.synchronise(stream)
        np.testing.assert_array_equal(back, given)
    assert api.leaked() == []


@pytest.mark.parametrize("name", ["cudaSetDevice", "cudaMalloc", "cudaMallocHost"])
def test_a_call_that_fails_says_its_name(api, name):
    api.refused[name] = Error.cudaErrorInvalidValue
    with pytest.raises(MeasurementError, match=f"{name} failed: cudaErrorInvalidValue"):
        cuda = Cuda(api, 0)
        with cuda.memory(4), cuda.pinned(np.zeros(1)):
            pass
    assert api.leaked() == []
