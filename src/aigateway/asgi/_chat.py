"""Chat completions: JSON, or server-sent events."""

from __future__ import annotations

import time

from pydantic_core import to_json

from ..callers import require
from ..errors import GatewayError
from ..exchange import Exchange, Ticks
from ..gateway import Gateway
from ..types import ChatRequest, Chunk
from ._incoming import Incoming, error_body
from ._leaving import while_connected

__all__ = ["Chat"]

DONE = b"data: [DONE]\n\n"
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Chat:
    """Answer POST /v1/chat/completions."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ticks = Ticks()
        self._prefix = "sandbox/" if gateway.settings.sandbox else ""

    async def __call__(self, request: Incoming) -> None:
        """Check, ask, answer; a client that leaves cancels the upstream call."""
        require(request.caller, "chat")
        asked = ChatRequest.parse_json(await request.body())
        await while_connected(request.receive, lambda: self._answer(request, asked), self._ticks)

    async def _answer(self, request: Incoming, asked: ChatRequest) -> None:
        call = self._gateway.call(asked, caller=request.caller, request_id=request.id)
        parsed = time.monotonic() - request.started
        exchange = await self._gateway.open(call)
        try:
            if asked.stream:
                await self._stream(request, exchange, parsed)
            else:
                await self._whole(request, exchange, parsed)
        finally:
            await exchange.aclose()

    async def _whole(self, request: Incoming, exchange: Exchange, parsed: float) -> None:
        await request.answer(exchange.whole().model_dump_json(), headers=self._headers(exchange, parsed))

    async def _stream(self, request: Incoming, exchange: Exchange, parsed: float) -> None:
        exchange.collect = False  # a client over HTTP has what arrived
        headers = {**STREAM_HEADERS, **self._headers(exchange, parsed)}
        await request.start(200, headers, b"text/event-stream; charset=utf-8", None)
        last, wants_usage = DONE, exchange.call.request.wants_usage
        try:
            while batch := await exchange.read():
                body = _events(batch, wants_usage)
                if body:
                    await request.send({"type": "http.response.body", "body": body, "more_body": True})
        except GatewayError as error:
            last = b"data: " + to_json(error_body(error, request.id)) + b"\n\n"
        await request.send({"type": "http.response.body", "body": last})

    def _headers(self, exchange: Exchange, parsed: float) -> dict[str, str]:
        call, target = exchange.call, exchange.target
        headers = {
            "x-aigateway-provider": self._prefix + target.provider,
            "x-aigateway-model": target.model,
            "x-aigateway-attempts": str(len(call.trace.steps) + 1),
            "x-aigateway-overhead-ms": f"{(parsed + exchange.started - call.started) * 1000:.2f}",
        }
        if call.trace.warnings:
            headers["x-aigateway-warning"] = "; ".join(call.trace.warnings)[:1024]
        return headers


def _events(batch: list[Chunk], wants_usage: bool) -> bytes:
    return b"".join(b"data: " + chunk.to_json() + b"\n\n" for chunk in batch if wants_usage or not chunk.is_usage)
