"""Padding that stands before a window as a node of its own, made part of the window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph.ir import Pool, Pooling, Value
from ..graph.reference import pool_counts
from .steps import Convolution, Padding, Pooled, Product, Step, Steps, Window

_TOLERANCE = 1e-2


def with_whole_windows(graph: Steps) -> Steps:
    """`graph` with padding, window and what undoes the padding in a mean as one step each.

    A mean that leaves its padding out is, where a format has none, one that counts it and a factor
    for each pixel.
    """
    taken: dict[Step, Step | None] = {}
    for step in graph.steps:
        window = graph.only_reader(step)
        joined = None if window is None else _joined(step, window)
        if window is not None and joined is not None:
            undone = _undone(graph, window, joined)
            taken |= {step: None, window: None}
            taken |= {window: joined} if undone is None else undone
    steps = [taken.get(step, step) for step in graph.steps]
    return replace(graph, steps=tuple(step for step in steps if step is not None))


def _joined(step: Step, window: Step) -> Step | None:
    """`step` and the `window` behind it as one; None where it pads no rows and columns for it."""
    pads, does = step.does, window.does
    if not isinstance(pads, Padding) or not isinstance(does, Convolution | Pooled):
        return None
    is_max = isinstance(does, Pooled) and does.pooling is Pooling.MAX
    if pads.before[0] or pads.after[0] or not (pads.is_zero or is_max):
        return None
    if isinstance(does, Pooled) and not is_max and any(does.window.edges):
        return None
    whole = replace(does, window=_padded(does.window, pads))
    if isinstance(whole, Pooled):
        whole = replace(whole, counts_padding=True)
    return replace(window, names=(*step.names, *window.names), does=whole, reads=step.reads)


def _padded(window: Window, pads: Padding) -> Window:
    added = (*pads.before[1:], *pads.after[1:])
    top, left, bottom, right = (a + b for a, b in zip(window.edges, added, strict=True))
    return replace(window, edges=(top, left, bottom, right))


def _undone(graph: Steps, window: Step, joined: Step) -> dict[Step, Step | None] | None:
    """What takes the place of `window` and of the factor behind it, if there is one."""
    factor, does = graph.only_reader(window), joined.does
    if not isinstance(does, Pooled) or does.pooling is not Pooling.AVERAGE or factor is None:
        return None
    edges, constant = does.window.edges, getattr(factor.does, "constant", None)
    if not isinstance(factor.does, Product) or constant is None or len(set(edges)) != 1:
        return None
    shapes = [graph.shapes.get(name) for name in (joined.reads[0], window.writes)]
    if shapes[0] is None or shapes[1] is None or len(shapes[0]) != 4 or len(shapes[1]) != 4:
        return None
    given, made = (Value(str(i), shape) for i, shape in enumerate(shapes) if shape is not None)
    pool = Pool((given,), made, does.pooling, does.window.kernel, does.window.stride, edges[0])
    expected = does.window.kernel**2 / pool_counts(pool)
    if constant.size != expected.size or not np.allclose(
        constant.reshape(expected.shape), expected, rtol=_TOLERANCE
    ):
        return None
    names = (*joined.names, *factor.names)
    whole = replace(
        joined, names=names, does=replace(does, counts_padding=False), writes=factor.writes
    )
    return {window: None, factor: whole}
