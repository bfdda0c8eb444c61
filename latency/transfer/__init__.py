"""A latency model for a new device from models of others and a few measurements."""

from .candidates import CANDIDATES, Candidate
from .model import Transferred
from .samples import diverse_samples

__all__ = ["CANDIDATES", "Candidate", "Transferred", "diverse_samples"]
