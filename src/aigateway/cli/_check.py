"""`aigateway check`: build the gateway, send nothing, say what was built."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..asgi import Who
from ..gateway import Gateway
from ._findings import findings
from ._logging import REDACT
from ._options import AsJSON, Config, settings_with_providers
from ._report import lines, report

__all__ = ["check"]


def check(
    config: Config = None,
    as_json: AsJSON = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when something deserves a look.")] = False,
) -> None:
    """Build the gateway, send nothing."""
    settings = settings_with_providers(config, way_on="try `aigateway demo`")
    gateway = Gateway(settings)
    Who(gateway)  # what `serve` would refuse is refused here
    warnings = [REDACT.clean(line) for line in (*settings.warnings, *findings(gateway))]
    found = {**report(gateway), "warnings": warnings}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for line in lines(found):
            typer.echo(line)
        for warning in warnings:
            typer.echo(f"look at: {warning}")
        typer.echo("The gateway can be built.")
    if strict and warnings:
        raise typer.Exit(1)
