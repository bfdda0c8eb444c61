"""Ways to a device, a file each: run argument lists, push, pull, start what outlives a cable.

A `Link` is one way, registered by name; `Transport` is what can be done over any of them.
"""

from __future__ import annotations

from ...core.registry import Registry
from .finished import Finished
from .jobs import Job, JobStatus
from .link import Link, LinkState
from .transport import Transport

links: Registry[Link] = Registry("transport", __name__, "elat.transports")

__all__ = ["Finished", "Job", "JobStatus", "Link", "LinkState", "Transport", "links"]
