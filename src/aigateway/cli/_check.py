"""`aigateway check`: build the gateway, send nothing, say what was built."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import typer

from ..asgi import Who
from ..gateway import Gateway
from ._options import AsJSON, Config, settings_with_providers, sorts_of_keys

__all__ = ["check"]


def check(config: Config = None, as_json: AsJSON = False) -> None:
    """Build the gateway, send nothing."""
    settings = settings_with_providers(config, way_on="try `aigateway demo`")
    gateway = Gateway(settings)
    Who(gateway)  # what `serve` would refuse is refused here
    report = _report(gateway)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(f"configuration: {report['origin']}")
    for name, provider in report["providers"].items():
        typer.echo(f"provider {name}: {provider['keys']} key(s), {provider['models']} models")
    for name, targets in report["routes"].items():
        typer.echo(f"route {name}: {' -> '.join(targets)}")
    typer.echo(f"guards: {', '.join(report['guards']) or 'none'}")
    typer.echo(f"client keys: {'; '.join(report['client_keys']) or 'none, so this machine only is served'}")
    typer.echo(f"what rests is kept in: {report['state']}")
    for warning in report["warnings"]:
        typer.echo(f"look at: {warning}")
    typer.echo("The gateway can be built.")


def _report(gateway: Gateway) -> dict[str, Any]:
    parts, settings = gateway.parts, gateway.settings
    rings = {name: sum(key.secret is not None for key in ring.keys) for name, ring in parts.rings.items()}
    return {
        "origin": settings.origin,
        "default_model": settings.default_model,
        "providers": {
            name: {"keys": rings.get(name, 0), "models": len(parts.catalogue[name])} for name in parts.providers
        },
        "routes": {name: [str(target) for target in targets] for name, targets in parts.names.routes.items()},
        "guards": [guard.use for guard in settings.guards],
        "client_keys": sorts_of_keys(settings),
        "state": settings.state.scheme,
        "warnings": [*settings.warnings, *_warnings(gateway)],
    }


def _warnings(gateway: Gateway) -> list[str]:
    found = [
        f"callers.keys: the key of {key.name!r} is short enough to be guessed; make it 16 characters or more"
        for key in gateway.settings.callers.keys
        if len(key.secret.reveal()) < 16
    ]
    today = datetime.now(UTC).date()
    for name, targets in gateway.parts.names.routes.items():
        for target in targets:
            known = gateway.parts.catalogue.get(target.provider, {})
            info = known.get(target.model)
            if info is None and known:
                found.append(f"routes.{name}: {target} is not in {target.provider}'s catalogue")
            elif info is not None and info.successor is not None and (info.shutdown or today) <= today:
                found.append(f"routes.{name}: {target} is retired; use {target.provider}/{info.successor}")
            elif info is not None and info.shutdown is not None:
                found.append(f"routes.{name}: {target} will be switched off on {info.shutdown}")
    return found
