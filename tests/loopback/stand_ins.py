"""Puts the stand-in for `benchmark_model` where a test wants the real tool."""

from __future__ import annotations

import binascii
import marshal
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("ai_edge_litert", "numpy")
_SOURCES = Path(__file__).with_name("stand_in")
# Each needs only those before it.
_PARTS = (
    "log", "settings", "flags", "layers", "session", "delegates", "stats", "tables", "program",
)  # fmt: skip
# Neither the user's settings nor the start-up files of site-packages are read: that takes 17 ms.
_PROGRAM = """#!{python} -IS
import binascii, marshal, sys, types
sys.path += {folders!r}
sys.modules["stand_in"] = package = types.ModuleType("stand_in")
package.__path__ = []
for name, code in marshal.loads(binascii.a2b_base64({parts!r})):
    sys.modules[name] = module = types.ModuleType(name)
    module.__package__ = "stand_in"
    exec(code, module.__dict__)
module.main({words!r})
"""


def missing_reason() -> str | None:
    """Why the stand-in cannot run here."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    return f"the stand-in needs {' and '.join(missing)}" if missing else None


def install_stand_in(path: Path, words: str = "") -> Path:
    """Write the stand-in to `path` as one executable file, and return `path`.

    The file can be copied anywhere on this machine; it holds the compiled sources.

    Args:
        path: Of the file.
        words: What is wrong with it, as `stand_in/settings.py` says.
    """
    folders = sorted({str(Path(_origin(name)).parents[1]) for name in _PACKAGES})
    program = _PROGRAM.format(
        python=sys.executable, folders=folders, parts=_compiled(), words=words
    )
    path.write_text(program)
    path.chmod(0o755)
    return path


@cache
def _compiled() -> bytes:
    parts = []
    for name in _PARTS:
        source = _SOURCES / f"{name}.py"
        code = compile(source.read_text(), str(source), "exec", dont_inherit=True, optimize=2)
        parts.append((f"stand_in.{name}", code))
    return binascii.b2a_base64(marshal.dumps(parts), newline=False)


def _origin(name: str) -> str:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(missing_reason())
    return spec.origin
