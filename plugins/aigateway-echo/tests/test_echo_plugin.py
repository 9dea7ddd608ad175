"""The echo: what it says back, how it streams, which tool it calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aigateway.plugins import Registry
from aigateway.providers import LocalProvider, Options
from aigateway.types import ChatRequest, Chunk, Reply, Target
from aigateway_echo import Echo

TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"at": {"type": "string"}, "times": {"type": "integer"}},
            "required": ["at"],
        },
    },
}
OTHER = {"type": "function", "function": {"name": "listen"}}

pytestmark = pytest.mark.anyio


async def answered(prompt: str | list[dict[str, Any]], **fields: Any) -> Reply:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    request = ChatRequest.parse({"messages": messages, **fields})
    reply = await Echo(Options("echo")).answer(request, Target("echo", "echo"))
    assert isinstance(reply, Reply)
    return reply


async def streamed(prompt: str, **fields: Any) -> list[Chunk]:
    request = ChatRequest.parse({"messages": [{"role": "user", "content": prompt}], "stream": True, **fields})
    chunks = await Echo(Options("echo")).answer(request, Target("echo", "echo"))
    assert isinstance(chunks, AsyncIterator)
    return [chunk async for chunk in chunks]


def called(reply: Reply) -> tuple[str, Any]:
    (call,) = reply.body["choices"][0]["message"]["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


async def test_is_a_local_provider_that_needs_no_key() -> None:
    """The entry point gives a provider that answers in this process."""
    record = Registry().provider("echo")
    provider = record.factory(Options("echo"))

    assert isinstance(provider, LocalProvider)
    assert record.needs_key is False
    assert [model.id for model in provider.models()] == ["echo"]


async def test_says_back_the_last_user_message() -> None:
    """The answer is the last thing a user said, whoever spoke after."""
    reply = await answered(
        [
            {"role": "user", "content": "first"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "sec"}, {"type": "image_url"}, {"type": "text", "text": "ond"}],
            },
            {"role": "assistant", "content": "no"},
        ]
    )

    assert (reply.text, reply.finish_reason, reply.model, reply.provider) == ("second", "stop", "echo", "echo")


async def test_says_what_it_is_when_nobody_spoke() -> None:
    """Without a user message it says that it is no model."""
    reply = await answered([{"role": "system", "content": "Be brief."}])

    assert "not a model" in reply.text


async def test_counts_words_and_says_it_is_an_estimate() -> None:
    """Usage is in words, and its source is not a vendor."""
    reply = await answered("three small words")

    assert (reply.usage.input, reply.usage.output, reply.usage.source) == (3, 3, "estimated")
    assert reply.body["usage"]["total_tokens"] == 6


async def test_costs_nothing() -> None:
    """Its price is known to be zero."""
    (model,) = Echo(Options("echo")).models()

    assert [(price.input, price.output) for price in model.prices] == [(0, 0)]


@pytest.mark.parametrize("text", ["Hello there, you", "  two\n\nlines\t and space  ", "one"])
async def test_streams_word_by_word(text: str) -> None:
    """The pieces make the same text, end with a finish reason, and bring usage in an extra chunk."""
    *chunks, last = await streamed(text)

    assert "".join(chunk.text for chunk in chunks) == text
    assert len([chunk for chunk in chunks if chunk.text.strip()]) == len(text.split())
    assert (chunks[0].has_content, chunks[-1].finish_reason) == (False, "stop")
    assert last.is_usage
    assert len({chunk.body["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_stops_at_the_limit(field: str) -> None:
    """A limit counts words, and the finish reason says that it was met."""
    cut = await answered("one two three", **{field: 2})
    whole = await answered("one two", **{field: 2})

    assert (cut.text, cut.finish_reason) == ("one two", "length")
    assert (whole.text, whole.finish_reason) == ("one two", "stop")


async def test_calls_the_first_tool() -> None:
    """Tools offered are used: the first, with the simplest arguments its schema allows."""
    reply = await answered("Look!", tools=[TOOL, OTHER])

    assert called(reply) == ("look", {"at": ""})
    assert (reply.finish_reason, reply.text) == ("tool_calls", "")


async def test_calls_the_tool_that_was_chosen() -> None:
    """tool_choice names a tool; a tool without parameters gets an empty object."""
    choice = {"type": "function", "function": {"name": "listen"}}

    assert called(await answered("Listen!", tools=[TOOL, OTHER], tool_choice=choice)) == ("listen", {})


async def test_streams_a_whole_call() -> None:
    """In a stream, the call comes in one piece with its index."""
    chunks = await streamed("Look!", tools=[TOOL])
    (call,) = next(delta["tool_calls"] for c in chunks for delta in deltas(c) if "tool_calls" in delta)

    assert (call["index"], call["function"]["name"]) == (0, "look")
    assert "tool_calls" in [chunk.finish_reason for chunk in chunks]


def deltas(chunk: Chunk) -> list[dict[str, Any]]:
    return [choice["delta"] for choice in chunk.body["choices"]]


async def test_speaks_after_a_tools_result() -> None:
    """A tool's result ends the calling, and so does tool_choice "none"."""
    call = {"id": "call_look", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "Look!"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_look", "content": "a cat"},
    ]

    assert (await answered(history, tools=[TOOL])).text == "Look!"
    assert (await answered("Look!", tools=[TOOL], tool_choice="none")).text == "Look!"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": 7}, 7),
        ({"type": "string", "default": "a"}, "a"),
        ({"enum": ["b", "c"]}, "b"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        ({"type": ["boolean", "null"]}, False),
        ({"type": "number"}, 0),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "string"}, "minItems": 3}, [""]),
        ({"properties": {"a": {"type": "object"}}, "required": ["a", "b"]}, {"a": {}, "b": None}),
        ({"$ref": "#/a"}, None),
        ({"type": "object", "properties": 7, "required": ["a", 7]}, {"a": None}),
        ({"type": "object", "required": 7}, {}),
        ({"type": {}, "enum": []}, None),
        (7, None),
    ],
)
async def test_values_fit_their_schema(schema: object, expected: object) -> None:
    """Arguments are built from the schema; what it does not say is null."""
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"properties": {"x": schema}, "required": ["x"]}},
    }

    assert called(await answered("Go", tools=[tool])) == ("f", {"x": expected})


async def test_a_schema_without_end_ends() -> None:
    """However deep a schema is, a call is built."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(80):
        schema = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    reply = await answered("Go", tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert reply.finish_reason == "tool_calls"


@pytest.mark.parametrize("begun", ["one", "one two", "one t", "one two three"])
async def test_goes_on_after_its_own_words(begun: str) -> None:
    """Asked to go on, it says what is left, and nothing twice."""
    echo, request = (
        Echo(Options("echo")),
        ChatRequest.parse({"messages": [{"role": "user", "content": "one two three"}]}),
    )
    further = echo.continuation(request, begun)
    assert further is not None
    reply = await echo.answer(further, Target("echo", "echo"))

    assert isinstance(reply, Reply)
    assert begun + reply.text == "one two three"
    assert len(request.messages) == 1


@pytest.mark.parametrize(("begun", "fields"), [("", {}), ("one", {"tools": [TOOL]}), ("one", {"n": 2})])
async def test_does_not_go_on_with_anything_else(begun: str, fields: dict[str, Any]) -> None:
    """Nothing, a call, several answers: no."""
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "one two three"}], **fields})

    assert Echo(Options("echo")).continuation(request, begun) is None
