"""A program that behaves like trtexec, on the CPU and with times of its own making.

It takes the flags of the version that it is told to be, with that version's defaults, and refuses
others as the real one does. An engine is a JSON file with the model in it; outputs are those of
ONNX Runtime. The time of an inference tells in which mode it ran.

Environment: FAKE_VERSION ("8.6.1"), FAKE_TROUBLE (what goes wrong, see `TROUBLES`), FAKE_LOG (a
file that each command line is added to), FAKE_TIMES (a file that is given out as the times of
every run with a warm-up), FAKE_DEVICE (name of the GPU), FAKE_OUTPUTS (a folder that outputs are
kept in, for runs of the same engine on the same inputs: ONNX Runtime takes half a second to load).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

TROUBLES = {
    "parser": "the parser refuses the model",
    "kernel": "there is no kernel for a node",
    "memory": "there is no kernel for a node, as memory is short",
    "crash": "the builder ends by a signal",
    "hang-build": "building never ends",
    "hang-run": "running never ends, and a child holds on",
    "no-engine": "building ends well without an engine",
    "no-times": "running ends well without times",
    "cut-times": "the times are cut short",
    "cut-output": "the output is cut short",
    "few-values": "the output holds too few values",
    "wrong-output": "the output is another one",
    "nan-output": "the output is not a number",
    "no-capture": "the engine cannot be recorded as a graph",
    "deaf": "flags of the CUDA graph are not heeded",
    "silent": "nothing at all is printed",
    "bad-layers": "the layer information is no JSON",
    "failed-0": "it says FAILED with exit code 0",
}

MODEL_VALUES = {"--onnx", "--saveEngine", "--loadEngine", "--loadInputs", "--iterations"}
VALUES = MODEL_VALUES | {
    "--duration", "--warmUp", "--exportTimes", "--exportOutput", "--exportLayerInfo", "--device",
    "--builderOptimizationLevel", "--memPoolSize", "--timingCacheFile", "--profilingVerbosity",
    "--inputIOFormats", "--outputIOFormats",
}  # fmt: skip
SWITCHES = {"--help", "--skipInference", "--noTF32", "--useCudaGraph", "--noDataTransfers",
            "--useSpinWait", "--separateProfileRun"}  # fmt: skip

COMPUTE_MS, GRAPH_SAVES_MS, SPIN_SAVES_MS, TRANSFER_MS, ENQUEUE_MS = 1.0, 0.5, 0.125, 0.25, 0.25


def flags_of(version):
    switches = set(SWITCHES)
    if version < (11,):
        switches |= {"--fp16", "--int8"}
    if version >= (9,):
        switches |= {"--stronglyTyped"}
    if (9,) <= version < (11,):
        switches |= {"--bf16"}
    if version >= (11,):
        switches |= {"--noCudaGraph", "--includeDataTransfers", "--noSpinWait"}
    return switches


def mode_of(given, version, trouble):
    """Graph, transfers and spin-wait as the version understands the flags."""
    if version >= (11,):
        mode = ("--noCudaGraph" not in given, "--includeDataTransfers" in given,
                "--noSpinWait" not in given)  # fmt: skip
    else:
        mode = ("--useCudaGraph" in given, "--noDataTransfers" not in given,
                "--useSpinWait" in given)  # fmt: skip
    return (not mode[0], *mode[1:]) if trouble == "deaf" else mode


def say(text, level="I"):
    print(f"[11/27/2026-10:00:00] [{level}] {text}", flush=True)


def fail(banner, code=1):
    print(f"&&&& FAILED {banner}", flush=True)
    sys.exit(code)


def errors(*texts):
    for text in texts:
        print(f"[11/27/2026-10:00:00] [E] {text}", file=sys.stderr, flush=True)


def parse(arguments, version, banner):
    given: dict[str, str] = {}
    unknown = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        known = name in VALUES if value else name in flags_of(version)
        (given.__setitem__(name, value) if known else unknown.append(argument))
    if unknown:
        print("=== Model Options ===\n  --onnx=<file>               ONNX model")
        errors(*(f"Unknown option: {argument}" for argument in unknown))
        fail(banner)
    return given


def build(given, version, trouble, banner):
    if trouble == "hang-build":
        time.sleep(1000)
    if trouble == "crash":
        os.kill(os.getpid(), 11)
    last = ("Failed to create engine from model or file.", "Engine set up failed")
    if trouble == "parser":
        errors(
            '[TRT] ModelImporter.cpp:948: While parsing node number 3 [Tile -> "y"]:',
            "[TRT] Assertion failed: no Tile like that",
            "Failed to parse onnx file",
            "Parsing model failed",
            *last,
        )
        fail(banner)
    if trouble in ("kernel", "memory"):
        short = "" if trouble == "kernel" else " Requested amount of GPU memory is not there."
        errors(
            f"Error[10]: Could not find any implementation for node {{conv}}.{short}",
            "Engine could not be created from network",
            "Building engine failed",
            *last,
        )
        fail(banner)
    with Path(given["--onnx"]).open("rb") as file:
        model = file.read()
    engine = {
        "model": base64.b64encode(model).decode(),
        "version": version,
        "stronglyTyped": "--stronglyTyped" in given or version >= (11,),
        "allowed": sorted({"--fp16", "--int8", "--bf16"} & given.keys()),
        "formats": [given.get("--inputIOFormats"), given.get("--outputIOFormats")],
    }
    if trouble != "no-engine":
        with Path(given["--saveEngine"]).open("w") as file:
            json.dump(engine, file)
    with Path(given["--timingCacheFile"]).open("a") as file:
        file.write("timed\n")
    with Path(given["--exportLayerInfo"]).open("w") as file:
        output = {"Name": "y", "Format/Datatype": "Row major linear FP32"}
        layers = {"Layers": [{"Name": "conv", "Outputs": [output]}], "Bindings": ["x", "y"]}
        file.write("{" if trouble == "bad-layers" else json.dumps(layers))
    say("Engine built in 0.25 sec.")
    say("Skipped inference phase since --skipInference is added.")


def bound(engine, given):
    """The session, what it is fed with, and how its values are printed."""
    import numpy as np
    import onnx
    import onnxruntime as ort

    data = base64.b64decode(engine["model"])
    graph = onnx.load_from_string(data).graph
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    files = dict(pair.rpartition(":")[::2] for pair in given["--loadInputs"].split(","))
    weak = not engine["stronglyTyped"]
    fed = {}
    for place in session.get_inputs():
        kind = np.dtype({"tensor(float)": "f4", "tensor(float16)": "f2"}.get(place.type, "i1"))
        if weak and engine["formats"][0] is None and kind.itemsize == 1:
            kind = np.dtype("f4")  # what trtexec makes of int8 unless told otherwise
        with Path(files[place.name]).open("rb") as file:
            raw = file.read()
        wanted = int(np.prod(place.shape)) * kind.itemsize
        if len(raw) != wanted:
            raise ValueError(f"Expected: {wanted} bytes but only read: {len(raw)} bytes")
        fed[place.name] = np.frombuffer(raw, kind).reshape(place.shape)
    return session, graph, fed


def kept_output(given, engine):
    """The file that keeps the output of `engine`, or None."""
    if "FAKE_OUTPUTS" not in os.environ:
        return None
    key = hashlib.sha256(json.dumps(engine).encode())
    for pair in given["--loadInputs"].split(","):
        key.update(Path(pair.rpartition(":")[2]).read_bytes())
    return Path(os.environ["FAKE_OUTPUTS"]) / key.hexdigest()


def write_output(given, engine, trouble):
    kept = None if trouble else kept_output(given, engine)
    if kept is not None and kept.exists():
        shutil.copy(kept, given["--exportOutput"])
        return

    import numpy as np

    session, graph, fed = bound(engine, given)
    name = graph.output[0].name
    (values,) = session.run([name], fed)
    if trouble == "wrong-output":
        values = values + np.asarray(100, values.dtype)
    if trouble == "few-values":
        values = values.reshape(-1)[:-1]
    texts = [f"{float(v):g}" for v in values.reshape(-1)]
    if trouble == "nan-output":
        texts[0] = "-nan"
    shape = "x".join(map(str, values.shape))
    text = (
        f'[\n  {{ "name" : "{name}"\n  , "dimensions" : "{shape}"\n'
        f'  , "values" : [ {", ".join(texts)} ]\n  }}\n]\n'
    )
    with Path(given["--exportOutput"]).open("w") as file:
        file.write(text[: len(text) // 2] if trouble == "cut-output" else text)
    if kept is not None:
        shutil.copy(given["--exportOutput"], kept)


def write_times(given, mode, trouble):
    graph, transfers, spin = mode
    compute = COMPUTE_MS - GRAPH_SAVES_MS * graph - SPIN_SAVES_MS * spin
    moved = TRANSFER_MS * transfers
    start, rows = float(given["--warmUp"]), []
    for _ in range(int(given["--iterations"])):
        middle = start + moved
        end = middle + compute
        row = {
            "startEnqMs": start, "endEnqMs": start + ENQUEUE_MS,
            "startH2dMs": start, "endH2dMs": middle,
            "startComputeMs": middle, "endComputeMs": end,
            "startD2hMs": end, "endD2hMs": end + moved,
            "h2dMs": moved, "computeMs": compute, "d2hMs": moved,
            "latencyMs": compute + 2 * moved,
        }  # fmt: skip
        rows.append(", ".join(f'"{key}" : {value:g}' for key, value in row.items()))
        start = end + moved
    text = "[\n  " + "\n, ".join(f"{{ {row} }}" for row in rows) + "\n]\n"
    with Path(given["--exportTimes"]).open("w") as file:
        file.write(text[: len(text) // 2] if trouble == "cut-times" else text)


def run(given, version, trouble):
    with Path(given["--loadEngine"]).open() as file:
        engine = json.load(file)
    mode = mode_of(given, version, trouble)
    say("Engine deserialized in 0.125 sec.")
    if trouble == "hang-run":
        sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
        subprocess.Popen([*sleep, given["--loadEngine"]])
        time.sleep(1000)
    if trouble == "no-capture":
        say("The CUDA graph capture on the stream has failed.", "W")
    if given["--warmUp"] != "0":
        say("Warmup completed 200 queries over 200 ms")
    if "--exportOutput" in given:
        write_output(given, engine, trouble)
    elif trouble == "no-times":
        return
    if given["--warmUp"] != "0" and os.environ.get("FAKE_TIMES"):
        shutil.copy(os.environ["FAKE_TIMES"], given["--exportTimes"])
    else:
        write_times(given, mode, trouble)


def main():
    version = tuple(map(int, os.environ["FAKE_VERSION"].split(".")))
    trouble = os.environ.get("FAKE_TROUBLE", "")
    assert trouble in TROUBLES or not trouble, trouble
    if trouble == "silent":
        sys.exit(127)
    major, minor, patch = version
    packed = major * (10_000 if major >= 10 else 1_000) + minor * 100 + patch
    banner = f"TensorRT.trtexec [TensorRT v{packed}] # {' '.join(sys.argv)}"
    print(f"&&&& RUNNING {banner}", flush=True)
    if os.environ.get("FAKE_LOG") and sys.argv[1:] != ["--help"]:
        with Path(os.environ["FAKE_LOG"]).open("a") as log:
            log.write(json.dumps(sys.argv[1:]) + "\n")
    given = parse(sys.argv[1:], version, banner)
    if "--help" in given:
        print("=== Model Options ===\n  --onnx=<file>               ONNX model")
        return
    if trouble == "failed-0":
        errors("something is amiss")
        fail(banner, 0)
    switched = ("Disabled", "Enabled")
    graph, transfers, spin = mode_of(given, version, trouble)
    say(f"Data transfers: {switched[transfers]}")
    say(f"Spin-wait: {switched[spin]}")
    say(f"CUDA Graph: {switched[graph]}")
    say(f"Selected Device: {os.environ.get('FAKE_DEVICE', 'NVIDIA Pretend 4090')}")
    say("Compute Capability: 8.9")
    try:
        build(given, version, trouble, banner) if "--onnx" in given else run(
            given, version, trouble
        )
    except ValueError as error:
        errors(str(error))
        fail(banner)
    print(f"&&&& PASSED {banner}")


if __name__ == "__main__":
    main()
