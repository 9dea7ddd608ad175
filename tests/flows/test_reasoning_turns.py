"""Thoughts go back to the vendor that thought them: conversations with tools, by OpenAI's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from openai import OpenAI

from aigateway import Gateway, Settings
from aigateway.testing.sandbox import Sandbox

LONG = {"connect": 5.0, "first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 60.0}
TOOL: Any = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}
THOUGHT = "A short greeting that quotes the last message will do."


@pytest.fixture
def client(configure: Callable[..., Settings], serving: Callable[..., AbstractContextManager[str]]) -> Iterator[OpenAI]:
    with (
        serving(Gateway(configure(timeouts=LONG), seed=1)) as url,
        OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as found,
    ):
        yield found


def turn(client: OpenAI, model: str, messages: list[Any], *, stream: bool) -> dict[str, Any]:
    """Ask once; give the assistant's message as a client keeps it, thoughts and all."""
    if not stream:
        reply = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
        return reply.choices[0].message.model_dump(exclude_none=True)
    kept: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": []}
    for chunk in client.chat.completions.create(model=model, messages=messages, tools=[TOOL], stream=True):
        for choice in chunk.choices:
            delta = choice.delta.model_dump(exclude_none=True)
            kept["content"] += delta.get("content", "")
            kept["reasoning_content"] += delta.get("reasoning_content", "")
            for call in delta.get("tool_calls", ()):
                if call.get("id"):
                    kept["tool_calls"].append({"id": call["id"], "type": "function", "function": {"arguments": ""}})
                function = kept["tool_calls"][-1]["function"]
                function["name"] = function.get("name") or call["function"].get("name")
                function["arguments"] += call["function"].get("arguments") or ""
    return {name: value for name, value in kept.items() if value}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("vendor", "model", "field"),
    [
        ("deepseek", "deepseek-flash", "reasoning_content"),
        ("minimax", "MiniMax-M3", "reasoning_details"),
        ("minimax", "MiniMax-M3.1-Flash", "reasoning_content"),
    ],
)
def test_two_turns(client: OpenAI, standins: Sandbox, vendor: str, model: str, field: str, stream: bool) -> None:
    """The whole assistant's message goes back as the vendor wants it, and the answer to the tool's result comes."""
    messages: list[Any] = [{"role": "user", "content": "What is at the door?"}]
    first = turn(client, f"{vendor}/{model}", messages, stream=stream)
    call = first["tool_calls"][0]
    messages += [first, {"role": "tool", "tool_call_id": call["id"], "content": "a cat"}]
    second = turn(client, f"{vendor}/{model}", messages, stream=stream)
    sent = standins.vendors[vendor].requests[-1].body["messages"][1]
    thought = sent[field] if field == "reasoning_content" else "".join(part["text"] for part in sent[field])

    assert THOUGHT == first["reasoning_content"]
    assert THOUGHT == thought
    assert call["id"] == sent["tool_calls"][0]["id"]
    assert "The tool said: a cat" in second["content"]


def test_the_next_vendor_is_spared(client: OpenAI, standins: Sandbox) -> None:
    """One vendor's thoughts are not another's: the history goes on at a vendor that would refuse them."""
    messages: list[Any] = [{"role": "user", "content": "What is at the door?"}]
    first = turn(client, "deepseek/deepseek-flash", messages, stream=False)
    messages += [first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "a cat"}]
    for vendor, model in (("groq", "openai/gpt-oss-120b"), ("openai", "gpt-5.4-mini")):
        second = turn(client, f"{vendor}/{model}", messages, stream=False)

        assert "The tool said: a cat" in second["content"]
        assert "reasoning_content" not in standins.vendors[vendor].requests[-1].body["messages"][1]
