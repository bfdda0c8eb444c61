"""Machines that do not exist: known latencies, known disturbances, time that costs nothing."""

from __future__ import annotations

from .campaign import SimulatedCampaign, simulate
from .machine import STILL, Machine, MachineModel, SimulatedSession

__all__ = [
    "STILL",
    "Machine",
    "MachineModel",
    "SimulatedCampaign",
    "SimulatedSession",
    "simulate",
]
