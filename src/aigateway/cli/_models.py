"""`aigateway models`: what can be asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import typer

from ..config import Settings, as_sandbox, load, parse
from ..errors import ConfigurationError
from ..gateway import Gateway
from ..plugins import Registry
from ..types import ModelInfo, Price
from ._options import AsJSON, Config, allowed_plugins, settings_with_providers

__all__ = ["models"]


def models(config: Config = None, as_json: AsJSON = False) -> None:
    """List routes and models."""
    settings = load(config)
    gateway = Gateway(settings_with_providers(config) if settings.providers else _everything())
    routes = {name: [str(target) for target in targets] for name, targets in gateway.parts.names.routes.items()}
    today = datetime.now(UTC).date()
    living = list(gateway.parts.catalogue.living(today))
    if as_json:
        typer.echo(json.dumps({"routes": routes, "models": [_card(model) for model in living]}, indent=2))
        return
    for name, targets in routes.items():
        typer.echo(f"route {name}: {' -> '.join(targets)}")
    typer.echo(
        f"{'provider/model':<44} {'window':>9}  {'$ in':>7} {'$ out':>7}  abilities    (prices per million tokens)"
    )
    for model in living:
        price = _now(model)
        into, out = (_dollars(price.input), _dollars(price.output)) if price else ("?", "?")
        name, abilities = f"{model.provider}/{model.id}", " ".join(sorted(model.abilities))
        typer.echo(f"{name:<44} {model.window or '?':>9}  {into:>7} {out:>7}  {abilities}")


def _everything() -> Settings:
    typer.echo("No provider is configured; these are the catalogues of the installed plug-ins.", err=True)
    registry = Registry(allow=allowed_plugins())
    key = {"secret": "unused", "allow_literal": True}
    tables = {}
    for plugin in registry.listing():
        if plugin.kind != "provider":
            continue
        try:
            Gateway(parse({"providers": {plugin.name: {"keys": [key]}}}), registry=registry)
            tables[plugin.name] = {"keys": [key]}
        except ConfigurationError as error:
            typer.echo(f"warning: {plugin.name} is left out: {error.message}", err=True)
    return as_sandbox(parse({"providers": tables}))


def _card(model: ModelInfo) -> dict[str, object]:
    price = _now(model)
    return {
        "id": model.id,
        "provider": model.provider,
        "window": model.window or None,
        "max_output": model.max_output or None,
        "abilities": sorted(model.abilities),
        "shutdown": model.shutdown.isoformat() if model.shutdown else None,
        "input_per_million": _dollars(price.input if price else None),
        "output_per_million": _dollars(price.output if price else None),
    }


def _now(model: ModelInfo) -> Price | None:
    """Give the base price: in force, at any hour, for any size."""
    today = datetime.now(UTC).date()
    rows = [row for row in model.prices if row.since <= today and not row.hours and not row.above_tokens]
    return max(rows, key=lambda row: row.since, default=None)


def _dollars(picodollars_per_token: int | None) -> str:
    return "?" if picodollars_per_token is None else f"{picodollars_per_token / 1_000_000:g}"
