"""Open an exchange: send, and wait for the first content or the whole answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeGuard, TypeVar, cast

import anyio

from ..catalogue import FREE
from ..errors import Kind, ProviderError, RequestError, WireError
from ..operations import offered
from ..providers import LocalProvider, Provider
from ..secrets import Secret
from ..transport import HTTPResponse, read_all, read_some
from ..types import Call, ChatRequest, Chunk, HTTPRequest, Reply, Role, Target, WireFailure, WireResponse
from ._exchange import CLOSING, Exchange
from ._failures import SAMPLE, from_bug, from_wire, placed
from ._io import IO
from ._source import LocalSource, WireSource, chunks_of
from .timers import Timer, expired

__all__ = ["answered", "open_exchange"]

T = TypeVar("T")
# What a server on a trusted network is sent, when no key is configured for it.
NO_KEY = Secret("none")


async def open_exchange(
    call: Call,
    target: Target,
    provider: Provider | LocalProvider,
    io: IO,
    *,
    key: Secret | None,
    wait: float = 0.0,
    role: Role = "",
) -> Exchange:
    """Send `call` to `target`; give the exchange once content is in hand.

    Raises ProviderError, placed and masked, for anything that fails before it.
    """
    exchange = Exchange(call, target, io, key=key, wait=wait)
    exchange.role = "continue" if call.partial else role
    try:
        if call.partial:
            exchange.request = _guarded(lambda: _continuation(provider, call))
        if exchange.request.operation != "chat":
            exchange.request = offered(exchange.request, provider.operations, target)
        if is_local(provider):
            await _ask_local(exchange, provider, io)
        else:
            codec = cast("Provider", provider)
            request = _guarded(lambda: codec.encode(exchange.request, key or NO_KEY, target))
            call.trace.notes += (f"{note} ({target})" for note in request.notes)
            await _ask(exchange, codec, request, io)
    except WireError as error:
        failure = placed(from_wire(error), target, key)
        await exchange.drop(failure)
        raise failure from None
    except ProviderError as error:
        placed(error, target, key)
        await exchange.drop(error)
        raise
    except BaseException as error:
        await exchange.drop(error)
        raise
    return exchange


async def answered(call: Call, reply: Reply, io: IO) -> Exchange:
    """Wrap a reply a guard gave by itself; where a stream was asked, it is told as one."""
    exchange = Exchange(call, Target(reply.provider or "guard", reply.model), io)
    exchange.role = "guard"
    exchange.bill = FREE
    await _take(exchange, reply)
    return exchange


async def _ask(exchange: Exchange, provider: Provider, request: HTTPRequest, io: IO) -> None:
    asked, limits = exchange.request, exchange.timeouts
    stream = asked.stream
    limit, what = (limits.first_content, "first content") if stream else (limits.answer, "answer")
    until = min(io.clock.now() + limit, exchange.deadline)
    connect = min(limits.connect, limit)
    decoder = _guarded(lambda: provider.decoder(asked)) if stream else None
    try:
        left = until - io.clock.now()
        response = await exchange.timer.within(left, lambda: io.transport.send(request, connect=connect))
        exchange.headers = response.headers
        if decoder is not None and 200 <= response.status < 300 and not _is_whole(response):
            with suppress(AttributeError):  # a decoder of somebody's may have no room for them
                decoder.headers = response.headers
            await exchange.follow(WireSource(response, decoder))
            return
        left = until - io.clock.now()
        reply = await _closing(response, exchange.timer, left, lambda: _whole(provider, asked, response, io))
    except TimeoutError:
        raise expired(exchange.call.deadline, io.clock.now(), what, min(limit, limits.total)) from None
    await _take(exchange, reply)


async def _closing(response: HTTPResponse, timer: Timer, left: float, read: Callable[[], Awaitable[Reply]]) -> Reply:
    """Read a response and close it on every path; no limit and no cancellation cuts the closing short."""
    try:
        reply = await timer.within(max(0.0, left), read)
        await response.aclose(reusable=True)
    except BaseException:
        with anyio.move_on_after(CLOSING, shield=True):
            await response.aclose()
        raise
    return reply


async def _whole(provider: Provider, asked: ChatRequest, response: HTTPResponse, io: IO) -> Reply:
    if 200 <= response.status < 300:
        answer = WireResponse(response.status, response.headers, await read_all(response), io.clock.wall())
        try:
            return _guarded(lambda: provider.decode(asked, answer))
        except ProviderError as error:
            error.sample = answer.body[:SAMPLE] if error.kind is Kind.PROTOCOL_ERROR else b""
            raise
    failure = WireFailure(response.status, response.headers, await read_some(response), at=io.clock.wall())
    raise _guarded(lambda: provider.classify(failure))


async def _ask_local(exchange: Exchange, provider: LocalProvider, io: IO) -> None:
    asked, limits = exchange.request, exchange.timeouts
    limit = limits.first_content if asked.stream else limits.answer

    async def ask() -> Reply | AsyncIterator[Chunk]:
        try:
            return await provider.answer(asked, exchange.target)
        except (ProviderError, WireError):
            raise
        except Exception as error:  # its own TimeoutError too: that is not our limit
            raise from_bug(error) from error

    try:
        answer = await exchange.timer.within(max(0.0, min(limit, exchange.deadline - io.clock.now())), ask)
    except TimeoutError:
        raise expired(exchange.call.deadline, io.clock.now(), "answer", min(limit, limits.total)) from None
    if isinstance(answer, Reply):
        await _take(exchange, answer)
    elif asked.stream and hasattr(answer, "__anext__"):
        await exchange.follow(LocalSource(answer))
    else:
        what = "streamed where a whole answer was asked" if hasattr(answer, "__anext__") else "gave no answer"
        raise ProviderError(Kind.PROTOCOL_ERROR, f"a provider in this process {what} ({type(answer).__name__})")


async def _take(exchange: Exchange, reply: Reply) -> None:
    """Keep a whole reply; where a stream was asked, tell it as one."""
    if exchange.call.request.stream:
        await exchange.follow(LocalSource(_each(_guarded(lambda: chunks_of(reply)))))
    else:
        exchange.answer(reply)


async def _each(chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def _continuation(provider: Provider | LocalProvider, call: Call) -> ChatRequest:
    """Give the request that makes a vendor go on after what has reached the caller."""
    request: ChatRequest | None = getattr(provider, "continuation")(call.request, call.partial)  # noqa: B009  # optional
    if request is None:
        raise ProviderError(Kind.UNSUPPORTED_PARAM, "this provider cannot go on with an answer")
    return request


def is_local(provider: Provider | LocalProvider) -> TypeGuard[LocalProvider]:
    """Tell a provider in this process from a codec, without the cost of a protocol check."""
    return hasattr(provider, "answer")


def _is_whole(response: HTTPResponse) -> bool:
    """Tell whether a vendor answered a stream request with one object or a page: an error, as a rule."""
    return response.headers.get("content-type", "").lower().startswith(("application/json", "text/html"))


def _guarded(decode: Callable[[], T]) -> T:
    """Run a plug-in's code: a bug in it is that provider's failure, and the next one is asked."""
    try:
        return decode()
    except (ProviderError, RequestError):
        raise
    except Exception as error:
        raise from_bug(error) from error
