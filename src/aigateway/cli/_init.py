"""`aigateway init`: write a configuration from what is there, or from LiteLLM's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ..asgi import Who
from ..config import FILE_NAME, load
from ..errors import ConfigurationError, GatewayError, RequestError
from ..gateway import Gateway
from ..plugins import Registry
from ._found import Found, look
from ._logging import REDACT
from ._options import allowed_plugins
from ._schema import schema_text
from ._template import SCHEMA_FILE, template

__all__ = ["init"]

Place = Annotated[Path, typer.Argument(help="A file or a folder; - prints it.", show_default=False)]
Litellm = Annotated[
    Path | None,
    typer.Option("--from-litellm", metavar="FILE", help="Convert LiteLLM's config.yaml.", show_default=False),
]


def init(
    path: Place = Path(FILE_NAME),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    minimal: Annotated[bool, typer.Option("--minimal", help="Only what is needed, without comments.")] = False,
    from_litellm: Litellm = None,
) -> None:
    """Write a configuration from the keys that are set."""
    printed = str(path) == "-"
    place = path / FILE_NAME if path.is_dir() else path
    if not printed and not force and (place.exists() or place.is_symlink()):
        raise RequestError(f"{place} is there already. Use --force to write over it, or name another file.")
    registry = Registry(allow=allowed_plugins())
    with_schema = not (printed or minimal or from_litellm)
    if from_litellm is not None:
        text = _converted(from_litellm, registry, minimal=minimal)
    else:
        found = look(os.environ, registry)
        text = template(found, minimal=minimal, schema=with_schema)
    if printed:
        typer.echo(text, nl=False)
        return
    _write(place, text, force=force)
    typer.echo(f"Wrote {place}.", err=True)
    if with_schema:
        _write_schema(place.with_name(SCHEMA_FILE), force=force)
    if from_litellm is None:
        _say_what_next(found, place)
    else:
        _say_how_it_stands(place)


def _converted(source: Path, registry: Registry, *, minimal: bool) -> str:
    """Convert a file, and say what was not taken over."""
    from .litellm import convert, read_yaml

    available = {kind: registry.names(kind) for kind in ("provider", "guard", "state")}
    made = convert(read_yaml(source), os.environ, available)
    for note in made.notes:
        typer.echo(REDACT.clean(f"look at: {note}"), err=True)
    if "[providers." not in made.text:
        raise ConfigurationError(f"{source} has nothing that can be asked here, so nothing was written.")
    unset = [name for name in made.variables if not os.environ.get(name)]
    if unset:
        typer.echo(f"Not set yet, and needed: {', '.join(unset)}.", err=True)
    kept = (line for line in made.text.splitlines() if not (minimal and line.startswith("#")))
    return "\n".join(kept).strip("\n") + "\n"


def _write(path: Path, text: str, *, force: bool) -> None:
    """Put a whole file in its place; a new one is everybody's to read as far as the umask says: no secret is in it."""
    path = path.resolve()
    if not force:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return
    umask = os.umask(0)
    os.umask(umask)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644 & ~umask
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_schema(path: Path, *, force: bool) -> None:
    """Put beside it what lets an editor complete and check it."""
    if force or not path.exists():
        _write(path, schema_text(), force=True)
        typer.echo(f"Wrote {path}, by which editors complete and check it.", err=True)


def _say_what_next(found: Found, place: Path) -> None:
    for vendor in found.vendors:
        if vendor.missing and not vendor.missing.startswith(("set ", "pip ")):
            typer.echo(f"look at: {vendor.name} is left out: {vendor.missing}.", err=True)
    if not found.ready:
        wanted = ", ".join(vendor.variable for vendor in found.vendors)
        typer.echo(f"No vendor key was found. Set one of {wanted},", err=True)
        typer.echo("in the environment or in .env, and run `aigateway init --force` again.", err=True)
        typer.echo("`aigateway demo` needs no key.", err=True)
        return
    names = ", ".join(vendor.name for vendor in found.ready)
    typer.echo(f"It asks {names} through the route smart.", err=True)
    _say_how_it_stands(place)


def _say_how_it_stands(place: Path) -> None:
    """Build what was written, once, and say what to do next."""
    try:
        gateway = Gateway(load(place).with_providers())
        Who(gateway)
    except GatewayError as error:
        typer.echo(f"look at: {error.message}", err=True)
        typer.echo("Then: aigateway check", err=True)
        return
    model = gateway.settings.default_model or next(iter(gateway.settings.routes), "PROVIDER/MODEL")
    typer.echo(f'Next: aigateway check; aigateway ask "{model}" "Say hi"; aigateway serve', err=True)
