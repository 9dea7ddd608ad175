"""How a request to a model is answered over HTTP, whatever its dialect: JSON, or server-sent events."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

import anyio

from ..errors import GatewayError
from ..exchange import Exchange
from ..guards import settled
from ..types import ChatRequest, Chunk
from ._incoming import ClientGone, Incoming
from ._running import ShuttingDown
from ._who import Inside

__all__ = ["Answers", "Tells"]

# Chunks sent at once: a server takes any part whole, however full its buffer is already.
PORTION = 64
# Headers of a request that guards may look at.
READ_BY_GUARDS = ("cache-control", "idempotency-key", "traceparent", "tracestate")
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Tells(Protocol):
    """Write one stream in a dialect."""

    def say(self, batch: list[Chunk]) -> bytes:
        """Write chunks; empty where they say nothing to this client."""

    def end(self) -> bytes:
        """Write what follows the last chunk."""

    def failed(self, error: GatewayError) -> bytes:
        """Write what ends a stream that breaks off."""


class Answers(ABC):
    """Answer the requests of one dialect."""

    def __init__(self, inside: Inside) -> None:
        self.gateway = inside.gateway
        self._prefix = "sandbox/" if inside.gateway.settings.sandbox else ""

    @abstractmethod
    def read(self, data: bytes) -> ChatRequest:
        """Read a request body. Raises RequestError."""

    @abstractmethod
    def whole(self, exchange: Exchange) -> bytes:
        """Write a whole answer."""

    @abstractmethod
    def tells(self, request: Incoming, exchange: Exchange) -> Tells:
        """Begin to write a stream."""

    async def __call__(self, request: Incoming) -> None:
        """Check, ask, answer."""
        asked = request.routed(self.read(await request.body()))
        call = self.gateway.call(asked, caller=request.caller, request_id=request.id, address=request.address)
        call.asks = {name: request.headers[name] for name in READ_BY_GUARDS if name in request.headers}
        request.beside = call.headers
        parsed = time.monotonic() - request.started
        exchange = await self.gateway.open(call)
        try:
            if asked.stream:
                await self._stream(request, exchange, parsed)
            else:
                settled(self.gateway.parts.guards, call, exchange.whole().usage)
                await request.answer(self.whole(exchange), headers=self.headers(exchange, parsed))
        except anyio.get_cancelled_exc_class():
            if not isinstance(request.reason, ClientGone):
                await request.last_words(ShuttingDown())  # before closing, which may take its time
                exchange.drain = 0.0  # nor does a server that ends wait to learn what the vendor counts
            raise
        finally:
            await exchange.aclose()

    async def _stream(self, request: Incoming, exchange: Exchange, parsed: float) -> None:
        exchange.collect = False  # a client over HTTP has what arrived
        tells = self.tells(request, exchange)
        await request.start_stream({**STREAM_HEADERS, **self.headers(exchange, parsed)}, tells.failed)
        try:
            while batch := await exchange.read():
                for some in _portions(batch):
                    body = tells.say(some)
                    if body:
                        await request.send({"type": "http.response.body", "body": body, "more_body": True})
        except GatewayError as error:
            await request.refuse(error)
        else:
            await request.finish(tells.end())

    def headers(self, exchange: Exchange, parsed: float) -> dict[str, str]:
        """Say who answered, and how much work it was."""
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
