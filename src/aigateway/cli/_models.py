"""`aigateway models`: what can be asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any

import anyio
import typer

from ..catalogue import base_price, visible
from ..config import Settings, as_sandbox, load, parse
from ..errors import ConfigurationError, RequestError
from ..gateway import Gateway
from ..plugins import Registry
from ..types import ABILITIES, IN_PROCESS, ModelInfo, Price
from ._options import AsJSON, Config, allowed_plugins, settings_with_providers

__all__ = ["models"]

Only = Annotated[str, typer.Option("--provider", help="Only this provider's models.")]
Able = Annotated[list[str] | None, typer.Option("--ability", help="Only models that can do this; may be repeated.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask the vendors for their lists first.")]


def models(
    config: Config = None, provider: Only = "", ability: Able = None, refresh: Refresh = False, as_json: AsJSON = False
) -> None:
    """List routes and models."""
    settings = load(config)
    gateway = Gateway(settings_with_providers(config) if settings.providers or refresh else _everything())
    _check("provider", [provider] if provider else [], list(gateway.parts.providers))
    _check("ability", ability or [], sorted(ABILITIES))
    if refresh:
        anyio.run(_refresh, gateway, provider or None)
    now = datetime.now(UTC).timestamp()
    shown = [
        info
        for info in visible(gateway.parts.catalogue, IN_PROCESS, now)
        if (not provider or info.provider == provider) and set(ability or ()) <= info.abilities
    ]
    filtered = bool(provider or ability)
    names = {} if filtered else gateway.parts.names.routes
    routes = {name: [str(target) for target in targets] for name, targets in names.items()}
    if as_json:
        cards = [_card(info, now, gateway.parts.catalogue.is_listed(info)) for info in shown]
        typer.echo(json.dumps({"routes": routes, "models": cards}, indent=2))
        return
    for name, targets in routes.items():
        typer.echo(f"route {name}: {' -> '.join(targets)}")
    _table(gateway, shown, now)


def _table(gateway: Gateway, shown: list[ModelInfo], now: float) -> None:
    typer.echo(
        f"{'provider/model':<44} {'window':>9}  {'$ in':>7} {'$ out':>7}  abilities    (prices per million tokens)"
    )
    for info in shown:
        price = base_price(info, now)
        into, out = (_dollars(price.input), _dollars(price.output)) if price else ("?", "?")
        words = [" ".join(sorted(info.abilities)) or "?"]
        words += [f"off on {info.shutdown}"] if info.shutdown else []
        words += ["not listed by its vendor"] if gateway.parts.catalogue.is_listed(info) is False else []
        name = f"{info.provider}/{info.id}"
        typer.echo(f"{name:<44} {info.window or '?':>9}  {into:>7} {out:>7}  {'; '.join(words)}")


def _check(what: str, given: list[str], known: list[str]) -> None:
    for word in given:
        if word not in known:
            near = get_close_matches(word, known, 1, 0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(known)}."
            raise RequestError(f"there is no {what} {word!r}. {hint}")


async def _refresh(gateway: Gateway, provider: str | None) -> None:
    async with gateway:
        rows = await gateway.refresh_models(provider)
    for row in rows:
        said = row["error"] or f"{row['models']} models, {len(row['new'])} new, {len(row['gone'])} not listed"
        typer.echo(f"{row['provider']}: {said}", err=True)
    document = gateway.parts.listings.document
    kept = f"kept in {document.path}" if document else 'not kept: state.url is no "file:PATH"'
    typer.echo(f"The lists are {kept}.", err=True)


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


def _card(info: ModelInfo, now: float, listed: bool | None) -> dict[str, Any]:
    price = base_price(info, now)
    return {
        "id": info.id,
        "provider": info.provider,
        "window": info.window or None,
        "max_output": info.max_output or None,
        "abilities": sorted(info.abilities),
        "released": info.released.isoformat() if info.released else None,
        "shutdown": info.shutdown.isoformat() if info.shutdown else None,
        "successor": info.successor,
        "input_per_million": _dollars(price.input if price else None),
        "output_per_million": _dollars(price.output if price else None),
        "prices": [_row(row) for row in info.prices],
        "listed": listed,
    }


def _row(price: Price) -> dict[str, Any]:
    """Give a row of prices, in dollars per million tokens (per image for `per_image`), without what is not set."""
    fields = {name: getattr(price, name) for name in price.__dataclass_fields__}
    for name, value in fields.items():
        if name in {"input", "output", "cached", "cache_write", "image_input", "image_output"}:
            fields[name] = None if value is None else _dollars(value)
        elif name == "per_image":
            fields[name] = None if value is None else _plain(value, 12)
        elif name in {"since", "until"}:
            fields[name] = value and value.isoformat()
    fields["not_on"] = [day.isoformat() for day in price.not_on]
    return {name: value for name, value in fields.items() if value not in (None, (), [], "", 0)}


def _dollars(picodollars_per_token: int | None) -> str:
    return "?" if picodollars_per_token is None else _plain(picodollars_per_token, 6)


def _plain(amount: int, places: int) -> str:
    """Write an amount exactly, without zeros at its end."""
    text = f"{Decimal(amount).scaleb(-places):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
