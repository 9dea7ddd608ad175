"""`aigateway callers`: client keys in a file, and the weekly key."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from ..asgi import file_store, weekly_keys
from ..callers import ENVIRONMENTS, FileStore
from ..config import Settings, load
from ..errors import ConfigurationError, RequestError
from ..parts import read_elsewhere
from ..plugins import Registry
from ..types import Limits
from ._logging import hide
from ._options import AsJSON, Config

__all__ = ["app"]

app = typer.Typer(help="Client keys: make, list, rotate, revoke.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="Whose key it is, or the key's id.")]
Words = list[str] | None


@app.command()
def new(
    name: Name,
    config: Config = None,
    scope: Annotated[Words, typer.Option("--scope", help="chat or admin; may be repeated.")] = None,
    model: Annotated[Words, typer.Option("--model", help="What it may use: models, routes; a * may end it.")] = None,
    network: Annotated[Words, typer.Option("--network", help="An address or range it may come from.")] = None,
    domain: Annotated[Words, typer.Option("--domain", help="A site whose pages may use it.")] = None,
    days: Annotated[float | None, typer.Option("--days", min=0, help="For how long it is valid.")] = None,
    requests: Annotated[int, typer.Option("--requests-per-minute", min=0, help="Its own limit; 0: everybody's.")] = 0,
    tokens: Annotated[int, typer.Option("--tokens-per-minute", min=0, help="Likewise.")] = 0,
    environment: Annotated[str, typer.Option("--environment", help="live, test, staging or dev.")] = "live",
) -> None:
    """Make a key and print it, once."""
    if environment not in ENVIRONMENTS:
        raise RequestError(f"--environment must be one of {', '.join(ENVIRONMENTS)}.")
    allows = {"scopes": scope, "models": model, "networks": network, "domains": domain}
    limits = Limits(requests, tokens) if requests or tokens else None
    if unknown := set(scope or ()) - {"chat", "admin"}:
        raise RequestError(f"there is no scope {unknown.pop()!r}. Scopes: chat, admin.")
    at = time.time()
    ends = None if days is None else at + _bounded(days, "--days", 36_525) * 86_400
    key = _store(_settings(config)).new(name, at=at, environment=environment, ends=ends, limits=limits, **allows)
    typer.echo(key.reveal())
    typer.echo(f"This is the key of {name!r}. It is not shown again.", err=True)


@app.command("list")
def listing(config: Config = None, as_json: AsJSON = False) -> None:
    """List the keys, without showing one."""
    entries, now = _store(_settings(config)).listing(), time.time()
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    typer.echo(f"{'id':<9} {'key':<11} {'name':<24} {'valid':<22} scopes, models, networks, domains, limits")
    for entry in entries:
        allows = " ".join(",".join(entry[what]) or "-" for what in ("scopes", "models", "networks", "domains"))
        limits = ", ".join(f"{count} {what}/min" for what, count in entry.get("limits", {}).items() if count) or "-"
        typer.echo(
            f"{entry['id']:<9} {entry['key']:<11} {entry['name']:<24} {_valid(entry, now):<22} {allows} {limits}"
        )


@app.command()
def rotate(
    name: Name,
    config: Config = None,
    grace: Annotated[float, typer.Option("--grace", min=0, help="Seconds the last key stays valid.")] = 0.0,
) -> None:
    """Make a new key in place of the last one and print it, once."""
    _bounded(grace, "--grace", 604_800)
    key = _store(_settings(config)).rotate(name, at=time.time(), grace=grace)
    typer.echo(key.reveal())
    typer.echo(f"This is the new key of {name!r}; the last one is valid for {grace:g} s more.", err=True)


@app.command()
def revoke(name: Name, config: Config = None) -> None:
    """End the keys of a name, or the one with an id, now."""
    _store(_settings(config)).revoke(name, at=time.time())
    typer.echo(f"revoked: {name}. Running servers notice within a second.", err=True)


@app.command()
def current(
    config: Config = None,
    client: Annotated[str | None, typer.Option("--client", help="Whose; the first, if not said.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Print the weekly key."""
    settings, now = _settings(config), time.time()
    weekly = weekly_keys(settings)
    if weekly is None:
        raise ConfigurationError(
            'there are no weekly keys. Add [callers.weekly] with root = "env:ADMIN_SECRET" (without a file, set it).'
        )
    who = client or weekly.clients[0]
    if who not in weekly.clients:
        raise RequestError(f"there is no weekly client {who!r}. There is: {', '.join(weekly.clients)}.")
    key, ends = weekly.key(who, now).reveal(), weekly.ends(now)
    if as_json:
        typer.echo(json.dumps({"api_key": key, "expiry": ends.isoformat(), "days_remaining": weekly.days_left(now)}))
        return
    typer.echo(key)
    typer.echo(f"valid until {ends:%Y-%m-%d %H:%M} UTC", err=True)


def _settings(config: Path | None) -> Settings:
    """Read the configuration, with the secrets that plug-ins read."""
    settings = load(config)
    hide(settings)
    read_elsewhere(settings, Registry(allow=settings.plugins))
    return settings


def _store(settings: Settings) -> FileStore:
    if settings.callers.store is None:
        raise ConfigurationError(
            "there is no place for client keys. Set AI_GATEWAY_CALLERS=file:callers.json and SECRET_KEY, or write "
            '[callers] store = "file:callers.json" and roots = ["env:SECRET_KEY"].'
        )
    return file_store(settings)[0]


def _bounded(value: float, option: str, most: float) -> float:
    if not 0 <= value <= most:
        raise RequestError(f"{option} must be a number from 0 to {most:g}.")
    return value


def _valid(entry: Any, now: float) -> str:
    ends = inf if entry["ends"] is None else entry["ends"]
    if ends <= now:
        return "no longer"
    return "always" if ends == inf else f"until {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M}"
