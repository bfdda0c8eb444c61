"""The protocol by which tests over loopback measure: one short launch a case."""

from __future__ import annotations

from dataclasses import replace

from elat.latency.protocol import SCREEN

QUICK = replace(
    SCREEN,
    name="quick",
    target=10.0,
    min_launches=1,
    max_launches=1,
    looks=(1,),
    passes=2,
    timeout_s=60.0,
)
