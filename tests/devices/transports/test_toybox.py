"""Phones whose `timeout` loses the exit code of what is done at once."""

from __future__ import annotations

import os

import pytest

from elat.devices.transports import Transport
from elat.devices.transports.local import LocalLink

# As toybox 0.8.9 may do where it makes a process group; and one before it knew --foreground.
LOSES = """#!/bin/sh
code=127
if [ "$1" = --foreground ]; then shift; code=; fi
[ "$1" != -s ] || shift 2
shift
"$@"
exit ${code:-$?}
"""
KNOWS_LESS = """#!/bin/sh
[ "$1" = -s ] || { echo "Unknown option" >&2; exit 125; }
shift 3
"$@"
"""


@pytest.mark.parametrize("program", [LOSES, KNOWS_LESS], ids=["loses", "knows less"])
def test_the_exit_code_is_that_of_the_command(tmp_path, monkeypatch, program):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"timeout": program, "toybox": "#!/bin/sh\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    transport = Transport(LocalLink(str(tmp_path / "work")))
    for code in (0, 3):
        ended = transport.run(["sh", "-c", f"echo said; exit {code}"], 10)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (code, b"said\n", b"")
