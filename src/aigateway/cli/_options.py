"""What several commands share: the configuration they read, the gateway they build."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import anyio
import typer

from ..asgi import is_loopback
from ..config import Settings, load
from ..errors import Forbidden, GatewayError, RequestError
from ..gateway import Gateway
from ._logging import hide

__all__ = [
    "AsJSON",
    "Config",
    "Url",
    "UseSandbox",
    "allowed_plugins",
    "ask_server",
    "gateway_for",
    "refuse_both",
    "run_async",
    "settings_with_providers",
    "sorts_of_keys",
]

Config = Annotated[Path | None, typer.Option("--config", "-c", help="A configuration file.", show_default=False)]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UseSandbox = Annotated[bool, typer.Option("--sandbox", help="Use local stand-in vendors; no key, nothing leaves here.")]
Url = Annotated[
    str | None, typer.Option("--url", help="A running server, such as http://127.0.0.1:8000.", show_default=False)
]
T = TypeVar("T")


def run_async(function: Callable[[], Awaitable[T]]) -> T:
    """Run one async function; Ctrl-C is exit code 130, without a traceback."""
    try:
        return anyio.run(function)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settings_with_providers(config: Path | None, *, way_on: str = "run the same command with --sandbox") -> Settings:
    """Read settings, saying their warnings. Raises ConfigurationError when no provider is there."""
    settings = load(config)
    hide(settings)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return settings.with_providers(way_on)


def sorts_of_keys(settings: Settings) -> list[str]:
    """Say which sorts of client keys are taken, in words."""
    callers = settings.callers
    words = [f"{len(callers.keys)} written down"] if callers.keys else []
    if callers.store:
        kind = callers.store.partition(":")[0]
        words.append(f"those in {callers.store if kind == 'file' else kind}")  # a URL may hold a password
    if callers.weekly:
        words.append(f"weekly ones of {', '.join(callers.weekly.clients)}")
    if callers.jwt:
        words.append("every token signed with " + ("the keys of its JWKS" if callers.jwt.jwks else "the shared secret"))
    return words


def allowed_plugins() -> list[str] | None:
    """Give the allow-list of the environment: what it leaves out is not even imported for a listing."""
    names = [name.strip() for name in os.environ.get("AI_GATEWAY_PLUGINS", "").split(",") if name.strip()]
    return names or None


def refuse_both(config: Path | None) -> None:
    """Refuse --config beside --sandbox: one of them would be ignored."""
    if config is not None:
        raise RequestError("--config and --sandbox exclude each other. Leave one out.")


@asynccontextmanager
async def gateway_for(config: Path | None, *, sandbox: bool) -> AsyncIterator[Gateway]:
    """Open a gateway on the configuration, or on stand-ins started for it."""
    if not sandbox:
        async with Gateway(settings_with_providers(config)) as gateway:
            yield gateway
        return
    refuse_both(config)
    from ..testing.sandbox import Sandbox
    from ._standins import sandbox_settings

    async with Sandbox() as standins, Gateway(sandbox_settings(standins)) as gateway:
        yield gateway


class _Stay(HTTPRedirectHandler):
    """Follow no redirect: the operator's key is for that server only."""

    def redirect_request(self, *args: Any) -> None:
        """Give nothing to go to."""


def ask_server(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask a running server's operator routes, with the key in AI_GATEWAY_ADMIN_API_KEY (or ADMIN_API_KEY)."""
    if not url.startswith(("http://", "https://")):
        raise RequestError("--url must begin with http:// or https://.")
    key = os.environ.get("AI_GATEWAY_ADMIN_API_KEY") or os.environ.get("ADMIN_API_KEY") or ""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    data = None if body is None else json.dumps(body).encode()
    headers |= {} if data is None else {"content-type": "application/json"}
    request = Request(url.rstrip("/").removesuffix("/v1") + path, data, headers, method=method)  # noqa: S310  # checked
    try:
        with build_opener(_Stay, *_direct(url)).open(request, timeout=10) as answer:
            return dict(json.load(answer))
    except HTTPError as error:
        if error.code in {401, 403}:
            hint = "Set AI_GATEWAY_ADMIN_API_KEY to an operator's key."
            raise Forbidden(f"the server at {url} answered {error.code}. {hint}") from None
        said = f"the server at {url} answered {error.code}{_said(error)}"
        raise GatewayError(said if said.endswith("?") else f"{said}.") from None
    except (URLError, ValueError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise GatewayError(
            f"the server at {url} cannot be asked: {reason}. Is it running there? Name it with --url."
        ) from None


def _said(error: HTTPError) -> str:
    """Give what the server says of it, if it is one of ours."""
    try:
        return f": {json.loads(error.read(65_536))['error']['message']}".rstrip(".")
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _direct(url: str) -> list[ProxyHandler]:
    """Go around the environment's proxy to a server on this machine: the key is not the proxy's to see."""
    return [ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
