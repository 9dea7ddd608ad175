"""`aigateway plugins`: what is installed, and what is broken and why."""

from __future__ import annotations

import json

import typer

from ..plugins import Registry
from ._options import AsJSON, allowed_plugins

__all__ = ["plugins"]


def plugins(as_json: AsJSON = False) -> None:
    """List plug-ins; name the broken ones."""
    listing = Registry(allow=allowed_plugins()).listing()
    if as_json:
        rows = [
            {name: getattr(plugin, name) for name in ("name", "kind", "distribution", "version", "state", "reason")}
            for plugin in listing
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for plugin in listing:
        source = f"{plugin.distribution} {plugin.version}"
        typer.echo(f"{plugin.name:<16} {plugin.kind:<9} {source:<32} {plugin.state}")
        if plugin.reason:
            typer.echo(f"    {plugin.reason}")
    if not listing:
        typer.echo("No plug-in is installed. Try: pip install aigateway-deepseek", err=True)
