"""The commands, and what their failures look like: one line each, and an exit code.

0 ok, 1 failure, 2 usage, 3 configuration, 4 provider or auth, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import ConfigurationError, Forbidden, GatewayError, NoAnswer, ProviderError, RequestError
from . import (
    _ask,
    _callers,
    _check,
    _demo,
    _doctor,
    _explain,
    _init,
    _keys,
    _models,
    _plugins,
    _reload,
    _sandbox,
    _schema,
    _serve,
    _simulate,
)
from ._logging import REDACT
from ._over import read_dotenv

__all__ = ["app", "run"]

app = typer.Typer(
    name="aigateway",
    help="One URL, or one Python object, in front of every AI model provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(_serve.serve)
app.command("ask")(_ask.ask)
app.command("demo")(_demo.demo)
app.command("reload")(_reload.reload)
app.command("sandbox")(_sandbox.sandbox)
app.command("models")(_models.models)
app.add_typer(_plugins.app, name="plugins")
app.command("init")(_init.init)
app.command("check")(_check.check)
app.command("doctor")(_doctor.doctor)
app.command("schema")(_schema.schema)
app.command("explain")(_explain.explain)
app.command("simulate")(_simulate.simulate)
app.add_typer(_keys.app, name="keys")
app.add_typer(_callers.app, name="callers")


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"aigateway {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Read .env beside the environment; only commands do."""
    os.environ.update(read_dotenv(os.environ))


def run(arguments: Sequence[str]) -> int:
    """Run one command; give its exit code."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    own, after = words[:end], words[end:]
    debug = "--debug" in own
    try:
        app([*(word for word in own if word != "--debug"), *after], prog_name="aigateway")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            typer.echo(REDACT.clean(traceback.format_exc()), err=True, nl=False)
        return _report(error)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            return 130
        raise
    return 0


def _report(error: Exception) -> int:
    if isinstance(error, OSError):
        typer.echo(f"error: {error.strerror or error}.", err=True)
        return 1
    if not isinstance(error, GatewayError):
        said = REDACT.clean(str(error))
        typer.echo(f"error: {type(error).__name__}: {said}. Run with --debug for the traceback.", err=True)
        return 1
    typer.echo(REDACT.clean(f"error: {error.message}"), err=True)
    if error.decision is not None and not isinstance(error, RequestError):
        typer.echo(error.decision.explain(), err=True)
    codes = ((ConfigurationError, 3), (Forbidden, 4), (RequestError, 2), (ProviderError, 4), (NoAnswer, 4))
    return next((code for kind, code in codes if isinstance(error, kind)), 1)
