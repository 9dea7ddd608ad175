"""One stand-in at work: its port, its fault, and what it has seen.

The dialect decides what to say; here it is sent, or made to go wrong on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup
from pydantic_core import from_json

from ._faults import NO_FAULT, Fault
from ._server import Exchange, Port, Request
from ._vendors import Event, RefusalError, Response, StandIn, Stream

__all__ = ["Seen", "Vendor"]

REMEMBERED = 1000
SECRETS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})
PAGE = b"<!doctype html><html><head><title>Just a moment</title></head><body><h1>Just a moment</h1></body></html>\n"

Ending = Literal["", "complete", "broken", "left", "closed"]


@dataclass(slots=True)
class Seen:
    """One request a stand-in got; never its key.

    `ended`: empty while it runs, then complete, broken (by a fault), left (the client went away)
    or closed (the stand-in was taken down).
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int | None = None
    ended: Ending = ""


@dataclass(slots=True)
class _Wire:
    """What the sending of one answer needs."""

    http: Exchange
    fault: Fault
    pace: float
    cleared: anyio.Event = field(repr=False)


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
        seen = Seen(http.request.method, http.request.path, _public(http.request.headers), _parsed(http.request))
        self.requests.append(seen)
        fault, self.fault = self.fault, self.fault.used()
        ending: Ending = "closed"
        try:
            ending = await self._serve(_Wire(http, fault, self._pace, self._cleared))
        finally:
            seen.status = http.status
            seen.ended = "left" if http.left else ending

    async def _serve(self, wire: _Wire) -> Ending:
        if wire.fault.kind == "hang":
            await wire.cleared.wait()
        if wire.fault.kind == "reset":
            wire.http.reset()
            return "broken"
        answer = self._decide(wire.http.request, wire.fault)
        if isinstance(answer, Stream):
            return await _send_stream(wire, answer, self._stand_in.keep_alive[1])
        return await _send_whole(wire, answer, self._stand_in.keep_alive[0])

    def _decide(self, request: Request, fault: Fault) -> Response | Stream:
        """Say what is answered, before anything goes wrong with the sending."""
        body = _parsed(request)
        model = str(body.get("model") or "") if isinstance(body, dict) else ""
        stream = isinstance(body, dict) and body.get("stream") is True
        match fault.kind:
            case "rate_limit":
                return self._stand_in.rate_limited(fault.seconds, model)
            case "error":
                return self._stand_in.failing(fault.number, model, stream=stream)
            case "auth":
                return self._stand_in.unauthorized(
                    request.headers.get("authorization", "").partition(" ")[2] or "revoked"
                )
            case "no_money":
                return self._stand_in.no_money(model, stream=stream)
            case "html":
                return Response(200, {"content-type": "text/html; charset=utf-8"}, PAGE)
        try:
            return self._stand_in.answer(request)
        except RefusalError as refused:
            return refused.response


async def _send_whole(wire: _Wire, answer: Response, blank: bytes) -> Ending:
    http, fault, body = wire.http, wire.fault, answer.body
    if answer.status != 200:
        await anyio.sleep(fault.seconds if fault.kind == "slow" else 0)
        await http.respond(answer.status, answer.headers, body)
        return "complete"
    if fault.kind == "slow" and blank:
        await http.begin(200, answer.headers)
        await _wait(wire, blank)
        await http.write(body)
        await http.finish()
        return "complete"
    await anyio.sleep(fault.seconds if fault.kind == "slow" else 0)
    if fault.kind == "bad_json":
        body = body[: len(body) // 2]
    body = answer.lead + body
    await http.begin(200, answer.headers, length=len(body))
    half = len(body) // 2
    await http.write(body[:half])
    if fault.kind == "cut":
        return "broken"
    if fault.kind == "stall":
        await wire.cleared.wait()
    await http.write(body[half:])
    await http.finish()
    return "complete"


async def _send_stream(wire: _Wire, answer: Stream, comment: bytes) -> Ending:
    http, fault = wire.http, wire.fault
    await http.begin(200, answer.headers)
    if fault.kind == "slow":
        await _wait(wire, comment)
    breaks_at = fault.number if fault.kind in {"cut", "stall"} else None
    broken = fault.number if fault.kind == "bad_json" else None
    contents = number = 0
    for event in answer.events:
        if (
            breaks_at is not None
            and event.carries in {"content", "finish"}
            and (contents >= breaks_at or event.carries == "finish")
        ):
            if fault.kind == "cut":
                return "broken"
            await wire.cleared.wait()
            breaks_at = None
        number += event.carries != "comment"
        contents += event.carries == "content"
        await http.write(_half(event) if number == broken and event.carries != "comment" else event.data)
        if wire.pace and event.carries == "content":
            await anyio.sleep(wire.pace)
    await http.finish()
    return "complete"


async def _wait(wire: _Wire, keep_alive: bytes) -> None:
    """Let the fault's time pass, sending what the vendor sends meanwhile."""
    left = wire.fault.seconds
    step = min(0.5, left / 4) if keep_alive else left
    while left > 1e-6:
        await wire.http.write(keep_alive)
        await anyio.sleep(min(step, left))
        left -= step


def _half(event: Event) -> bytes:
    """Break the JSON of an event, and nothing else."""
    line = event.data.rstrip(b"\n")
    return line[: len(line) // 2].decode("utf-8", "ignore").encode() + b"\n\n"


def _public(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in SECRETS}


def _parsed(request: Request) -> Any:
    """Give the body as JSON, None without one, its text if it is not JSON."""
    if not request.body:
        return None
    try:
        return from_json(request.body)
    except ValueError:
        return request.body.decode("utf-8", "replace")
