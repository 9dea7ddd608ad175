"""Chat completions: JSON, or server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio

from ..errors import GatewayError
from ..exchange import Exchange
from ..types import ChatRequest, Chunk
from ._incoming import ClientGone, Incoming
from ._running import ShuttingDown
from ._who import Inside

__all__ = ["Chat"]

DONE = b"data: [DONE]\n\n"
# Chunks sent at once: a server takes any part whole, however full its buffer is already.
PORTION = 64
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Chat:
    """Answer POST /v1/chat/completions."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway
        self._prefix = "sandbox/" if inside.gateway.settings.sandbox else ""

    async def __call__(self, request: Incoming) -> None:
        """Check, ask, answer."""
        asked = ChatRequest.parse_json(await request.body())
        call = self._gateway.call(asked, caller=request.caller, request_id=request.id, address=request.address)
        request.beside = call.headers
        parsed = time.monotonic() - request.started
        exchange = await self._gateway.open(call)
        try:
            if asked.stream:
                await self._stream(request, exchange, parsed)
            else:
                await self._whole(request, exchange, parsed)
        except anyio.get_cancelled_exc_class():
            if not isinstance(request.reason, ClientGone):
                await request.last_words(ShuttingDown())  # before closing, which may take its time
                exchange.drain = 0.0  # nor does a server that ends wait to learn what the vendor counts
            raise
        finally:
            await exchange.aclose()

    async def _whole(self, request: Incoming, exchange: Exchange, parsed: float) -> None:
        await request.answer(exchange.whole().model_dump_json(), headers=self._headers(exchange, parsed))

    async def _stream(self, request: Incoming, exchange: Exchange, parsed: float) -> None:
        exchange.collect = False  # a client over HTTP has what arrived
        await request.start_stream({**STREAM_HEADERS, **self._headers(exchange, parsed)})
        wants_usage = exchange.call.request.wants_usage
        try:
            while batch := await exchange.read():
                for some in _portions(batch):
                    body = _events(some, wants_usage)
                    if body:
                        await request.send({"type": "http.response.body", "body": body, "more_body": True})
        except GatewayError as error:
            await request.refuse(error)
        else:
            await request.finish(DONE)

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


def _portions(batch: list[Chunk]) -> Iterable[list[Chunk]]:
    if len(batch) <= PORTION:
        return (batch,)
    return (batch[at : at + PORTION] for at in range(0, len(batch), PORTION))


def _events(batch: list[Chunk], wants_usage: bool) -> bytes:
    return b"".join(b"data: " + chunk.to_json() + b"\n\n" for chunk in batch if wants_usage or not chunk.is_usage)
