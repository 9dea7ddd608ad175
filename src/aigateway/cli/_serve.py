"""`aigateway serve`: the gateway as an OpenAI-compatible server."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ..config import Settings, find_file, load
from ..errors import ConfigurationError, GatewayError, RequestError
from ._hangup import holding_hangups
from ._logging import configure_logging, hide_all
from ._options import Config, UseSandbox, refuse_both, run_async, settings_with_providers, sorts_of_keys
from ._over import guards_of_serve, with_workers

if TYPE_CHECKING:
    from ..asgi import App, Load
    from ._server import Server

__all__ = ["serve", "work"]

# Bytes the kernel takes of what a client has not been sent yet: more would hide that it does not read.
UNSENT = 128 * 1024


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Where to listen.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.", min=0, max=65535, show_default="8000")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="How many processes.", show_default="1")] = None,
    sandbox: UseSandbox = False,
) -> None:
    """Serve OpenAI's API until stopped. SIGHUP loads the configuration again."""
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise ConfigurationError("the server is not installed. Install it with: pip install 'aigateway[server]'")
    with holding_hangups():  # until somebody heeds them: none may end it while it starts
        if sandbox:
            if workers is not None and workers > 1:
                raise RequestError("--sandbox runs with one worker. Leave --workers out.")
            refuse_both(config)
            if found := find_file(os.environ):
                typer.echo(f"note: {found.name} is not read: the sandbox has a configuration of its own", err=True)
            run_async(lambda: _serve_sandbox(host, port))
        else:
            _serve(config, host, port, workers)


def _serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    config = config or find_file(os.environ)  # when it is gone later, no other one must be found instead of it
    settings = with_workers(settings_with_providers(config), workers)
    listener = _listen(settings, host, port)
    configure_logging(settings)
    if settings.server.workers > 1:
        _serve_many(config, settings, listener)
    else:
        server = _server(settings, partial(_again, config, workers, listener))
        _announce(settings, listener)
        server.run(sockets=[listener])
        _leave(server)


async def _serve_sandbox(host: str | None, port: int | None) -> None:
    from ..testing.sandbox import Sandbox
    from ._standins import describe, sandbox_settings

    async with Sandbox() as standins:
        settings = sandbox_settings(standins, os.environ)
        listener = _listen(settings, host, port)
        configure_logging(settings)
        server = _server(settings)
        _announce(settings, listener)
        typer.echo("Answers come from local stand-ins, not from the vendors:\n" + describe(standins), err=True)
        await server.serve(sockets=[listener])
    _leave(server)


def _serve_many(config: Path | None, settings: Settings, listener: socket.socket) -> None:
    from ._server import TOO_LONG
    from ._workers import Workers

    with shared_figures():
        _app(settings)  # what is wrong is said here, once
        _announce(settings, listener)
        patience, workers = settings.server.drain + TOO_LONG + 5, settings.server.workers
        code = Workers(work, (config, workers, listener), workers, patience=patience).run()
    raise typer.Exit(code)


@contextmanager
def shared_figures() -> Iterator[None]:
    """Give workers a folder to keep their metrics in side by side, unless the environment names one."""
    from ..guards import SHARED

    if os.environ.get(SHARED):
        yield
        return
    with TemporaryDirectory(prefix="aigateway-metrics-") as folder:
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]


def work(config: Path | None, workers: int, listener: socket.socket) -> None:
    """Serve in one worker process."""
    from ._workers import end_with_parent, tell_parent

    end_with_parent()
    try:
        settings = with_workers(load(config), workers)
        configure_logging(settings)
        server = _server(settings, partial(_again, config, workers, listener))
        server.app.spread = tell_parent
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # before the server was up; the parent ends us all


def _leave(server: Server) -> None:
    """End with 130 when somebody could not wait for the server's own end."""
    if server.hurried:
        raise typer.Exit(130)


def _again(config: Path | None, workers: int | None, listener: socket.socket) -> Settings:
    """Load the configuration for a server that listens already. Raises ConfigurationError, for an unsafe host too."""
    settings = with_workers(load(config), workers).with_providers()
    address = str(listener.getsockname()[0])
    _refuse_open(settings, address, address)
    return _guarded(settings)


def _guarded(settings: Settings) -> Settings:
    """Log, measure and limit, whatever else is configured."""
    from ..config import with_guards

    return with_guards(settings, *guards_of_serve())


def _app(settings: Settings, again: Load | None = None) -> App:
    """Make the application."""
    from ..asgi import create_app
    from ..gateway import Gateway
    from ..types import ChatRequest

    app = create_app(Gateway(_guarded(settings)), close=True, load=again)
    ChatRequest.parse({"messages": [{"role": "user", "content": "warm up"}]})  # not the first caller's to wait for
    # What was built lives as long as the process: out of the collector's sight, and it looks less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    return app


def _server(settings: Settings, again: Load | None = None) -> Server:
    from ._server import Server

    app = _app(settings, again)
    hide_all(app.gateway)
    return Server(app, settings)


def _refuse_open(settings: Settings, host: str, address: str) -> None:
    """Refuse to serve other machines without client keys."""
    from ..asgi import is_loopback

    if not settings.callers.any and not is_loopback(address):
        raise ConfigurationError(
            f"listening on {host} without client keys would let anybody spend your money. Set "
            "AI_GATEWAY_GATEWAY_API_KEY (or [[callers.keys]]), or listen on 127.0.0.1."
        )


def _listen(settings: Settings, host: str | None, port: int | None) -> socket.socket:
    """Bind before anything else is started. Raises ConfigurationError for an unsafe host."""
    host = host or settings.server.host
    port = settings.server.port if port is None else port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        _refuse_open(settings, host, str(address[0]))
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)  # its connections inherit it
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise GatewayError(f"cannot listen on {host}:{port}: {reason}. Free it, or choose another --port.") from None
    return listener


def _announce(settings: Settings, listener: socket.socket) -> None:
    from .. import __version__

    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"aigateway {__version__} serves {settings.origin} at http://{shown}:{port}/v1", err=True)
    for name, route in settings.routes.items():
        typer.echo(f"  route {name}: {' -> '.join(target.to for target in route.targets)}", err=True)
    keys = "; ".join(sorts_of_keys(settings)) or "none, so this machine only is served"
    typer.echo(f"  client keys: {keys}", err=True)
