"""One gateway after another: what is under way ends where it began, what comes next goes to the new one."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import anyio.to_thread
from starlette.routing import Router

from ..config import Settings, with_running
from ..errors import ConfigurationError, GatewayError, RequestError
from ..gateway import Gateway
from ._incoming import Receive, Scope, Send
from ._unserved import as_http

if TYPE_CHECKING:
    from ._app import Served

__all__ = ["App", "Load"]

LOG = logging.getLogger("aigateway.server")
Load = Callable[[], Settings]


class App:
    """Serve a gateway, and after each `reload` the next one.

    Whoever mounts it in a server of theirs calls `drain` before that server cancels its requests. A
    server of several processes sets `spread`, which tells the others to reload; `adopt` is called
    with each new gateway before it serves, in another thread.
    """

    def __init__(self, make: Callable[[App], Served], load: Load | None) -> None:
        self.spread: Callable[[], None] | None = None
        self.adopt: Callable[[Gateway], Any] | None = None
        self._load = load
        self._loading = threading.Lock()
        self._served = make(self)
        self._served.shared.open.add(self._served)
        self._life = Router(lifespan=self._lifespan)

    @property
    def gateway(self) -> Gateway:
        """Give the gateway that answers new requests."""
        return self._served.gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; a websocket is told that there is none here."""
        if scope["type"] == "http":
            await self._served(scope, receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" in (scope.get("extensions") or ()):
            await self._served(*as_http(scope, receive, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self._life(scope, receive, send)

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, give those under way `seconds` to end, then end the rest.

        An open stream then ends with an error event that says so, a whole answer still awaited is
        a 503, and their upstream calls are closed.
        """
        await self._served.shared.running.drain(seconds)

    async def reload(self) -> list[str]:
        """Load the configuration again and let it answer new requests; give what has no effect before a restart.

        Requests under way end as they began; then what only they used is closed. Raises ConfigurationError
        that says where, and the configuration before goes on; RequestError where there is nothing to load from.
        """
        if self._load is None:
            raise RequestError(
                "the configuration of this gateway is its owner's, so it cannot be loaded again here. "
                "Give create_app a `load`, or restart it.",
                status=409,
                code="not_reloadable",
            )
        before = self._served
        try:
            warnings = await anyio.to_thread.run_sync(self._renew, self._load)
        except Exception as error:  # a plug-in may raise anything, with anything in its words
            why = error.message if isinstance(error, GatewayError) else f"a part failed ({type(error).__name__})."
            LOG.error("the configuration was not reloaded, the one before goes on: %s", why)
            raise ConfigurationError(why) from None
        LOG.info("the configuration was reloaded from %s", self.gateway.settings.origin)
        for warning in warnings:
            LOG.warning("%s", warning)
        await before.left()
        return warnings

    async def reload_all(self) -> list[str]:
        """Do as `reload`, in every process of the server: here at once, in the others a moment later."""
        warnings = await self.reload()
        if self.spread is not None:
            self.spread()
        return warnings

    async def aclose(self) -> None:
        """Close what was made here; streams that are still under way are interrupted."""
        for served in list(self._served.shared.open):
            await served.aclose()

    def _renew(self, load: Load) -> list[str]:
        """Make the next one, and let it serve; in a thread, as files and plug-ins are waited for."""
        with self._loading:
            before = self._served
            settings, warnings = with_running(load(), before.gateway.settings)
            gateway = before.gateway.renewed(settings)
            try:
                served = before.renewed(gateway)
                if self.adopt is not None:
                    self.adopt(gateway)
            except BaseException:
                anyio.from_thread.run(gateway.aclose)
                raise
            served.shared.open.add(served)
            self._served = served
            before.is_retired = True
            return [*settings.warnings, *warnings]

    @asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        yield
        await self.aclose()
