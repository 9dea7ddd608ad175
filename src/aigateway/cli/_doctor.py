"""`aigateway doctor`: look at everything a gateway stands on, and say what to do about what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..asgi import Who
from ..config import Settings, load
from ..errors import ConfigurationError, Forbidden, GatewayError
from ..gateway import Gateway
from ..plugins import Registry
from ._findings import findings
from ._logging import REDACT, hide
from ._options import AsJSON, Config, Url, allowed_plugins, ask_server, run_async
from ._reach import keys, state, vendors
from ._symptoms import Symptom, files, machine, plugins, port, trust

__all__ = ["doctor"]

VerifyKeys = Annotated[bool, typer.Option("--verify-keys", help="Ask each vendor whether it takes our keys.")]


def doctor(config: Config = None, url: Url = None, verify_keys: VerifyKeys = False, as_json: AsJSON = False) -> None:
    """Look at everything a gateway stands on."""
    found = [*machine(), *plugins(Registry(allow=allowed_plugins())), *trust()]
    gateway, told = _configured(config)
    found += told
    if gateway is not None:
        found += run_async(lambda: _beyond(gateway, verify_keys=verify_keys))
        found += files(gateway.settings)
    if url:
        found += _server(url)
    elif gateway is not None:
        found.append(port(gateway.settings))
    _print(found, as_json=as_json)
    if code := _code(found):
        raise typer.Exit(code)


def _configured(config: Path | None) -> tuple[Gateway | None, list[Symptom]]:
    """Build what is configured; a configuration that cannot be is a symptom, and the rest is looked at."""
    settings: Settings | None = None
    try:
        settings = load(config)
        hide(settings)
        gateway = Gateway(settings.with_providers("try `aigateway demo`"))
        Who(gateway)
    except ConfigurationError as error:
        return None, [
            Symptom("configuration", "bad", error.message, "Mend it, and look again with aigateway check", code=3)
        ]
    found = [Symptom("configuration", "ok", _origin(settings))]
    told = (said for said in findings(gateway) if not said.startswith("the plug-in "))  # that is said already
    found += (Symptom("configuration", "look", said) for said in (*settings.warnings, *told))
    return gateway, found


def _origin(settings: Settings) -> str:
    base = settings.context.base
    beside = ", and .env" if Path(".env").is_file() else ""
    laid_over = sorted(name for name in os.environ if name.startswith("AI_GATEWAY_"))
    more = f", under {', '.join(laid_over)}" if laid_over and base else ""
    return f"{base / settings.origin if base else settings.origin}{beside}{more}"


async def _beyond(gateway: Gateway, *, verify_keys: bool) -> list[Symptom]:
    async with gateway:
        found = [await state(gateway), *await vendors(gateway)]
        if verify_keys:
            found += [symptom async for symptom in keys(gateway)]
    return found


def _server(url: str) -> Iterator[Symptom]:
    """Ask a running server how it is."""
    try:
        told = ask_server(url, "GET", "/health/detailed")
    except Forbidden as error:
        yield Symptom("server", "bad", error.message, code=4)
        return
    except GatewayError as error:
        yield Symptom("server", "bad", error.message)
        return
    well = told.get("status") == "healthy"
    yield Symptom("server", "ok" if well else "look", f"{url} is {told.get('status')}, version {told.get('version')}")
    for name, why in dict(told.get("plugin_faults") or {}).items():
        yield Symptom("server", "look", f"its plug-in {name} is broken: {why}")
    for name, found in dict(told.get("providers") or {}).items():
        if isinstance(found, dict) and not found.get("reachable", True):
            yield Symptom("server", "bad", f"it cannot reach {name}: {found.get('why', '?')}", code=4)


def _print(found: list[Symptom], *, as_json: bool) -> None:
    if as_json:
        said = {"ok": not _code(found), "symptoms": [symptom.as_data() for symptom in found]}
        typer.echo(REDACT.clean(json.dumps(said, indent=2)))
        return
    for symptom in found:
        typer.echo(REDACT.clean(f"{symptom.state:<5} {symptom.name:<16} {symptom.says}"))
        if symptom.fix:
            typer.echo(REDACT.clean(f"{'':<22} {symptom.fix}."))


def _code(found: list[Symptom]) -> int:
    """Give the exit code: of the configuration first, then of this machine, then of vendors and keys."""
    codes = {symptom.code for symptom in found if symptom.state == "bad"}
    return next((code for code in (3, 1, 4) if code in codes), 0)
