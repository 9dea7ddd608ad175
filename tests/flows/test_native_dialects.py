"""A request in another dialect goes to a vendor that speaks it as it came, and to every other as chat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aigateway import Gateway, Settings, StreamInterrupted
from aigateway.exchange import Exchange
from aigateway.testing.sandbox import Sandbox
from aigateway.types import ChatRequest, Chunk, NativeChunk, NativeReply

pytestmark = pytest.mark.anyio

Configure = Callable[..., Settings]
Switch = Callable[[str, str], None]
HELLO = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "responses": {"input": "hi", "instructions": "Be brief."},
    "messages": {"messages": HELLO, "max_tokens": 512, "metadata": {"user_id": "7"}},
}
SPEAKERS = [
    ("responses", "openai/gpt-5.4-mini"),
    ("responses", "groq/openai/gpt-oss-120b"),
    ("responses", "deepseek/deepseek-flash"),
    ("messages", "deepseek/deepseek-flash"),
    ("messages", "minimax/MiniMax-M3"),
]
PATHS = {"responses": "/responses", "messages": "/anthropic/v1/messages"}
ROUTES = {
    "mixed": {"targets": ["openai/gpt-5.4-mini", "minimax/MiniMax-M3"]},
    "native": {"targets": ["openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"]},
    "going_on": {"targets": ["openai/gpt-5.4-mini", "deepseek/deepseek-flash"], "recovery": "continue"},
    "holding": {"targets": ["openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"], "recovery": "buffer"},
}


@pytest.fixture
def routed(configure: Configure) -> Gateway:
    return Gateway(configure(routes=ROUTES, default_model="mixed", fallback="mixed"), seed=1)


def asked(operation: str, model: str, *, stream: bool = False, **more: Any) -> ChatRequest:
    chat = {"model": model, "messages": HELLO, "stream": stream, **more}
    return ChatRequest.translated(operation, BODIES[operation], chat)


async def told(exchange: Exchange) -> list[Chunk]:
    """Read a stream to its end."""
    chunks: list[Chunk] = []
    try:
        while batch := await exchange.read():
            chunks += batch
    finally:
        await exchange.aclose()
    return chunks


async def stream(gateway: Gateway, operation: str, model: str) -> list[Chunk]:
    return await told(await gateway.open(gateway.call(asked(operation, model, stream=True))))


@pytest.mark.parametrize(("operation", "model"), SPEAKERS)
async def test_whole(routed: Gateway, standins: Sandbox, operation: str, model: str) -> None:
    """The vendor is sent the caller's own body, with its model, and its answer comes back as it is."""
    vendor, _, name = model.partition("/")
    async with routed as gateway:
        exchange = await gateway.open(gateway.call(asked(operation, model)))
        await exchange.aclose()
    reply, sent = exchange.whole(), standins.vendors[vendor].requests[-1]

    assert isinstance(reply, NativeReply)
    assert operation == reply.operation
    assert "You said: hi" in reply.text
    assert "stop" == reply.finish_reason
    assert reply.usage.total > 0
    assert name == reply.model == reply.body["model"]
    assert sent.path.endswith(PATHS[operation])
    assert {**BODIES[operation], "model": name} == sent.body
    assert exchange.outcome is not None
    assert ("complete", reply.usage) == (exchange.outcome.state, exchange.outcome.usage)


@pytest.mark.parametrize(("operation", "model"), SPEAKERS)
async def test_streamed(routed: Gateway, operation: str, model: str) -> None:
    """Events are passed on with their names, in order, as the bytes they came in; usage is known at the end."""
    async with routed as gateway:
        exchange = await gateway.open(gateway.call(asked(operation, model, stream=True)))
        chunks = await told(exchange)
    names = [chunk.name for chunk in chunks if isinstance(chunk, NativeChunk)]

    assert len(chunks) == len(names)
    assert ("response.created" if operation == "responses" else "message_start") == names[0]
    assert ("response.completed" if operation == "responses" else "message_stop") == names[-1]
    assert "You said: hi" in "".join(chunk.text for chunk in chunks)
    assert all(chunk.raw is not None for chunk in chunks)
    assert exchange.usage is not None
    assert exchange.usage.total > 0


async def test_fails_over_to_chat(routed: Gateway, standins: Sandbox, switch: Switch) -> None:
    """Where the next target does not speak the dialect it is asked in chat, before any content unseen."""
    switch("openai", "error:503")
    async with routed as gateway:
        chunks = await stream(gateway, "responses", "mixed")
    sent = standins.vendors["minimax"].requests[-1]

    assert not any(isinstance(chunk, NativeChunk) for chunk in chunks)
    assert "MiniMax stand-in" in "".join(chunk.text for chunk in chunks)
    assert "/v1/chat/completions" == sent.path
    assert HELLO == sent.body["messages"]


@pytest.mark.parametrize(
    "fault", ["error:200", "error:429", "cut:0", "bad_json:1", "html", "reset", "stall:0", "no_money"]
)
async def test_fails_over_natively(routed: Gateway, switch: Switch, fault: str) -> None:
    """Nothing is promised before the first content, whatever goes wrong, and the next target answers alone."""
    switch("openai", fault)
    async with routed as gateway:
        chunks = await stream(gateway, "responses", "native")
    ids = {chunk.body["response"]["id"] for chunk in chunks if "response" in chunk.body}

    assert "Groq stand-in" in "".join(chunk.text for chunk in chunks)
    assert "OpenAI" not in "".join(chunk.text for chunk in chunks)
    assert 1 == len(ids)


@pytest.mark.parametrize("route", ["native", "going_on"])
@pytest.mark.parametrize("fault", ["cut:3", "stall:3"])
async def test_breaks_off(routed: Gateway, standins: Sandbox, switch: Switch, route: str, fault: str) -> None:
    """After content the answer is never restarted, nor gone on with by another target in chat."""
    switch("openai", fault)
    async with routed as gateway:
        with pytest.raises(StreamInterrupted) as caught:
            await stream(gateway, "responses", route)

    assert "Hello from the" == caught.value.text
    assert 1 == sum(len(vendor.requests) for vendor in standins.vendors.values())


async def test_buffered(routed: Gateway, switch: Switch) -> None:
    """A route that buffers promises nothing before the end, so a break is invisible."""
    switch("openai", "cut:3")
    async with routed as gateway:
        chunks = await stream(gateway, "responses", "holding")

    assert "Groq stand-in. You said: hi" in "".join(chunk.text for chunk in chunks)
    assert "OpenAI" not in "".join(chunk.text for chunk in chunks)


async def test_one_bad_event(routed: Gateway, switch: Switch) -> None:
    """One event that makes no sense among good ones is skipped, and the trace says so."""
    switch("openai", "bad_json:7")
    async with routed as gateway:
        exchange = await gateway.open(gateway.call(asked("responses", "native", stream=True)))
        chunks = await told(exchange)

    assert isinstance(chunks[-1], NativeChunk)
    assert "response.completed" == chunks[-1].name
    assert any("made no sense" in warning for warning in exchange.call.trace.warnings)


async def test_parameters_of_a_target_are_chats(routed: Gateway, standins: Sandbox) -> None:
    """A target with parameters of its own (what a retired name meant) is asked in chat: they are chat's words."""
    async with routed as gateway:
        exchange = await gateway.open(gateway.call(asked("responses", "deepseek/deepseek-chat")))
        await exchange.aclose()

    assert not isinstance(exchange.whole(), NativeReply)
    assert {"type": "disabled"} == standins.vendors["deepseek"].requests[-1].body["thinking"]
