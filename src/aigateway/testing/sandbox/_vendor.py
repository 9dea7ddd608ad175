"""One stand-in at work: its port, its fault, and what it has seen.

The dialect decides what to say, `_delivery.py` sends it; here a fault may come between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup
from pydantic_core import from_json

from ._delivery import Delivery, Seen
from ._faults import NO_FAULT, Fault
from ._server import Exchange, Port, Request
from ._vendors import RefusalError, Response, StandIn, Stream

__all__ = ["Vendor"]

REMEMBERED = 1000
SECRETS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})
PAGE = b"<!doctype html><html><head><title>Just a moment</title></head><body><h1>Just a moment</h1></body></html>\n"


class Vendor:
    """A stand-in behind its port."""

    def __init__(self, stand_in: StandIn, port: int, pace: float) -> None:
        self.name = stand_in.name
        self.fault = NO_FAULT
        self.requests: deque[Seen] = deque(maxlen=REMEMBERED)
        self._stand_in = stand_in
        self._pace = pace
        self._port = Port(self._handle, port)
        self._cleared = anyio.Event()
        self._switching = anyio.Lock()

    @property
    def url(self) -> str:
        """The base URL as an operator would configure it, with the version path."""
        return f"http://127.0.0.1:{self._port.number}{self._stand_in.base_path}"

    async def open(self, tasks: TaskGroup) -> None:
        """Start to listen."""
        await self._port.open(tasks)

    def release(self) -> None:
        """Give back the port of a stand-in that is down."""
        self._port.release()

    async def set_fault(self, fault: Fault, tasks: TaskGroup) -> None:
        """Switch; requests that hang or are stalled go on."""
        if fault.kind == "error" and fault.number >= 1000 and self.name != "minimax":
            raise ValueError(
                f"{self.name!r} has no code {fault.number}; only MiniMax has codes, use a status such as 'error:500'"
            )
        async with self._switching:
            if fault.kind == "down":
                await self._port.close()
            else:
                await self._port.open(tasks)
            self.fault = fault
            waiting, self._cleared = self._cleared, anyio.Event()
            waiting.set()

    async def _handle(self, http: Exchange) -> None:
        request = http.request
        seen = Seen(request.method, request.path, _public(request.headers), _parsed(request.body))
        self.requests.append(seen)
        fault, self.fault = self.fault, self.fault.used()
        try:
            await self._serve(Delivery(http, seen, fault, self._pace, self._cleared))
        finally:
            if http.left:
                seen.ended = "left"
            elif seen.ended is None:
                seen.ended = "closed"

    async def _serve(self, delivery: Delivery) -> None:
        fault, request = delivery.fault, delivery.http.request
        if fault.kind == "hang":
            await delivery.cleared.wait()
        if fault.kind == "reset":
            delivery.reset()
            return
        try:
            answer = self._failure(fault, request, delivery.seen.body) or self._stand_in.answer(request)
        except RefusalError as refusal:
            answer = refusal.response
        answer = self._stand_in.dressed(answer, request.path)
        blank, comment = self._stand_in.keep_alive
        if isinstance(answer, Stream):
            await delivery.stream(answer, comment)
        else:
            await delivery.whole(answer, blank)

    def _failure(self, fault: Fault, request: Request, body: Any) -> Response | None:
        """Give the error a fault asks for, in the vendor's words."""
        model, stream = "", False
        if isinstance(body, dict):
            model, stream = str(body.get("model") or ""), body.get("stream") is True
        match fault.kind:
            case "rate_limit":
                return self._stand_in.rate_limited(fault.seconds, model)
            case "error" if fault.number == 200 or fault.number >= 1000:
                return self._stand_in.failing_there(fault.number, model, request.path, stream=stream)
            case "error":
                return self._stand_in.failing(fault.number, model)
            case "auth":
                key = request.headers.get("authorization", "").partition(" ")[2]
                return self._stand_in.unauthorized(key or "revoked")
            case "no_money":
                return self._stand_in.no_money(model, stream=stream)
            case "html":
                return Response(200, {"content-type": "text/html; charset=utf-8"}, PAGE)
            case _:
                return None


def _public(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in SECRETS}


def _parsed(body: bytes) -> Any:
    """Give a body as JSON, None without one, its text if it is not JSON."""
    if not body:
        return None
    try:
        return from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")
