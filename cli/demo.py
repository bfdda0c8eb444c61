"""`elat demo`: the whole flow."""
from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
