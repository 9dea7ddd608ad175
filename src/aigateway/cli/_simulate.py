"""`aigateway simulate SCENARIO`: what would happen, on a virtual clock, before it does."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from ..config import find_file
from ..errors import ConfigurationError, RequestError
from ._options import AsJSON
from ._progress import Progress

__all__ = ["simulate"]


def simulate(
    scenario: Annotated[Path | None, typer.Argument(help="A scenario file.", show_default=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Play it with this configuration instead of its own.", show_default=False),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay", help="Play recorded decisions (decisions.file) instead of a scenario.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Play it with this seed instead of its own.", show_default=False)
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Play a scenario, or what was recorded. The gateway is real; vendors and the clock are simulated."""
    # What rests is in the report; a line for each would bury it.
    logging.getLogger("aigateway").setLevel(logging.ERROR)
    if (scenario is None) == (replay is None):
        raise RequestError("name a scenario file, or a file of decisions with --replay: one of them.")
    if replay is not None:
        _replay(replay, config, seed, as_json)
        return
    from ..testing.simulator import play, read_scenario, report_of, table_of

    assert scenario is not None  # noqa: S101  # one of them is there
    plan = read_scenario(scenario, config, seed=seed)
    with Progress("requests simulated", plan.scenario.requests or 0) as tell:
        report = report_of(play(plan, tell=tell))
    typer.echo(json.dumps(report, indent=2) if as_json else table_of(report))


def _replay(source: Path, config: Path | None, seed: int | None, as_json: bool) -> None:
    from ..testing.simulator import difference_of, read_records, replay, replay_table_of

    file = config or find_file(os.environ)
    if file is None:
        raise ConfigurationError("there is no configuration to replay with. Name one with --config.")
    records = read_records(source)
    with Progress("requests replayed", len(records.decisions)) as tell:
        report = difference_of(replay(records, file, seed=seed, tell=tell))
    typer.echo(json.dumps(report, indent=2) if as_json else replay_table_of(report))
