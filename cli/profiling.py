"""`elat profile`: where the time of a model goes, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..flows.profiling import ProfiledModel
    from ..latency.profiling.profile import ProfiledNode

_SHOWN_NAMES = 3


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("profile")(profile)


def profile(
    model: Annotated[
        str,
        typer.Argument(
            help="An .onnx or .tflite file of any origin; or a network: see elat zoo, a run "
            "folder, or a net.config file."
        ),
    ],
    device: options.Device,
    runs: Annotated[
        int, typer.Option("--runs", min=1, help="Profiled runs of each process.")
    ] = 40,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, help="Fresh processes that profile, and as many that do not."
        ),
    ] = 3,
    bounds: Annotated[
        bool,
        typer.Option(
            "--bounds/--no-bounds",
            help="Show the least time that the machine could take, measured once a machine.",
        ),
    ] = True,
    store: Annotated[
        str | None,
        typer.Option("--store", help="Keep the profile of a network by name in this store, too."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show what a model's nodes cost on a device, what was fused, and how fast it could be."""
    from ..flows.profiling import ProfileOrder, profile_model
    from ..latency.profiling.bench import Effort

    found = profile_model(ProfileOrder(model, device, Effort(runs, processes), bounds, store))
    if json:
        print_json(found.to_json())
        return
    _print_nodes(found)
    if found.parts:
        _print_parts(found)
    _say_totals(found)


def _print_nodes(found: ProfiledModel) -> None:
    rows = [
        (
            number,
            node.kind,
            _executes(node),
            f"{node.latency_ms:.4f}",
            f"{found.profile.share(node):.1%}",
            "" if not node.macs else f"{node.macs:,}",
            "" if node.bound_ms is None else f"{node.bound_ms:.4f}",
            "" if node.bound_share is None else f"{node.bound_share:.0%}",
        )
        for number, node in enumerate(found.profile.nodes)
    ]
    heads = ("", "kind", "executes", "ms", "share", "MACs", "at least ms", "reached")
    print_table(found.model, heads, rows, right=(0, 3, 4, 5, 6, 7))


def _executes(node: ProfiledNode) -> str:
    if node.is_layout:
        return "(layout)"
    names = node.fused or (node.name,)
    more = f" + {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return " + ".join(names[:_SHOWN_NAMES]) + more


def _print_parts(found: ProfiledModel) -> None:
    rows = [
        (
            number,
            part.operator,
            f"{part.latency_ms:.4f}",
            f"{part.latency_ms / found.profile.nodes_ms:.1%}",
            f"{part.layout_ms:.4f}",
        )
        for number, part in enumerate(found.parts)
    ]
    heads = ("", "operator", "ms", "share", "layout ms")
    print_table("by operator", heads, rows, right=(0, 2, 3, 4))


def _say_totals(found: ProfiledModel) -> None:
    profile = found.profile
    macs = [node.macs for node in profile.nodes]
    counted = "" if None in macs else f", {sum(m or 0 for m in macs):,} MACs"
    say(
        f"{profile.condition}: {profile.unprofiled_run_ms:.4f} ms a run{counted}; "
        f"{profile.kernel_ms:.4f} ms in kernels, {profile.layout_ms:.4f} ms in changes of layout, "
        f"{profile.residual_ms:.4f} ms beside nodes"
    )
    say(
        f"profiled in {profile.processes} processes, {profile.runs} runs together, which took "
        f"{profile.overhead_share:.0%} longer for it; the profiler's own "
        f"{1e3 * profile.node_cost_ms:.2f} us a node are taken off, and the rest is scaled by "
        f"{profile.scale:.3f}"
    )
    if delegation := profile.facts.get("delegation"):
        say(f"delegates: {delegation}")
    if found.roofline is not None:
        say(
            f"at best {found.roofline.macs_per_ms / 1e6:.1f} GMAC/s and "
            f"{found.roofline.cache_bytes_per_ms / 1e6:.1f} GB/s from the caches "
            f"({found.roofline.memory_bytes_per_ms / 1e6:.1f} GB/s from memory)"
        )
    for note in profile.notes:
        say(note)
