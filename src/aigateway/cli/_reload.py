"""`aigateway reload`: let a running server load its configuration again."""

from __future__ import annotations

import json

import typer

from ._options import AsJSON, Url, ask_server

__all__ = ["reload"]


def reload(url: Url = "http://127.0.0.1:8000", as_json: AsJSON = False) -> None:
    """Let a server load its configuration again. What is wrong with it changes nothing."""
    found = ask_server(url or "", "POST", "/admin/reload")
    if as_json:
        typer.echo(json.dumps(found))
        return
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("The configuration was reloaded.")
