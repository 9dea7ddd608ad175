"""The ASGI application: one visible table of routes and who may use them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import anyio
from starlette.datastructures import Headers
from starlette.routing import Route, Router

from ..callers import require
from ..config import ServerSettings, Settings, find_file
from ..config import load as load_settings
from ..errors import ConfigurationError, Forbidden, GatewayError, RequestError, Unauthenticated
from ..gateway import Gateway
from ..guards import Metrics, json_line
from ..surfaces import anthropic_error
from ._catalogue import Models, OneModel, Providers, Ranking
from ._chat import Chat
from ._completions import CreateCompletion
from ._cors import Cors
from ._decisions import Explain, LastDecisions, OneDecision
from ._door import Door
from ._health import Detailed, Health
from ._hello import Ping, Welcome
from ._incoming import ASGIApp, ClientGone, Envelope, Incoming, Receive, Scope, Send
from ._made import Embed, MakeImage
from ._messages import CountTokens, CreateMessage
from ._openapi import describe
from ._operator import ClearRests, CurrentKey, Keys, MetricsPage, ReloadAll, ReloadKeys
from ._pages import Asset, Docs, OpenAPI, Redoc
from ._reload import App, Load
from ._responses import CreateResponse
from ._running import Running, ShuttingDown
from ._simple import ChatForm, ChatJSON, ChatStreamed, Complete, CompleteStreamed
from ._unserved import is_websocket, nothing_there, over_http
from ._who import Inside, Reload, Seen, Who

__all__ = ["ROUTES", "App", "Load", "create_app"]

access_log = logging.getLogger("aigateway.access")
server_log = logging.getLogger("aigateway.server")
Endpoint = Callable[[Incoming], Awaitable[None]]
Access = Literal["public", "caller", "chat", "admin", "catalogue", "docs", "root"]
# What a route may ask of a caller: any valid key, or one with a scope.
SCOPED = frozenset({"chat", "admin"})
FOR_OPERATORS = "What describes the routes is for operators: send a key with the scope 'admin', or set debug = true \
under [server] in the configuration, which shows it to everybody."


class Entry(NamedTuple):
    """One row of the table."""

    methods: str
    path: str
    endpoint: Callable[[Inside], Endpoint]
    access: Access


# Every route there is; the paths under /v1 are served without it too, and under /openai/v1, which Groq's clients add to
# their base URL. `root` is for who sends the root secret, `docs` is public with `server.debug`, else the operators';
# `catalogue` is public with `server.public_catalogue`, else any caller's.
ROUTES: Sequence[Entry] = (
    Entry("POST", "/v1/chat/completions", Chat, "chat"),
    Entry("POST", "/v1/completions", CreateCompletion, "chat"),
    Entry("POST", "/v1/embeddings", Embed, "chat"),
    Entry("POST", "/v1/images/generations", MakeImage, "chat"),
    Entry("POST", "/images/generate", MakeImage, "chat"),
    Entry("POST", "/v1/chat/completions/stream", ChatStreamed, "chat"),
    Entry("POST", "/v1/responses", CreateResponse, "chat"),
    Entry("POST", "/v1/messages", CreateMessage, "chat"),
    Entry("POST", "/v1/messages/count_tokens", CountTokens, "chat"),
    Entry("POST", "/v1/inference/complete", Complete, "chat"),
    Entry("POST", "/v1/inference/stream", CompleteStreamed, "chat"),
    Entry("POST", "/chat", ChatForm, "chat"),
    Entry("POST", "/chat/json", ChatJSON, "chat"),
    Entry("GET HEAD", "/v1/models", Models, "catalogue"),
    Entry("GET HEAD", "/v1/models/{id:path}", OneModel, "catalogue"),
    Entry("GET HEAD", "/models/providers", Providers, "catalogue"),
    Entry("GET HEAD", "/ranking/models", Ranking, "catalogue"),
    Entry("GET HEAD", "/", Welcome, "public"),
    Entry("GET HEAD", "/ping", Ping, "public"),
    Entry("GET HEAD", "/health", Health, "public"),
    Entry("GET HEAD", "/health/detailed", Detailed, "admin"),
    Entry("GET", "/metrics", MetricsPage, "admin"),
    Entry("GET", "/current-key", CurrentKey, "root"),
    Entry("GET", "/admin/keys", Keys, "admin"),
    Entry("POST", "/admin/keys/reload", ReloadKeys, "admin"),
    Entry("POST", "/admin/reload", ReloadAll, "admin"),
    Entry("POST", "/admin/rests/clear", ClearRests, "admin"),
    Entry("GET", "/admin/decisions", LastDecisions, "admin"),
    Entry("GET", "/admin/decisions/{request_id}", OneDecision, "admin"),
    Entry("GET POST", "/admin/explain", Explain, "admin"),
    Entry("GET HEAD", "/openapi.json", OpenAPI, "docs"),
    Entry("GET HEAD", "/docs", Docs, "docs"),
    Entry("GET HEAD", "/docs/assets/{name}", Asset, "docs"),
    Entry("GET HEAD", "/redoc", Redoc, "docs"),
)


def create_app(gateway: Gateway | None = None, *, close: bool = False, load: Load | None = None) -> App:
    """Make an ASGI application of a gateway; it can be served, or mounted under any prefix.

    A gateway that is given is closed by whoever made it, unless `close` says with the server;
    without one the configuration is discovered (`uvicorn --factory aigateway.asgi:create_app`)
    and the gateway is closed with the server. `load` gives the settings anew for `App.reload`;
    gateways that are made of them are closed with the server. Raises ConfigurationError.
    """
    owned = close or gateway is None
    if gateway is None:
        # A file that is gone later must not make another one be found.
        load = load or partial(_load, find_file(os.environ))
        first = Gateway(load())
    else:
        first = gateway
    shared = Shared(ROUTES, Seen(), Running(first.settings.server.write_timeout), set())
    return App(lambda app: Served(first, shared, app.reload_all, owned=owned), load)


def _load(source: Path | None) -> Settings:
    return load_settings(source).with_providers()


class Shared(NamedTuple):
    """Give one gateway after another what is the server's; `open` is what has not been closed."""

    routes: Sequence[Entry]
    seen: Seen
    running: Running
    open: set[Served]


class Served:
    """Serve one gateway: match, admit, answer, log.

    One that `is_retired` closes the gateway after the last request, if it is `owned`.
    """

    def __init__(
        self, gateway: Gateway, shared: Shared, reload: Reload, *, owned: bool, before: Who | None = None
    ) -> None:
        self.gateway = gateway
        self.shared = shared
        self.is_retired = False
        self._running = shared.running
        self._reload = reload
        self._owned = owned
        self._under_way = 0
        self._who = who = Who(gateway, before)
        door = Door(who.callers, gateway.clock, proxies=gateway.settings.callers.proxies)
        self._seen, routes = shared.seen, shared.routes
        inside = Inside(gateway, who, self._seen, lambda: describe(routes), reload)
        table = [route for entry in routes for route in _routes(entry, inside, door)]
        # A path without parameters is found in a dict; patterns, mounts and the rest are the router's.
        self._plain = {route.path: route.app for route in table if not route.param_convertors}
        self._router = Router(table, redirect_slashes=False, default=_not_found)
        self._log = gateway.settings.server.log_requests
        self._metrics = next((guard for guard in gateway.parts.guards if isinstance(guard, Metrics)), None)
        origins = gateway.settings.server.cors
        self._entry: ASGIApp = Cors(self._http, origins, self._preflight) if origins else self._http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self._under_way += 1
        try:
            await self._entry(scope, receive, send)
        finally:
            self._under_way -= 1
            if self.is_retired:
                await self.left()

    def renewed(self, gateway: Gateway) -> Served:
        """Give what serves another gateway after this one. Raises ConfigurationError."""
        return Served(gateway, self.shared, self._reload, owned=True, before=self._who)

    async def left(self) -> None:
        """Close what no request needs any more."""
        if self.is_retired and not self._under_way:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the gateway, unless that is for others to do."""
        if self in self.shared.open:
            self.shared.open.discard(self)
            if self._owned:
                await self.gateway.aclose()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(Incoming(scope, receive, send))

    def _preflight(self, headers: Headers, status: int) -> None:
        """Log what a browser asked before it sent."""
        self._seen.requests += 1
        if self._log and access_log.isEnabledFor(logging.INFO):
            line = {"time": round(time.time(), 3), "method": "OPTIONS", "origin": headers.get("origin", "")[:256]}
            access_log.info("%s", json_line({**line, "status": status, "ended": "preflight"}))

    async def _serve(self, request: Incoming) -> None:
        self._seen.requests += 1
        try:
            await self._running.over(request, lambda: self._answer(request))
        except ClientGone as gone:
            request.status = request.status or 499
            request.ended = gone.word
            gone.__traceback__ = gone.__context__ = None  # the request holds it
        except ShuttingDown as reason:
            admitted = self._plain.get(_local_path(request.scope))  # who came too late was not admitted yet
            if isinstance(admitted, Admitted):
                admitted.speak(request)
            await request.last_words(reason)
        except anyio.get_cancelled_exc_class():
            request.ended = request.ended or "cancelled"
            await request.last_words(ShuttingDown())  # by the server, as a rule: it has waited long enough
            raise
        finally:
            if self._metrics is not None:
                self._metrics.http(request.status)
            if self._log and access_log.isEnabledFor(logging.INFO):
                access_log.info("%s", _line(request))

    async def _answer(self, request: Incoming) -> None:
        request.scope["aigateway.request"] = request
        try:
            app = self._plain.get(_local_path(request.scope), self._router)
            await app(request.scope, request.receive, request.send)
        except ClientGone:
            raise
        except GatewayError as error:
            await _refuse(request, error.forget_frames())
        except Exception:
            server_log.exception("request %s failed inside the gateway", request.id)
            await _refuse(request, GatewayError("the gateway failed; the request id names it in the log"))
        finally:
            request.scope.pop("aigateway.request", None)  # each holds the other: not left to the collector


class Admitted:
    """An endpoint behind its access rule and its methods."""

    def __init__(self, entry: Entry, endpoint: Endpoint, door: Door, server: ServerSettings) -> None:
        self._endpoint = endpoint
        self._envelope: Envelope | None = getattr(endpoint, "envelope", None)
        self._is_bilingual = bool(getattr(endpoint, "bilingual", False))
        self._methods = frozenset(entry.methods.split())
        self._access: Access = entry.access
        if entry.access == "docs" and server.debug:
            self._access = "public"
        if entry.access == "catalogue" and not server.public_catalogue:
            self._access = "caller"
        self._door = door

    def speak(self, request: Incoming) -> None:
        """Have errors written as clients of this route read them."""
        if self._envelope is not None:
            request.envelope = self._envelope
        elif self._is_bilingual and "anthropic-version" in request.headers:
            request.envelope = anthropic_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, then answer."""
        request: Incoming = scope["aigateway.request"]
        self.speak(request)
        if is_websocket(request):
            raise over_http(request, self._methods)
        if self._access == "docs":
            await self._admit_operator(request)
        elif self._access == "caller" or self._access in SCOPED:
            request.caller = await self._door.caller(request)
            if self._access in SCOPED:
                require(request.caller, self._access)
        elif self._access == "catalogue" and self._door.is_named(request):  # who may see less is shown less
            request.caller = await self._door.caller(request)
        if scope["method"] not in self._methods:
            allowed = ", ".join(sorted(self._methods))
            error = RequestError(
                f"{scope['method'][:16]} is not allowed here; use {allowed}", status=405, code="method"
            )
            await request.refuse(error, {"allow": allowed})
            return
        await self._endpoint(request)

    async def _admit_operator(self, request: Incoming) -> None:
        """Let operators in; tell others how people with a browser, which sends no key, get in."""
        try:
            request.caller = await self._door.caller(request)
            require(request.caller, "admin")
        except (Unauthenticated, Forbidden) as error:
            error.args = (f"{error.message} {FOR_OPERATORS}",)
            raise


def _routes(entry: Entry, inside: Inside, door: Door) -> list[Route]:
    if entry.access not in get_args(Access):
        raise ConfigurationError(f"the route {entry.path} has no access rule; give it {', '.join(get_args(Access))}")
    app = Admitted(entry, entry.endpoint(inside), door, inside.gateway.settings.server)
    paths = [entry.path]
    if entry.path.startswith("/v1/"):
        paths += [entry.path.removeprefix("/v1"), f"/openai{entry.path}"]
    return [Route(path, app) for path in paths]


async def _refuse(request: Incoming, error: GatewayError) -> None:
    if isinstance(error, Unauthenticated):
        request.why = error.reason
    steps = error.decision.attempts if error.decision else 0
    await request.refuse(error, {"x-aigateway-attempts": str(steps)} if steps else None)


def _local_path(scope: Scope) -> str:
    """Give the path below the prefix we are mounted under."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path.removeprefix(root) if root else path


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise nothing_there(scope["aigateway.request"], _local_path(scope))


def _line(request: Incoming) -> str:
    """Write the access line; JSON escapes whatever a client put into it."""
    line: dict[str, Any] = {
        "time": round(time.time(), 3),
        "request_id": request.id,
        "caller": request.caller.name,
        "key": request.caller.key or request.tried,
        "method": request.scope["method"][:16],
        "path": request.path[:256],
        "status": request.status,
        "ended": request.ended or "cut",
        "ms": round((time.monotonic() - request.started) * 1000, 1),
    }
    if request.why:
        line["why"] = request.why
    return json_line(line)
