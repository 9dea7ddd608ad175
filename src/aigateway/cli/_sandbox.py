"""`aigateway sandbox`: local stand-ins for the four vendors, with faults to switch on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from ..errors import GatewayError, RequestError
from ._options import run_async
from ._standins import MARK

__all__ = ["sandbox"]

HIGHEST = 65_531


def sandbox(
    fault: Annotated[list[str] | None, typer.Option(help="Start with one: deepseek=down, groq=rate_limit:2.")] = None,
    write_config: Annotated[Path | None, typer.Option(help="Write an aigateway.toml that points at them.")] = None,
    port: Annotated[int, typer.Option(help="The first of five ports in a row; 0 takes free ones.", min=0)] = 0,
) -> None:
    """Run local stand-ins for four vendors."""
    if port > HIGHEST:
        raise RequestError(f"--port {port} is too high: five ports in a row are taken, so choose {HIGHEST} or less")
    faults = [_fault(text) for text in fault or []]
    run_async(lambda: _run(faults, write_config, port))


async def _run(faults: list[tuple[str, str]], write_config: Path | None, port: int) -> None:
    from ..testing.sandbox import VENDORS, Sandbox
    from ._standins import describe, sandbox_toml

    ports = {name: port + number for number, name in enumerate((*VENDORS, "control"))} if port else None
    async with Sandbox(ports=ports) as standins:
        for vendor, name in faults:
            try:
                await standins.set_fault(vendor, name)
            except (KeyError, ValueError) as error:
                raise RequestError(f"--fault {vendor}={name}: {error.args[0]}") from None
        typer.echo("Local stand-in vendors; Ctrl-C stops them.\n" + describe(standins))
        if write_config is not None:
            try:
                await _refuse_to_overwrite(anyio.Path(write_config))
                _write(write_config, sandbox_toml(standins))
            except OSError as error:
                raise GatewayError(f"{write_config} cannot be written: {error.strerror}. Name another file.") from None
            typer.echo(f"Wrote {write_config}: try  aigateway ask --config {write_config} smart hi")
        await anyio.sleep_forever()


async def _refuse_to_overwrite(path: anyio.Path) -> None:
    if await path.exists() and not (await path.read_text(encoding="utf-8", errors="replace")).startswith(MARK):
        raise RequestError(f"{path} exists and was not written by the sandbox. Name another file.")


def _write(path: Path, text: str) -> None:
    """Write a file for its owner only, whatever was there before: a key is in it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if os.name == "posix":
            os.fchmod(handle, 0o600)
        file.write(text)


def _fault(text: str) -> tuple[str, str]:
    vendor, equals, name = text.partition("=")
    if not equals:
        raise RequestError(f"--fault takes VENDOR=FAULT, such as deepseek=down, not {text!r}")
    return vendor, name
