"""The same gateway as an object: on both event loops, through both doors, and without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anyio
import pytest

from aigateway import ConfigurationError, Gateway, RequestError, Settings, StreamInterrupted, blocking
from aigateway.testing.sandbox import Sandbox

# Nothing fails for being slow: a machine that stands still for a moment is no reason to ask the next target.
PATIENT = {"connect": 20.0, "first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 30.0}

Switch = Callable[[str, str], None]
DOORS = [("httpx2", "asyncio"), ("httpx2", "trio"), ("aiohttp", "asyncio"), ("auto", "asyncio"), ("auto", "trio")]
DEEPSEEK = "Hello from the DeepSeek stand-in. You said: hi"


@pytest.fixture(params=DOORS, ids=lambda pair: "-".join(pair))
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]  # the params above


@pytest.fixture
def anyio_backend(pair: tuple[str, str]) -> str:
    return pair[1]


@pytest.fixture
def gateway(configure: Callable[..., Settings], pair: tuple[str, str]) -> Gateway:
    return Gateway(configure(transport={"kind": pair[0]}), seed=1)


@pytest.mark.anyio
async def test_a_whole_answer(gateway: Gateway) -> None:
    """One call gives text, reasoning, usage and why it went where it went."""
    async with gateway:
        reply = await gateway.chat("smart", "hi", temperature=0.5)

    assert DEEPSEEK == reply.text == reply.choices[0].message.content
    assert "A short greeting that quotes the last message will do." == reply.reasoning
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert reply.decision is not None
    assert "deepseek/deepseek-flash answered in" in reply.decision.explain()


@pytest.mark.anyio
async def test_a_stream(gateway: Gateway) -> None:
    """A stream gives the same text in pieces; usage, outcome and decision are there at its end."""
    async with gateway, gateway.stream("smart", [{"role": "user", "content": "hi"}]) as chunks:
        texts = [chunk.text async for chunk in chunks]

    assert DEEPSEEK == "".join(texts)
    assert len([text for text in texts if text]) > 3
    assert chunks.usage is not None
    assert chunks.usage.completion_tokens > 0
    assert chunks.outcome is not None
    assert "complete" == chunks.outcome.state
    assert chunks.decision is not None
    assert "deepseek/deepseek-flash" == chunks.decision.answered_by


@pytest.mark.anyio
async def test_many_at_once(configure: Callable[..., Settings], pair: tuple[str, str], standins: Sandbox) -> None:
    """Thirty calls at once, every other one streamed, each get their own answer."""
    gateway = Gateway(configure(transport={"kind": pair[0]}, timeouts={}))
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        if number % 2:
            answers[number] = (await gateway.chat("smart", f"number {number}")).text
        else:
            async with gateway.stream("smart", f"number {number}") as chunks:
                answers[number] = "".join([chunk.text async for chunk in chunks])

    async with gateway, anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(ask, number)

    assert {n: f"Hello from the DeepSeek stand-in. You said: number {n}" for n in range(30)} == answers
    assert 30 == len(standins.vendors["deepseek"].requests)


@pytest.mark.anyio
async def test_usable_again_after_closing(configure: Callable[..., Settings], pair: tuple[str, str]) -> None:
    """A gateway that was closed opens its connections again."""
    gateway = Gateway(configure(transport={"kind": pair[0]}, timeouts={}))
    async with gateway:
        first = await gateway.chat("smart", "hi")
    async with gateway:
        second = await gateway.chat("smart", "hi")

    assert first.text == second.text


@pytest.mark.anyio
async def test_leaving_a_stream_early(gateway: Gateway) -> None:
    """A program may stop reading; nothing is left behind for the garbage collector to complain about."""
    async with gateway, gateway.stream("smart", "hi") as chunks:
        async for _ in chunks:
            break

    assert chunks.outcome is not None
    assert "cancelled" == chunks.outcome.state


@pytest.mark.anyio
async def test_closing_under_an_answer(gateway: Gateway) -> None:
    """A stream that is under way when its gateway is closed ends whole or interrupted, never in a foreign error."""
    seen = 0
    with suppress(StreamInterrupted):
        async with gateway.stream("smart", "hi " * 40) as chunks:
            async for _ in chunks:
                seen += 1
                if seen == 3:
                    await gateway.aclose()

    assert seen >= 3
    assert chunks.outcome is not None
    assert chunks.outcome.state in {"complete", "interrupted"}


@pytest.mark.parametrize("key", ["canary-é-key", "canary\nkey", "canary\x00key"], ids=["é", "newline", "nul"])
def test_a_key_that_is_no_header(configure: Callable[..., Settings], key: str) -> None:
    """A vendor key that cannot be sent stops the start, and is not shown."""
    providers = {"deepseek": {"keys": [{"secret": key, "allow_literal": True}]}}
    settings = configure(providers=providers, routes={"smart": {"targets": ["deepseek/deepseek-flash"]}})
    with pytest.raises(ConfigurationError, match="not one word of ASCII") as caught:
        Gateway(settings)

    assert "canary" not in str(caught.value)


@pytest.mark.anyio
async def test_what_goes_wrong_says_what_to_do(gateway: Gateway) -> None:
    """A stream asked of `chat`, a wrong prompt, a forbidden field, a wrong type: each in a sentence."""
    async with gateway:
        with pytest.raises(TypeError, match=r"gateway\.stream"):
            await gateway.chat("smart", "hi", stream=True)
        with pytest.raises(RequestError, match="a string or a list of messages"):
            await gateway.chat("smart", 7)  # type: ignore[arg-type]  # the mistake
        with pytest.raises(RequestError, match="'api_base' would change where a request goes"):
            await gateway.chat("smart", "hi", api_base="http://evil")
        with pytest.raises(RequestError, match="'max_tokens'"):
            await gateway.chat("smart", "hi", max_tokens="many")
        with pytest.raises(RequestError, match="'timeout' must be"):
            await gateway.chat("smart", "hi", timeout=0)


def test_aiohttp_on_trio(configure: Callable[..., Settings]) -> None:
    """aiohttp runs on asyncio only; on trio the error says what to set."""

    async def ask() -> None:
        async with Gateway(configure(transport={"kind": "aiohttp"})) as gateway:
            await gateway.chat("smart", "hi")

    with pytest.raises(ConfigurationError, match='kind = "httpx2"'):
        anyio.run(ask, backend="trio")


# -- without an event loop --------------------------------------------------------------------


def test_blocking(configure: Callable[..., Settings]) -> None:
    """Programs without an event loop use the same names without await."""
    with blocking.Gateway(configure(timeouts=PATIENT)) as gateway:
        reply = gateway.chat("smart", "hi")
        with gateway.stream("smart", "hi") as chunks:
            text = "".join(chunk.text for chunk in chunks)

    assert DEEPSEEK == reply.text == text
    assert chunks.usage is not None
    assert chunks.outcome is not None
    assert "complete" == chunks.outcome.state
    assert chunks.decision is not None
    assert "deepseek/deepseek-flash" == chunks.decision.answered_by


def test_blocking_from_two_threads(configure: Callable[..., Settings]) -> None:
    """Several threads share one blocking gateway, from its first call on."""

    def ask(number: int) -> list[str]:
        texts = [shared.chat("smart", f"plain {number}").text]
        with shared.stream("smart", f"stream {number}") as chunks:
            return [*texts, "".join(chunk.text for chunk in chunks)]

    shared = blocking.Gateway(configure(timeouts=PATIENT))
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, range(6)))
    finally:
        shared.close()

    said = "Hello from the DeepSeek stand-in. You said: "
    assert [[f"{said}plain {n}", f"{said}stream {n}"] for n in range(6)] == answers


def test_blocking_fails_over_and_breaks(configure: Callable[..., Settings], switch: Switch) -> None:
    """Failover and broken streams are the same without an event loop."""
    seen: list[Any] = []
    with blocking.Gateway(configure()) as gateway:
        switch("deepseek", "down")
        reply = gateway.chat("smart", "hi")
        switch("deepseek", "cut:3")
        with pytest.raises(StreamInterrupted) as caught, gateway.stream("smart", "hi") as chunks:
            seen.extend(chunks)

    assert "MiniMax-M3" == reply.model
    assert "A short greeting" == caught.value.reasoning
    assert 4 == len(seen)


def test_blocking_may_be_closed_twice(configure: Callable[..., Settings]) -> None:
    """Closing what is closed, or what was never used, does nothing."""
    blocking.Gateway(configure()).close()
    gateway = blocking.Gateway(configure())
    gateway.chat("smart", "hi")
    gateway.close()
    gateway.close()

    assert "healthy" == gateway._gateway.memory.health("deepseek")
