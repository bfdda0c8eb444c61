"""The command in this process, and one whole flow on the real engines with a tiny space."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elat.cli import main
from elat.latency.protocol import PROTOCOLS, SCREEN

# Four choice blocks on 16-pixel digits: 3 x 3 x 2 x 3 = 54 architectures.
TINY = """
family: mbconv-chain
resolution: 16
in_channels: 1
classes: 10
stem: {width: 8, stride: 2}
first: 8
stages:
  - {width: 8, blocks: 2, stride: 1}
  - {width: 16, blocks: 2, stride: 2}
kernels: [3, 5]
expansions: [3]
head: 16
"""
# Long enough to go through every step of the meter, too short for a narrow interval.
HASTY = replace(
    SCREEN, passes=4, max_passes=8, group_min_ms=60.0, slice_ms=1.0, warmup_cap_ms=100.0
)
SETTINGS = ("warmup_steps=4", "steps=6", "score_batches=1", "candidates=3", "record_interval=1")


@dataclass(frozen=True)
class Said:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one sentence or two of an error, without its prefix."""
        assert "Traceback" not in self.err + self.out
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip().endswith(lines[0]), "the error is one line, and the last"
        return lines[0].removeprefix("error: ")


def run_elat(*arguments: object) -> Said:
    """Run `elat arguments...` by its console entry."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["elat", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return Said(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Flow:
    """A finished flow: where everything lies, and what every verb said."""

    folder: Path
    said: dict[str, Said] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def space(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def table(self) -> Path:
        return self.folder / "table.yaml"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def model(self) -> Path:
        return self.home / "models" / "local-ort" / "tiny" / "ridge"

    def step(self, verb: str, *arguments: object) -> Said:
        """Run a verb of the flow, which must succeed, and remember what it said."""
        said = run_elat(verb, *arguments, "--json")
        assert said.code == 0, said.err
        self.said[verb] = said
        return said


@pytest.fixture(scope="session")
def elat() -> Any:
    """Runs the command: `elat("table", "--device", ...)`."""
    return run_elat


@pytest.fixture(scope="session")
def settings() -> list[str]:
    """Options that make a search short."""
    return [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, settings: list[str]) -> Flow:
    """measure, table, fit, calibrate, search, verify, train and report, once for all tests."""
    flow = Flow(tmp_path_factory.mktemp("flow"))
    flow.space.write_text(TINY)
    where = ("--device", "local-ort", "--space", flow.space)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", str(flow.home))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setitem(PROTOCOLS, "screen", HASTY)
        torch.set_num_threads(1)
        flow.step("measure", *where)
        flow.step("table", *where, "--out", flow.table)
        flow.step("fit", *where, "--model", "ridge")
        flow.step("calibrate", *where, "--networks", 6)
        flow.step("search", *where, "--bound-quantile", 0.5, "--out", flow.run, *settings)
        flow.step("verify", flow.run, "--protocol", "screen")
        flow.step("train", flow.run, "--set", "epochs=1")
        flow.step("report", flow.run, flow.model, "--out", flow.folder / "report")
    # Undone before the tests run: other tests of the session must not meet the hasty protocol.
    torch.set_num_threads(threads)
    return flow


@pytest.fixture
def flow(finished: Flow, monkeypatch: pytest.MonkeyPatch) -> Flow:
    """The finished flow, its home and hasty protocol in force."""
    monkeypatch.setenv("ELAT_HOME", str(finished.home))
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)
    return finished


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was measured."""
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The tiny space as a YAML file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
