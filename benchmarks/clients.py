"""The in-process subjects: a child that calls the upstream itself and counts its own CPU.

`python -m benchmarks.clients NAME --upstream PORT [--config FILE]` takes loads on stdin.
The direct clients send bytes and read bytes; openai and the gateway give objects, as their users get them.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from .event_loop import Handler, run, take_orders
from .payloads import CHUNKS, MARK, MESSAGES, VENDOR_KEY, request_body
from .plan import MAX_REQUESTS, MAX_SECONDS, Load, Sample, percentile

HEADERS = {"authorization": f"Bearer {VENDOR_KEY}", "content-type": "application/json"}
TOKEN = MARK.encode()


@dataclass
class Streamed:
    """What one stream brought."""

    first: float = 0.0
    reads: int | None = None
    tokens: int = 0

    def from_parts(self, parts: list[bytes]) -> Streamed:
        """Count the chunks of a stream read as bytes."""
        self.reads, self.tokens = len(parts), b"".join(parts).count(TOKEN)
        return self


class Caller(Protocol):
    """One way to ask the upstream."""

    async def ask(self) -> bool:
        """Send one request; say whether the answer is the expected one."""
        ...

    async def stream(self) -> Streamed:
        """Read one stream to its end."""
        ...


class Httpx2Caller:
    """httpx2 alone."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        self._ask, self._stream = request_body("model", stream=False), request_body("model", stream=True)

    async def ask(self) -> bool:
        response = await self._client.post(self._url, content=self._ask, headers=HEADERS)
        return response.status_code == 200 and len(response.content) > 500

    async def stream(self) -> Streamed:
        seen, parts = Streamed(), []
        async with self._client.stream("POST", self._url, content=self._stream, headers=HEADERS) as response:
            async for data in response.aiter_bytes():
                seen.first = seen.first or perf_counter()
                parts.append(data)
        return seen.from_parts(parts)


class AiohttpCaller:
    """aiohttp alone: the reference of the in-process subjects."""

    def __init__(self, session: Any, url: str) -> None:
        self._session = session
        self._url = url
        self._ask, self._stream = request_body("model", stream=False), request_body("model", stream=True)

    async def ask(self) -> bool:
        async with self._session.post(self._url, data=self._ask, headers=HEADERS) as response:
            return response.status == 200 and len(await response.read()) > 500

    async def stream(self) -> Streamed:
        seen, parts = Streamed(), []
        async with self._session.post(self._url, data=self._stream, headers=HEADERS) as response:
            async for data in response.content.iter_any():
                seen.first = seen.first or perf_counter()
                parts.append(data)
        return seen.from_parts(parts)


class OpenAICaller:
    """The openai SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._args: dict[str, Any] = {
            "model": "model",
            "messages": MESSAGES,
            "temperature": 0.2,
            "max_tokens": 256,
        }

    async def ask(self) -> bool:
        answer = await self._client.chat.completions.create(**self._args)
        return bool(answer.choices[0].message.content)

    async def stream(self) -> Streamed:
        seen = Streamed()
        async with await self._client.chat.completions.create(
            **self._args, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            async for chunk in chunks:
                seen.first = seen.first or perf_counter()
                if chunk.choices and chunk.choices[0].delta.content:
                    seen.tokens += 1
        return seen


class GatewayCaller:
    """aigateway as a library."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    async def ask(self) -> bool:
        reply = await self._gateway.chat("smart", MESSAGES, temperature=0.2, max_tokens=256)
        return bool(reply.text)

    async def stream(self) -> Streamed:
        seen = Streamed()
        async with self._gateway.stream("smart", MESSAGES, temperature=0.2, max_tokens=256) as chunks:
            async for chunk in chunks:
                seen.first = seen.first or perf_counter()
                if chunk.text:
                    seen.tokens += 1
        return seen


@asynccontextmanager
async def open_httpx2(upstream: int, config: Path | None) -> AsyncIterator[Caller]:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx2.AsyncClient(limits=limits, timeout=30.0) as client:
        yield Httpx2Caller(client, _url(upstream))


@asynccontextmanager
async def open_aiohttp(upstream: int, config: Path | None) -> AsyncIterator[Caller]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield AiohttpCaller(session, _url(upstream))


@asynccontextmanager
async def open_openai(upstream: int, config: Path | None) -> AsyncIterator[Caller]:
    import openai

    base = f"http://127.0.0.1:{upstream}/v1"
    async with openai.AsyncOpenAI(api_key=VENDOR_KEY, base_url=base, max_retries=0, timeout=30.0) as client:
        yield OpenAICaller(client)


@asynccontextmanager
async def open_gateway(upstream: int, config: Path | None) -> AsyncIterator[Caller]:
    from aigateway import Gateway

    async with Gateway.from_config(config) as gateway:
        yield GatewayCaller(gateway)


Opener = Callable[[int, Path | None], AbstractAsyncContextManager[Caller]]
OPENERS: dict[str, Opener] = {
    "httpx2": open_httpx2,
    "aiohttp": open_aiohttp,
    "openai": open_openai,
    "gateway": open_gateway,
}


@dataclass
class Tally:
    """One running load: how much is left to start, and what came back."""

    until: float
    left: int
    latencies: list[float] = field(default_factory=list)
    streamed: list[Streamed] = field(default_factory=list)

    def more(self) -> bool:
        """Say whether one more request is to start; it then counts as started."""
        self.left -= 1
        return self.left >= 0 and perf_counter() < self.until


async def measure(caller: Caller, load: Load) -> Sample:
    """Put `load` on `caller` inside this process and count what this process used."""
    if load.warm:
        await _drive(caller, load.warming())
    cpu, start = _own_cpu(), perf_counter()
    tally = await _drive(caller, load.counted())
    wall, cpu = perf_counter() - start, _own_cpu() - cpu
    done = len(tally.latencies)
    reads = [seen.reads for seen in tally.streamed if seen.reads is not None]
    return Sample(
        units=done * CHUNKS if load.streams else done,
        requests=done,
        cpu_s=cpu,
        wall_s=wall,
        p50_ms=percentile(tally.latencies, 0.5) * 1e3,
        p99_ms=percentile(tally.latencies, 0.99) * 1e3,
        first_ms=percentile([seen.first for seen in tally.streamed], 0.5) * 1e3 if load.streams else None,
        reads=sum(reads) / len(reads) if reads else None,
    )


async def _drive(caller: Caller, load: Load) -> Tally:
    tally = Tally(until=perf_counter() + load.seconds, left=load.streams or MAX_REQUESTS)
    work = _stream_on if load.streams else _ask_on
    async with asyncio.timeout(MAX_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(load.in_flight):
            group.create_task(work(caller, tally))
    return tally


async def _ask_on(caller: Caller, tally: Tally) -> None:
    while tally.more():
        start = perf_counter()
        if not await caller.ask():
            raise ValueError("not the expected answer")
        tally.latencies.append(perf_counter() - start)


async def _stream_on(caller: Caller, tally: Tally) -> None:
    while tally.more():
        start = perf_counter()
        seen = await caller.stream()
        if seen.tokens != CHUNKS:
            raise ValueError(f"{seen.tokens} of {CHUNKS} chunks arrived")
        seen.first -= start
        tally.latencies.append(perf_counter() - start)
        tally.streamed.append(seen)


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _url(upstream: int) -> str:
    return f"http://127.0.0.1:{upstream}/v1/chat/completions"


def _handler(opened: Callable[[], AbstractAsyncContextManager[Caller]]) -> Handler:
    """Measure each load with a client of its own: httpx2's pool asks each idle connection at every request."""

    async def handle(order: dict[str, Any]) -> dict[str, Any]:
        try:
            async with opened() as caller:
                return vars(await measure(caller, Load(**order["load"])))
        except ExceptionGroup as errors:  # the first reason says enough
            raise errors.exceptions[0] from None

    return handle


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=OPENERS)
    parser.add_argument("--upstream", type=int, required=True)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    opened = partial(OPENERS[options.name], options.upstream, options.config)
    async with opened():  # imports, and fails early
        pass
    await take_orders(_handler(opened))


if __name__ == "__main__":
    run(_main())
