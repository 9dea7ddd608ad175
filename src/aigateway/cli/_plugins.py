"""`aigateway plugins`: what is installed, and what is broken and why."""

from __future__ import annotations

import json

import typer

from ..plugins import Registry
from ._options import AsJSON

__all__ = ["plugins"]


def plugins(as_json: AsJSON = False) -> None:
    """List every installed plug-in; a broken one is named with its reason, the others work."""
    listing = Registry().listing()
    if as_json:
        rows = [
            {name: getattr(plugin, name) for name in ("name", "kind", "distribution", "version", "state", "reason")}
            for plugin in listing
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for plugin in listing:
        typer.echo(f"{plugin.name:<16} {plugin.kind:<9} {plugin.distribution} {plugin.version:<10} {plugin.state}")
        if plugin.reason:
            typer.echo(f"    {plugin.reason}")
    if not listing:
        typer.echo("No plug-in is installed. Try: pip install aigateway-deepseek", err=True)
