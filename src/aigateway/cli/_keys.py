"""`aigateway keys`: vendor keys, of the configuration or of a running server."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ..config import Settings
from ..errors import ConfigurationError, Kind, ProviderError, RequestError
from ..gateway import Gateway
from ..secrets import Secret
from ._options import AsJSON, Config, Url, ask_server, run_async, settings_with_providers

__all__ = ["app"]

app = typer.Typer(help="Vendor keys: list, verify, reload, rotate.", no_args_is_help=True, rich_markup_mode=None)
Provider = Annotated[str | None, typer.Argument(help="A provider; all of them, if not said.")]


@app.command("list")
def listing(config: Config = None, url: Url = None, as_json: AsJSON = False) -> None:
    """List the keys, and whether they rest. --url asks a running server."""
    found = ask_server(url, "GET", "/admin/keys") if url else {"keys": _known(settings_with_providers(config))}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(
        f"{'provider':<12} {'key':<11} {'quota group':<14} {'standing':<9} {'state':<28} {'uses':>7} {'left':>5}"
    )
    for key in found["keys"]:
        left = "?" if key["headroom"] is None else f"{key['headroom']:.0%}"
        typer.echo(
            f"{key['provider']:<12} {key['id'] or '-':<11} {key['quota_group']:<14} {key['standing']:<9} "
            f"{_state(key):<28} {key['uses']:>7} {left:>5}"
        )
        if key["trouble"]:
            typer.echo(f"{'':<12} {key['id']} goes on: a new key was put aside ({key['trouble']})")


@app.command()
def verify(provider: Provider = None, config: Config = None, as_json: AsJSON = False) -> None:
    """Ask each vendor whether it takes our keys; costs nothing."""
    settings = settings_with_providers(config)

    async def ask() -> list[dict[str, Any]]:
        async with Gateway(settings) as gateway:
            return await gateway.verify_keys(provider)

    found = run_async(ask)
    if as_json:
        typer.echo(json.dumps({"keys": found}, indent=2))
    else:
        for key in found:
            typer.echo(f"{key['provider']:<12} {key['id'] or '-':<11} {key['result']}")
    if any(key["result"] != "good" and not key["result"].startswith("unsupported_param") for key in found):
        raise typer.Exit(4)


@app.command()
def reload(url: Url = "http://127.0.0.1:8000", as_json: AsJSON = False) -> None:
    """Let a server look at its key files now. Without, it does within a second."""
    found = ask_server(url or "", "POST", "/admin/keys/reload")
    typer.echo(json.dumps(found) if as_json else f"{found['replaced']} new key(s) are being tried.")


@app.command()
def clear(
    provider: Provider = None,
    url: Annotated[str, typer.Option("--url", help="The running server.")] = "http://127.0.0.1:8000",
    as_json: AsJSON = False,
) -> None:
    """Let a server ask again at once what rests. You have topped up, or mended a key."""
    query = f"?provider={quote(provider)}" if provider else ""
    found = ask_server(url, "POST", "/admin/rests/clear" + query)
    typer.echo(json.dumps(found) if as_json else f"{found['cleared']} rest(s) were ended.")


@app.command()
def rotate(
    provider: Annotated[str, typer.Argument(help="Whose key is replaced.")],
    config: Config = None,
    key: Annotated[str | None, typer.Option("--key", help="The id of the key, where there are several.")] = None,
    unverified: Annotated[bool, typer.Option("--unverified", help="Do not ask the vendor first.")] = False,
) -> None:
    """Read a new key, and put it into the key's file. It is read from the terminal or a pipe, and verified."""
    settings = settings_with_providers(config)
    path, grace, current = _file_of(settings, provider, key)
    secret = Secret(_typed())
    if secret == current:
        raise RequestError(f"{secret.id} is the key in {path.name} already; nothing was changed.")
    if not unverified:
        run_async(lambda: _good(settings, provider, secret))
    _replace(path, secret)
    typer.echo(
        f"{secret.id} is in {path.name}. Running servers try it within a second; the last key is kept for {grace:g} s.",
        err=True,
    )


def _known(settings: Settings) -> list[dict[str, Any]]:
    """Tell about the keys of a configuration, with what the place of `state.url` remembers of them."""
    gateway = Gateway(settings)
    mirror = gateway.parts.mirror
    if mirror is not None:
        mirror.start(gateway.memory.rests)
        mirror.close()
    return gateway.vendor_keys()


async def _good(settings: Settings, provider: str, secret: Secret) -> None:
    async with Gateway(settings) as gateway:
        try:
            await gateway.verify_key(provider, secret)
        except ProviderError as error:
            why = f"{provider} does not take the new key ({error.kind}); nothing was changed"
            if error.kind not in {Kind.AUTH, Kind.PERMISSION}:
                why = (
                    f"{provider} could not be asked about the new key ({error.kind}); nothing was changed. Try again, "
                )
                why += "or use --unverified"
            raise ProviderError(error.kind, why, remedy=error.remedy) from None


def _file_of(settings: Settings, provider: str, key: str | None) -> tuple[Path, float, Secret]:
    table = settings.providers.get(provider)
    if table is None:
        raise RequestError(f"there is no provider {provider!r}. There is: {', '.join(settings.providers)}.")
    keys = [entry.secret for entry in table.keys if key in (None, entry.secret.id)]
    ids = ", ".join(entry.secret.id for entry in table.keys) or "none"
    if key and not keys:
        raise RequestError(f"{provider} has no key {key[:64]!r}. It has: {ids}.")
    if len(keys) != 1:
        raise RequestError(f"say which key is replaced, with --key. {provider} has: {ids}.")
    kind, _, path = keys[0].source.partition(":")
    if kind != "file":
        raise ConfigurationError(
            f"the key {keys[0].id} of {provider} comes from {keys[0].source or 'elsewhere'}, which cannot change while "
            "a server runs. Put it into a file and write file:PATH, or restart with the new value."
        )
    return Path(path), table.grace, keys[0]


def _typed() -> str:
    """Give what was typed or piped in: one word."""
    value = typer.prompt("new key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    if not value.strip():
        raise RequestError("no key came in. Type it, or pipe it in.")
    if not Secret(value.strip()).is_sendable:
        raise RequestError("a key is one word of ASCII. Nothing was changed.")
    return str(value).strip()


def _replace(path: Path, secret: Secret) -> None:
    """Put a secret into a file, as a whole; whoever could read it, and nobody else, still can."""
    before = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if os.name == "posix":
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
                with suppress(PermissionError):  # then it is the server's group that matters
                    os.fchown(handle, before.st_uid, before.st_gid)
            file.write(secret.reveal() + "\n")
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _state(key: dict[str, Any]) -> str:
    return f"{key['state']} until {_clock(key['until'])} ({key['reason']})" if key["until"] else str(key["state"])


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
