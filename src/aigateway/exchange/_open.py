"""Open an exchange: send, and wait for the first content or the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeGuard, cast

import anyio

from ..errors import Kind, ProviderError, WireError
from ..providers import LocalProvider, Provider
from ..secrets import Secret
from ..transport import HTTPResponse, read_all, read_some
from ..types import Call, Chunk, HTTPRequest, Reply, Target, WireFailure, WireResponse
from ._exchange import CLOSING, Exchange
from ._failures import from_wire, placed
from ._io import IO
from ._source import LocalSource, WireSource, chunks_of
from ._timer import expired

__all__ = ["answered", "open_exchange"]

# What a server on a trusted network is sent, when no key is configured for it.
NO_KEY = Secret("none")


async def open_exchange(
    call: Call, target: Target, provider: Provider | LocalProvider, io: IO, *, key: Secret | None, wait: float = 0.0
) -> Exchange:
    """Send `call` to `target`; give the exchange once content is in hand.

    Raises ProviderError, placed and masked, for anything that fails before it.
    """
    exchange = Exchange(call, target, io, key=key, wait=wait)
    try:
        if is_local(provider):
            await _ask_local(exchange, provider, io)
        else:
            codec = cast("Provider", provider)
            request = codec.encode(call.request, key or NO_KEY, target)
            call.trace.notes += (f"{note} ({target})" for note in request.notes)
            await _ask(exchange, codec, request, io)
    except WireError as error:
        failure = placed(from_wire(error), target, key)
        await exchange.drop(failure)
        raise failure from None
    except ProviderError as error:
        failure = placed(error, target, key)
        await exchange.drop(failure)
        raise failure from None
    except BaseException as error:
        await exchange.drop(error)
        raise
    return exchange


async def answered(call: Call, reply: Reply, io: IO) -> Exchange:
    """Wrap a reply a guard gave by itself; where a stream was asked, it is told as one."""
    exchange = Exchange(call, Target(reply.provider or "guard", reply.model), io)
    await _take(exchange, reply)
    return exchange


async def _ask(exchange: Exchange, provider: Provider, request: HTTPRequest, io: IO) -> None:
    call, limits = exchange.call, exchange.timeouts
    stream = call.request.stream
    limit, what = (limits.first_content, "first content") if stream else (limits.answer, "answer")
    connect = min(limits.connect, limit)
    left = max(0.0, min(limit, call.deadline - io.clock.now()))
    try:
        source = await exchange.timer.within(left, lambda: _send(provider, call, request, io, connect))
    except TimeoutError:
        raise expired(call, io.clock.now(), what, limit) from None
    if isinstance(source, Reply):
        await _take(exchange, source)
    else:
        await exchange.follow(source)


async def _send(provider: Provider, call: Call, request: HTTPRequest, io: IO, connect: float) -> Reply | WireSource:
    """Send, and wait for the head of a stream or the whole of anything else."""
    response = await io.transport.send(request, connect=connect)
    try:
        if call.request.stream and 200 <= response.status < 300 and not _is_json(response):
            return WireSource(response, provider.decoder(call.request))
        reply = await _whole(provider, call, response, io)
    except BaseException:
        with anyio.move_on_after(CLOSING, shield=True):
            await response.aclose()
        raise
    await response.aclose(reusable=True)
    return reply


async def _whole(provider: Provider, call: Call, response: HTTPResponse, io: IO) -> Reply:
    if 200 <= response.status < 300:
        return provider.decode(call.request, WireResponse(response.status, response.headers, await read_all(response)))
    body = await read_some(response)
    raise provider.classify(WireFailure(response.status, response.headers, body, at=io.clock.wall()))


async def _ask_local(exchange: Exchange, provider: LocalProvider, io: IO) -> None:
    call, limits = exchange.call, exchange.timeouts
    limit = limits.first_content if call.request.stream else limits.answer
    try:
        left = max(0.0, min(limit, call.deadline - io.clock.now()))
        answer = await exchange.timer.within(left, lambda: provider.answer(call.request, exchange.target))
    except TimeoutError:
        raise expired(call, io.clock.now(), "answer", limit) from None
    except (ProviderError, WireError):
        raise
    except Exception as error:
        raise ProviderError(
            Kind.SERVER_ERROR, f"the provider failed in this process ({type(error).__name__})"
        ) from error
    if isinstance(answer, Reply):
        await _take(exchange, answer)
    elif call.request.stream:
        await exchange.follow(LocalSource(answer))
    else:
        raise ProviderError(Kind.PROTOCOL_ERROR, "a provider streamed where a whole answer was asked")


async def _take(exchange: Exchange, reply: Reply) -> None:
    """Keep a whole reply; where a stream was asked, tell it as one."""
    if exchange.call.request.stream:
        await exchange.follow(LocalSource(_each(chunks_of(reply))))
    else:
        exchange.answer(reply)


async def _each(chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def is_local(provider: Provider | LocalProvider) -> TypeGuard[LocalProvider]:
    """Tell a provider in this process from a codec, without the cost of a protocol check."""
    return hasattr(provider, "answer")


def _is_json(response: HTTPResponse) -> bool:
    """Tell whether a vendor answered a stream request with one object: an error, as a rule."""
    return response.headers.get("content-type", "").lower().startswith("application/json")
