"""Stand-ins answer the other dialects their vendors speak, as those vendors' clients expect them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest

from aigateway.testing.sandbox import Sandbox

pytestmark = pytest.mark.anyio

RESPONDING = {"openai": "gpt-5.4-mini", "groq": "openai/gpt-oss-120b", "deepseek": "deepseek-flash"}
TALKING = {"deepseek": "deepseek-flash", "minimax": "MiniMax-M3"}
TITLES = {"deepseek": "DeepSeek", "minimax": "MiniMax", "openai": "OpenAI", "groq": "Groq"}
PARAMETERS = {"type": "object", "properties": {"account": {"type": "integer"}}, "required": ["account"]}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as found:
        yield found


def responding(sandbox: Sandbox, vendor: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=sandbox.vendors[vendor].url, api_key=sandbox.key, max_retries=0)


def talking(sandbox: Sandbox, vendor: str) -> anthropic.AsyncAnthropic:
    root = sandbox.vendors[vendor].url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=f"{root}/anthropic", api_key=sandbox.key, max_retries=0)


@pytest.mark.parametrize("vendor", RESPONDING)
async def test_responses(sandbox: Sandbox, vendor: str) -> None:
    """OpenAI's client reads a response, whole and streamed to the same text, and a function call."""
    greeting, model = f"Hello from the {TITLES[vendor]} stand-in. You said: hi", RESPONDING[vendor]
    tool: Any = {"type": "function", "name": "look", "parameters": PARAMETERS, "strict": False}
    async with responding(sandbox, vendor) as client:
        whole = await client.responses.create(model=model, input="hi")
        async with client.responses.stream(model=model, input="hi") as stream:
            names = [event.type async for event in stream]
            told = await stream.get_final_response()
        called = await client.responses.create(model=model, input="hi", tools=[tool])

    assert greeting == whole.output_text == told.output_text
    assert "response.created" == names[0]
    assert "response.completed" == names[-1]
    assert "response.output_text.delta" in names
    assert ["function_call"] == [item.type for item in called.output if item.type != "reasoning"]


@pytest.mark.parametrize("vendor", TALKING)
async def test_messages(sandbox: Sandbox, vendor: str) -> None:
    """Anthropic's client reads a message, whole and streamed to the same text, and a tool's use."""
    greeting, model = f"Hello from the {TITLES[vendor]} stand-in. You said: hi", TALKING[vendor]
    said: Any = {"model": model, "max_tokens": 512, "messages": [{"role": "user", "content": "hi"}]}
    async with talking(sandbox, vendor) as client:
        whole = await client.messages.create(**said)
        async with client.messages.stream(**said) as stream:
            told = await stream.get_final_message()
        called = await client.messages.create(**said, tools=[{"name": "look", "input_schema": PARAMETERS}])

    assert greeting == whole.content[0].text == told.content[0].text  # type: ignore[union-attr]  # a text
    assert "end_turn" == whole.stop_reason == told.stop_reason
    assert whole.usage.output_tokens == told.usage.output_tokens > 0
    assert {"account": 1} == called.content[0].input  # type: ignore[union-attr]  # a tool's use


async def test_failures(sandbox: Sandbox) -> None:
    """Faults come in the dialect that was asked."""
    async with talking(sandbox, "deepseek") as client:
        await sandbox.set_fault("deepseek", "auth*1")
        with pytest.raises(anthropic.AuthenticationError, match="authentication_error"):
            await client.messages.create(
                model="deepseek-flash", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
        await sandbox.set_fault("deepseek", "error:200*1")
        with pytest.raises(anthropic.APIStatusError):
            async with client.messages.stream(
                model="deepseek-flash", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            ) as stream:
                await stream.get_final_message()
    async with responding(sandbox, "openai") as other:
        await sandbox.set_fault("openai", "error:200*1")
        with pytest.raises(openai.APIError):
            async for _ in await other.responses.create(model="gpt-5.4-mini", input="hi", stream=True):
                pass
