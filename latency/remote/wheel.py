"""This very elat as one wheel, made of its own files without network or build tool."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ...core.artefact import sha256_of

_DATA = (".py", ".yaml", ".j2", ".css")
_MARKER = "py.typed"
_NO_PACKAGE = "tests"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: elat\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Wheel:
    """A wheel file.

    Attributes:
        version: Of elat.
        digest: The first 16 digits of the hash of `data`, which tells two states of one version
            apart.
    """

    version: str
    digest: str
    data: bytes

    @property
    def name(self) -> str:
        """Its file name, as wheels are named."""
        return f"elat-{self.version}-py3-none-any.whl"


@cache
def build_wheel() -> Wheel:
    """The wheel of the elat that runs now; the same files give the same bytes.

    It is built once a process: what changes later is not what runs here either.
    """
    number = version("elat")
    info = f"elat-{number}.dist-info"
    root = Path(__file__).parents[2]
    members = {f"elat/{p.relative_to(root).as_posix()}": p.read_bytes() for p in _files(root)}
    members[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: elat\nVersion: {number}\n".encode()
    )
    members[f"{info}/WHEEL"] = _WHEEL.encode()
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    data = _zipped(members)
    return Wheel(number, sha256_of(data)[:16], data)


def _files(folder: Path) -> Iterator[Path]:
    """The files of the package in `folder` and of those below it, in order."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name != _NO_PACKAGE and (path / "__init__.py").is_file():
                yield from _files(path)
            elif path.name == "cards":
                yield from sorted(path.glob("*.yaml"))
        elif path.suffix in _DATA or path.name == _MARKER:
            yield path


def _record(members: dict[str, bytes], own_name: str) -> bytes:
    """The list of files with their hashes (PEP 427); its own line has none."""
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in members.items()]
    return "\n".join([*lines, f"{own_name},,", ""]).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()
