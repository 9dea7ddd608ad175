"""How a request to a model is answered over HTTP, whatever its dialect: JSON, or server-sent events."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Protocol

import anyio

from ..errors import GatewayError, RequestError
from ..exchange import Exchange
from ..types import ChatRequest, Chunk
from ._headers import AnswerHeaders
from ._incoming import ClientGone, Incoming
from ._limits import settled
from ._running import ShuttingDown
from ._who import Inside

__all__ = ["Answers", "Tells"]

# Chunks sent at once: a server takes any part whole, however full its buffer is already.
PORTION = 64
# Headers of a request that guards may look at.
READ_BY_GUARDS = ("cache-control", "idempotency-key", "traceparent", "tracestate")
LONGEST_HEADER = 4096
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

    # Headers of a request that are the dialect's own: a vendor that speaks it is sent them as they are.
    dialect_headers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inside: Inside) -> None:
        self.gateway = inside.gateway
        self.headers = AnswerHeaders(inside.gateway)

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
        if self.dialect_headers:
            asked.headers = _passed_on(request, self.dialect_headers)
        call = self.gateway.call(asked, caller=request.caller, request_id=request.id, address=request.address)
        call.asks = {name: request.headers[name] for name in READ_BY_GUARDS if name in request.headers}
        request.beside, request.call = call.headers, call
        parsed = time.monotonic() - request.started
        exchange = await self.gateway.open(call)
        try:
            if asked.stream:
                await self._stream(request, exchange, parsed)
            else:
                settled(self.gateway.parts.guards, call, exchange.whole().usage)
                await request.answer(self.whole(exchange), headers=self.headers(request, exchange, parsed))
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
        await request.start_stream({**STREAM_HEADERS, **self.headers(request, exchange, parsed)}, tells.failed)
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


def _passed_on(request: Incoming, names: tuple[str, ...]) -> dict[str, str]:
    """Give headers that are sent on as they came. Raises RequestError for what no header may hold."""
    found = {name: request.joined(name) for name in names if name in request.headers}
    for name, value in found.items():
        if not (value.isascii() and value.isprintable()) or len(value) > LONGEST_HEADER:
            raise RequestError(f"the header {name!r} must be at most {LONGEST_HEADER} printable ASCII characters")
    return found


def _portions(batch: list[Chunk]) -> Iterable[list[Chunk]]:
    if len(batch) <= PORTION:
        return (batch,)
    return (batch[at : at + PORTION] for at in range(0, len(batch), PORTION))
