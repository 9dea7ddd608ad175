"""`aigateway simulate SCENARIO`: what would happen, on a virtual clock, before it does."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from ._options import AsJSON

__all__ = ["simulate"]


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A scenario file.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Play it with this configuration instead of its own.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Play it with this seed instead of its own.", show_default=False)
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Play a scenario: the real gateway, simulated vendors, a virtual clock."""
    from ..testing.simulator import play, read_scenario, report_of, table_of

    # What rests is in the report; a line for each would bury it.
    logging.getLogger("aigateway").setLevel(logging.ERROR)
    report = report_of(play(read_scenario(scenario, config, seed=seed)))
    typer.echo(json.dumps(report, indent=2) if as_json else table_of(report))
