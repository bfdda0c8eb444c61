"""Pretended machines: folders that look like those of Linux, and drivers that record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from .fake_nvml import FakeNvml


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Put `files` below `root`, each with a line end as the kernel writes it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.endswith("\n") else text + "\n")
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below `root` with its bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def nvml(monkeypatch):
    """A driver of one GPU in place of the real one."""
    fake = FakeNvml()
    monkeypatch.setitem(__import__("sys").modules, "pynvml", fake)
    return fake


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path_factory.mktemp("home")))
