"""`aigateway plugins`: what is installed, what is broken and why, and the beginning of one's own."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ..errors import RequestError
from ..plugins import Registry
from ._options import AsJSON, allowed_plugins

__all__ = ["app"]

app = typer.Typer(help="List plug-ins, name the broken ones, begin one.", rich_markup_mode=None)
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Where each file of the template stands; `yourvendor` is the name, here and in the files.
PACKAGE = "src/aigateway_yourvendor"
FILES = ("README.md", "pyproject.toml", f"{PACKAGE}/__init__.py", f"{PACKAGE}/models.toml", "tests/test_yourvendor.py")


@app.callback(invoke_without_command=True)
def plugins(context: typer.Context, as_json: AsJSON = False) -> None:
    """List plug-ins, name the broken ones, begin one."""
    if context.invoked_subcommand is None:
        listing(as_json=as_json)


@app.command("list")
def listing(as_json: AsJSON = False) -> None:
    """List plug-ins; name the broken ones."""
    listing = Registry(allow=allowed_plugins()).listing()
    if as_json:
        rows = [
            {name: getattr(plugin, name) for name in ("name", "kind", "distribution", "version", "state", "reason")}
            for plugin in listing
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for plugin in listing:
        source = f"{plugin.distribution} {plugin.version}"
        typer.echo(f"{plugin.name:<16} {plugin.kind:<9} {source:<32} {plugin.state}")
        if plugin.reason:
            typer.echo(f"    {plugin.reason}")
    if not listing:
        typer.echo("No plug-in is installed. Try: pip install aigateway-deepseek", err=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The provider's name, such as acme.")],
    path: Annotated[Path | None, typer.Argument(help="A new folder.", show_default="aigateway-NAME")] = None,
) -> None:
    """Write a provider's plug-in to fill in."""
    if NAME.fullmatch(name) is None:
        raise RequestError(f"{name!a:.80} is no provider's name. Use small letters, digits and single hyphens.")
    if name == "openai-compatible" or name in {plugin.name for plugin in Registry().listing()}:
        raise RequestError(f"there is a plug-in {name!r} already, and a name belongs to one. Choose another.")
    folder = path or Path(f"aigateway-{name}")
    if folder.exists():
        raise RequestError(f"{folder} is there already. Name another folder after the name.")
    for file in FILES:
        place = folder / _named(file, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_named(_template(Path(file).name), name), encoding="utf-8")
        if place.name == "__init__.py":
            place.with_name("py.typed").touch()
    typer.echo(f"{folder}")
    typer.echo(f"Next, in {folder}: pip install -e . && pytest && aigateway plugins", err=True)


def _template(file: str) -> str:
    return (files(__package__) / "your_own_provider" / f"{file}.txt").read_text(encoding="utf-8")


def _named(text: str, name: str) -> str:
    """Put a name in the place of `yourvendor`, in each of its spellings."""
    word = name.replace("-", "_")
    for before in ("aigateway_", "test_"):
        text = text.replace(f"{before}yourvendor", before + word)
    text = text.replace("YourVendor", "".join(part.capitalize() for part in name.split("-")))
    return text.replace("YOURVENDOR", word.upper()).replace("yourvendor", name)
