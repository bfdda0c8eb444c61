"""Where trtexec is, and which version of TensorRT it is of."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ....core.errors import UnavailableError
from ...imports.trtexec_log import KNOWN_MAJORS

DEFAULT = "trtexec"
ELSEWHERE = (Path("/usr/src/tensorrt/bin/trtexec"),)
"""Where NVIDIA's packages put it without adding the folder to PATH."""

_LIMIT_S = 60.0
# From TensorRT 10 on a version is major * 10000 + minor * 100 + patch, before major * 1000 + ….
_LONG_VERSIONS_FROM = 100_000
_NUMBER = re.compile(r"\[TensorRT v(?:(\d{4,6})|(\d+)\.(\d+)\.(\d+)[.\d]*)\]", re.ASCII)
_SHOWN = 80


@dataclass(frozen=True, order=True)
class Version:
    """Of TensorRT."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = Version(8, 6, 0)
"""Before it trtexec has no flag for the level of optimisation, which would be left to chance."""


@dataclass(frozen=True)
class Tool:
    """The program `path`, which runs and is of a version that elat knows the flags of."""

    path: Path
    version: Version

    def __str__(self) -> str:
        return f"TensorRT {self.version} (trtexec)"


def find_trtexec(name: str = DEFAULT) -> Tool:
    """The program `name`, looked up on PATH; it is asked for its version once.

    Raises:
        UnavailableError: There is none, it does not run, or its version is not known.
    """
    path = _locate(name)
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error}.") from error
    return read_tool(path, _said_by(path, changed_ns))


def read_tool(path: Path, said: str, device: str = "", prefix: str = "") -> Tool:
    """The program at `path`, which said `said` when it was asked for help.

    Args:
        path: On the machine where it runs.
        said: All that it printed.
        device: What that machine is called; empty for this one.
        prefix: What people type ahead of a command for it.

    Raises:
        UnavailableError: It does not say its version, or one that is not known.
    """
    called = f"{path} on {device}" if device else f"{path}"
    version = read_version(said)
    if version is None:
        first = said.strip().partition("\n")[0][:_SHOWN] or "nothing"
        raise UnavailableError(
            f"{called} does not say its version; it says {first!r}. A library may be missing: run "
            f"{f'{prefix} {path}'.strip()} --help."
        )
    if version < OLDEST or version.major >= KNOWN_MAJORS.stop:
        raise UnavailableError(
            f"{called} is of TensorRT {version}; elat knows the flags of trtexec {OLDEST.major}."
            f"{OLDEST.minor} to {KNOWN_MAJORS.stop - 1}. Install one of these, and name it with "
            "options: {path: ...} in the device card."
        )
    return Tool(path, version)


def read_version(log: str) -> Version | None:
    """The version that a log of trtexec begins with, or None if it says none."""
    if not (match := _NUMBER.search(log)):
        return None
    packed, *parts = match.groups()
    if packed is None:
        major, minor, patch = map(int, parts)
        return Version(major, minor, patch)
    step = 10_000 if int(packed) >= _LONG_VERSIONS_FROM else 1_000
    return Version(int(packed) // step, int(packed) % step // 100, int(packed) % 100)


def _locate(name: str) -> Path:
    found = shutil.which(name)
    if found is not None:
        return Path(found).absolute()
    for path in ELSEWHERE if name == DEFAULT else ():
        if path.is_file():
            return path
    raise UnavailableError(
        f"{name} is not on PATH. It comes with TensorRT (package libnvinfer-bin, or bin/ of the "
        "archive); name its place with options: {path: ...} in the device card."
    )


@cache
def _said_by(path: Path, changed_ns: int) -> str:
    """What the program at `path` prints of itself; a program that is replaced is asked anew."""
    try:
        done = subprocess.run(
            [str(path), "--help"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}"
    return done.stdout.decode(errors="replace")
