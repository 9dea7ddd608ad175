"""uvicorn's server, with the end we promise and an eye on those who do not read.

It stops accepting, lets answers end, tells the rest why they are cut, and leaves with 0.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from math import ceil, inf
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
import uvicorn

from ..config import Settings
from ..errors import ConfigurationError, RequestError
from ..gateway import Gateway
from ..secrets import Secret
from ._connection import Bounded, Quiet, look_after
from ._hangup import heeding_hangups
from ._logging import hide_all, secrets_of
from ._watchdog import Watchdog

if TYPE_CHECKING:
    import socket

    from ..asgi import App

__all__ = ["Server"]

logger = logging.getLogger("aigateway.server")
# Seconds clients have to read their last words before their connections are closed.
PARTING = 1.0
# Seconds after the drain at which uvicorn cancels what we could not end.
TOO_LONG = 10
# Longer than clients keep idle connections (OpenAI's 5 s, aiohttp 15, proxies 60): they close first, and send on none
# that is just being closed.
KEEP_ALIVE = 75


class Server(uvicorn.Server):
    """Serve one application in this process; `hurried` tells that somebody could not wait for its end."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.hurried = False
        self.app = app
        self._drain = settings.server.drain
        super().__init__(
            uvicorn.Config(
                app,
                http=Bounded if settings.server.log_requests else Quiet,
                ws="none",  # uvicorn would hold an opening it cannot read without end; ours answers it as any request
                access_log=False,  # ours says who and how long
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=ceil(self._drain) + TOO_LONG,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )
        self._unread = Unread(settings.server.write_timeout * 1.5)
        self._watchdog = Watchdog(app.gateway)
        self._past: set[Secret] = set()  # what was replaced by a reload and must not show either
        app.adopt = self._adopt
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal has come and all has ended."""
        self._loop = asyncio.get_running_loop()
        with self._watchdog, heeding_hangups(self._heed), set_aside():
            await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal; it is not raised again, for what it asks is done. A second Ctrl-C cannot wait."""
        if self.should_exit and sig == signal.SIGINT and self._loop is not None:
            self.hurried = True
            self._loop.call_soon_threadsafe(self._start, self._hurry)
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections once a second, besides what uvicorn does."""
        self._watchdog.beat()
        if counter % 10 == 0:
            connections = self.server_state.connections
            self._unread.look(cast("Iterable[Connection]", connections), time.monotonic())
            look_after(connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain, end."""
        self._watchdog.rest()
        self._start(self._end)
        await super().shutdown(sockets)

    def _adopt(self, gateway: Gateway) -> None:
        """Look after another gateway from now on."""
        self._past |= secrets_of(self.app.gateway)
        hide_all(gateway, beside=self._past)
        gc.unfreeze()  # the gateway before this one is to be collected
        self._watchdog.watch(gateway)

    def _heed(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._start, self._reload)

    async def _reload(self) -> None:
        """Load the configuration again; what is wrong with it is logged there."""
        try:
            await self.app.reload()
        except ConfigurationError:
            return
        except RequestError as error:
            logger.warning("%s", error.message)

    def _start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(function())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        if count := len(self.server_state.tasks):
            logger.info("stopping: %d under way, with %g s to end; Ctrl-C ends them at once", count, self._drain)
        await self.app.drain(self._drain)
        await asyncio.sleep(PARTING)
        self._abort()

    async def _hurry(self) -> None:
        with anyio.move_on_after(PARTING):
            await self.app.drain(0.0)
        self._abort()
        await asyncio.sleep(PARTING / 4)
        self.force_exit = bool(self.server_state.tasks)  # does without the application's own end

    def _abort(self) -> None:
        for connection in list(cast("Iterable[Connection]", self.server_state.connections)):
            connection.transport.abort()


@contextmanager
def set_aside() -> Iterator[None]:
    """Keep what is there for good from the garbage collector.

    It then looks at what requests leave behind alone: sooner, so that less of it lies about, and faster.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # how often everything is looked at depends on how much there was the last time
    try:
        yield
    finally:
        gc.unfreeze()


class Connection(Protocol):
    """What we need of any of uvicorn's protocols."""

    transport: asyncio.Transport


class Unread:
    """Cut off clients that do not take what was written for them, also after their answer's end."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._waiting: dict[Connection, tuple[int, float]] = {}

    def look(self, connections: Iterable[Connection], now: float) -> None:
        """Abort those whose buffer did not shrink for too long."""
        waiting, self._waiting = self._waiting, {}
        for connection in list(connections):
            size = connection.transport.get_write_buffer_size()
            if not size:
                continue
            before, since = waiting.get(connection, (inf, now))
            if size < before:
                since = now
            if now - since >= self._patience:
                connection.transport.abort()
            else:
                self._waiting[connection] = size, since
