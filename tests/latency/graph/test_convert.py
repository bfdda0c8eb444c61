"""Our writers against the converters of others."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from elat.core.errors import UnavailableError
from elat.core.seeding import torch_generator
from elat.latency.graph import convert
from elat.latency.graph.ir import Activation
from elat.latency.graph.onnx_file import write_onnx
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.weights import initialise, randomise_statistics

NETWORK = Chain(
    (
        Conv(3, 8, 16, 3, 2),
        MBConv(8, 8, 8, 5, 1, 3, True, Activation.HSWISH),
        GlobalPool(8, 8),
        Linear(8, 4),
    )
)


@pytest.fixture
def module():
    module = NETWORK.build()
    initialise(module, torch_generator(0, "weights"))
    randomise_statistics(module, torch_generator(0, "statistics"))
    return module


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)


def _run_onnx(data: bytes, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


@pytest.mark.slow
@pytest.mark.skipif(
    convert.onnx_unavailable_reason() is not None, reason=str(convert.onnx_unavailable_reason())
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx_agrees_with_torchs_exporter(module, x):
    module.train()
    exported = _run_onnx(convert.to_onnx(module, (x,)), x)
    assert module.training
    written = _run_onnx(write_onnx(NETWORK.lower(module.eval())), x)
    np.testing.assert_allclose(written, exported, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    convert.tflite_unavailable_reason() is not None,
    reason=str(convert.tflite_unavailable_reason()),
)
@pytest.mark.filterwarnings("ignore")
def test_tflite_agrees_with_litert_torch(module, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=convert.to_tflite(module, (x,)))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_what_is_missing_is_named_with_its_command(module, x, monkeypatch):
    monkeypatch.setattr(convert, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install onnxscript"):
        convert.to_onnx(module, (x,))
    with pytest.raises(UnavailableError, match="pip install litert-torch"):
        convert.to_tflite(module, (x,))
