"""A process that records launches until it is stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from made import CONDITION, CONV, launch
from elat.latency.store import open_store
where, worker, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_store(where) as store:
    for index in range(count):
        store.record_launch(
            CONV, CONDITION, launch(f"{{worker}}{{index}}", count=20), {{}}, "measured"
        )
        print(index, flush=True)
"""


def writer(where, worker="w", count=100_000):
    """Records `count` launches of `CONV` into `where`, and prints a line after each."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _SCRIPT, str(where), worker, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )
