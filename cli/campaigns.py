"""What the verbs that measure share: the campaign on a device, and its progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from . import metering
from .console import progress, say

if TYPE_CHECKING:
    from ..flows.measuring import Campaign
    from ..latency.measure import Progress


@contextmanager
def campaign(
    device: str,
    protocol: str,
    store: str | None,
    seed: int,
    *,
    tune: bool = False,
    energy: bool = False,
) -> Iterator[Campaign]:
    """The store, cache and device of one measuring campaign, its clocks held still if asked."""
    from ..devices.device import find_device
    from ..devices.tuning import tuned
    from ..flows.measuring import Campaign, default_cache, default_store
    from ..latency.protocol import find_protocol
    from ..latency.store import open_store

    found, careful = find_device(device), find_protocol(protocol)
    with ExitStack() as stack:
        opened = stack.enter_context(open_store(store or default_store()))
        order = metering.order(found) if energy else None
        if tune:
            changes = stack.enter_context(tuned(found))
            say(f"tuned: {'; '.join(map(str, changes)) or 'nothing had to be changed'}")
        yield Campaign(found, careful, opened, default_cache(), seed, order)


def draw_measuring(steps: Iterator[Progress], title: str) -> dict[str, int]:
    """Draw the progress of a measuring campaign; returns counts of launches and failures."""
    counts = {"launches": 0, "failures": 0}
    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            text = f"{title}: {step.stage}"
            bars.update(task, completed=step.done, total=step.total, description=text)
            if step.launch is not None:
                counts["launches"] += 1
            if step.failure is not None:
                counts["failures"] += 1
                say(f"{step.operator}: {step.failure}")
    return counts
