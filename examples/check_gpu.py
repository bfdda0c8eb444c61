"""Run everything of elat that needs an NVIDIA GPU, in under ten minutes, into one file.

    python examples/check_gpu.py [--out elat-gpu-check.zip] [--minutes 9] [--trtexec PATH]

It makes cards of its own (every operator alone, level 2 of the builder), measures in a folder of
its own, and changes no clock. A step that fails or runs out of time is noted and the next one
goes on. The file holds what every step printed, the stores and tables, and a summary.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elat.core.config import read_yaml

CARD = """schema: 1
id: {id}
kind: local_gpu
runtime:
  name: {runtime}
  precision: {precision}
  method: block
  cache: {cache}
  options: {options}
gpu: {{index: 0}}
gates: {{temperature_max_c: 85.0}}
"""
LEVEL = "optimisation_level: 2"
CARDS = {
    "check-fp32": ("tensorrt", "fp32", "hot", f"{{{LEVEL}}}"),
    "check-fp16": ("tensorrt", "fp16", "hot", f"{{{LEVEL}}}"),
    "check-bf16": ("tensorrt", "bf16", "hot", f"{{{LEVEL}}}"),
    "check-int8": ("tensorrt", "int8", "hot", f"{{{LEVEL}}}"),
    "check-cold": ("tensorrt", "fp16", "cold", f"{{{LEVEL}}}"),
    "check-transfers": ("tensorrt", "fp16", "hot", f"{{{LEVEL}, transfers: true}}"),
    "check-no-graph": ("tensorrt", "fp16", "hot", f"{{{LEVEL}, cuda_graph: false}}"),
}
SPACE = "proxyless-tiny"
SEARCH = ("warmup_steps=40", "steps=60", "batch_size=32", "score_batches=8")
KEPT = ("*.db", "*.yaml", "*.json", "*.txt", "*.md", "*.csv", "*.html", "*.png")
MOST_BYTES = 20 << 20


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: Of its files.
        arguments: Behind `elat`; or a program of its own if `is_program`.
        most_s: Seconds that it may take.
    """

    name: str
    arguments: tuple[str, ...]
    most_s: float
    is_program: bool = False


def steps(folder: Path, trtexec: str | None) -> list[Step]:
    """What is run, the most telling first."""
    timing = (sys.executable, str(Path(__file__).with_name("gpu_timing.py")))
    store, fp16 = str(folder / "store.db"), "check-fp16"
    run = str(folder / "run")
    found = [
        Step("devices", ("devices", "--json"), 30),
        Step("doctor", ("doctor", "local-tensorrt", "--json"), 60),
        Step("timing", (*timing, str(folder / "timing.json")), 120, is_program=True),
        Step("build", ("build", "--device", fp16, "--space", SPACE, "--json"), 180),
        Step("measure", _measure(fp16, store), 180),
        Step("table", ("table", "--device", fp16, "--space", SPACE, "--store", store,
                       "--out", str(folder / "table-fp16.yaml")), 30),
        Step("fit", ("fit", "--device", fp16, "--space", SPACE, "--store", store,
                     "--model", "lookup"), 60),
        Step("calibrate", ("calibrate", "--device", fp16, "--space", SPACE, "--store", store,
                           "--networks", "6"), 120),
        Step("search", ("search", "--device", fp16, "--space", SPACE, "--data", "digits",
                        "--bound-quantile", "0.5", "--out", run,
                        *(part for s in SEARCH for part in ("--set", s))), 120),
        Step("verify", ("verify", run, "--store", store, "--protocol", "screen"), 120),
        Step("report", ("report", run, "--out", str(folder / "report")), 60),
    ]  # fmt: skip
    if trtexec is not None:
        found.append(Step("trtexec", _measure("check-trtexec", store), 120))
    found += [Step(name, _measure(name, store), 90) for name in CARDS if name != "check-fp16"]
    return found


def _measure(card: str, store: str) -> tuple[str, ...]:
    # With one card only: where no energy can be read, the others are measured all the same.
    energy = ("--energy",) if card == "check-fp32" else ()
    return (
        "measure", "--device", card, "--space", SPACE, "--protocol", "screen", "--store", store,
        *energy, "--json",
    )  # fmt: skip


def run(step: Step, folder: Path, left_s: float) -> dict[str, object]:
    """Run `step` for as long as it may; its output goes to a file of its name."""
    command = step.arguments if step.is_program else (*ELAT, *step.arguments)
    limit_s = min(step.most_s, left_s)
    noted: dict[str, object] = {"step": step.name, "command": list(command)}
    if limit_s <= 5:
        return {**noted, "skipped": "no time was left"}
    started = time.monotonic()
    with (folder / f"{step.name}.txt").open("wb") as output:
        try:
            code = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, timeout=limit_s,
                env={**os.environ, "ELAT_HOME": str(folder / "home"), "PYTHONSAFEPATH": "1"},
                check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return {**noted, "stopped_after_s": limit_s}
        except OSError as error:
            return {**noted, "error": str(error)}
    return {**noted, "exit_code": code, "seconds": round(time.monotonic() - started, 1)}


def write_cards(folder: Path, trtexec: str | None) -> None:
    """The cards of the check; each is read back, so that a mistake shows here."""
    cards = dict(CARDS)
    if trtexec is not None:
        cards["check-trtexec"] = ("trtexec", "fp16", "hot", f"{{{LEVEL}, path: {trtexec}}}")
    for name, (runtime, precision, cache, options) in cards.items():
        path = folder / "home" / "devices" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            CARD.format(
                id=name, runtime=runtime, precision=precision, cache=cache, options=options
            )
        )
        read_yaml(path)


def pack(folder: Path, out: Path) -> None:
    """Put what is worth sending back into `out`."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for pattern in KEPT:
            for path in sorted(folder.rglob(pattern)):
                if path.stat().st_size <= MOST_BYTES:
                    packed.write(path, path.relative_to(folder))


ELAT: Sequence[str] = (
    sys.executable, "-P", "-c", "from elat.cli import main; main()",
)  # fmt: skip


def main() -> None:
    """Parse, run, pack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("elat-gpu-check.zip"))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--trtexec", help="path of NVIDIA's trtexec, to measure through it, too")
    given = parser.parse_args()
    ends = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="elat-gpu-") as name:
        folder = Path(name)
        write_cards(folder, given.trtexec)
        summary = []
        for step in steps(folder, given.trtexec):
            summary.append(run(step, folder, ends - time.monotonic()))
            done = {k: v for k, v in summary[-1].items() if k != "command"}
            print(json.dumps(done), flush=True)
        (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        pack(folder, given.out)
    print(f"{given.out}: send this file back")


if __name__ == "__main__":
    main()
