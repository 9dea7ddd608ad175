"""OpenAI's own client, unchanged but for its base URL, works with every vendor behind `aigateway serve --sandbox`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

NAMED = ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")
TITLES = {"deepseek": "DeepSeek", "minimax": "MiniMax", "openai": "OpenAI", "groq": "Groq"}
HELLO: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_ledger",
        "description": "Read the balance of an account.",
        "parameters": {"type": "object", "properties": {"account": {"type": "integer"}}, "required": ["account"]},
    },
}

each_vendor = pytest.mark.parametrize("model", NAMED)


class Balance(BaseModel):
    account: int
    currency: str


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def greeting(model: str) -> str:
    return f"Hello from the {TITLES[model.partition('/')[0]]} stand-in. You said: hi"


def text_of(chunks: Iterable[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@each_vendor
def test_plain(client: OpenAI, model: str) -> None:
    """Each vendor by name gives a whole answer, with its usage and marked as the stand-in's."""
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
    reply = raw.parse()

    assert greeting(model) == reply.choices[0].message.content
    assert "stop" == reply.choices[0].finish_reason
    assert model.partition("/")[2] == reply.model
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert f"sandbox/{model.partition('/')[0]}" == raw.headers["x-aigateway-provider"]
    assert model.partition("/")[2] == raw.headers["x-aigateway-model"]
    assert "1" == raw.headers["x-aigateway-attempts"]


@each_vendor
def test_streamed(client: OpenAI, model: str) -> None:
    """Each vendor by name streams the same text, ends once, and reports no usage nobody asked for."""
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO, stream=True)
    with raw.parse() as stream:
        chunks = list(stream)

    assert greeting(model) == text_of(chunks)
    assert ["stop"] == [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason]
    assert [None] * len(chunks) == [c.usage for c in chunks]
    assert {"chat.completion.chunk"} == {c.object for c in chunks}
    assert 1 == len({c.id for c in chunks})
    assert "assistant" == chunks[0].choices[0].delta.role
    assert f"sandbox/{model.partition('/')[0]}" == raw.headers["x-aigateway-provider"]
    assert "text/event-stream; charset=utf-8" == raw.headers["content-type"]


@each_vendor
def test_usage_of_a_stream(client: OpenAI, model: str) -> None:
    """With include_usage one chunk without choices comes last and carries the usage; no other does."""
    with client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    plain = client.chat.completions.create(model=model, messages=HELLO)

    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert plain.usage is not None
    assert plain.usage.completion_tokens == chunks[-1].usage.completion_tokens
    assert plain.usage.prompt_tokens == chunks[-1].usage.prompt_tokens
    assert [None] * (len(chunks) - 1) == [c.usage for c in chunks[:-1]]
    assert all(c.choices for c in chunks[:-1])


@pytest.mark.anyio
@each_vendor
async def test_async_client(url: str, model: str) -> None:
    """The async client gets the same, plain and streamed."""
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        reply = await client.chat.completions.create(model=model, messages=HELLO)
        async with await client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
            chunks = [chunk async for chunk in stream]

    assert greeting(model) == reply.choices[0].message.content
    assert greeting(model) == text_of(chunks)


@each_vendor
def test_tool_in_two_turns(client: OpenAI, model: str) -> None:
    """A tool is called, its result is sent back with the whole history, and the vendor accepts and answers it."""
    messages = [*HELLO]
    first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    said = first.choices[0].message
    assert said.tool_calls
    call = said.tool_calls[0]
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "42 euros"}]
    second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])

    assert "tool_calls" == first.choices[0].finish_reason
    assert ("read_ledger", {"account": 1}) == (call.function.name, json.loads(call.function.arguments))  # type: ignore[union-attr]
    assert "The tool said: 42 euros" in (second.choices[0].message.content or "")


@each_vendor
@pytest.mark.parametrize("keep_thoughts", [True, False], ids=["thoughts", "no-thoughts"])
def test_tool_in_two_streamed_turns(client: OpenAI, model: str, keep_thoughts: bool) -> None:
    """Streamed, the call comes in pieces; a history without the thoughts, as most programs keep it, is accepted too."""
    with client.chat.completions.create(model=model, messages=HELLO, tools=[TOOL], stream=True) as stream:
        chunks = list(stream)
    said = assembled(chunks, keep_thoughts=keep_thoughts)
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "42 euros"}
    messages: Any = [*HELLO, said, result]
    with client.chat.completions.create(model=model, messages=messages, tools=[TOOL], stream=True) as stream:
        second = text_of(stream)

    assert ["tool_calls"] == [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason]
    assert "read_ledger" == said["tool_calls"][0]["function"]["name"]
    assert {"account": 1} == json.loads(said["tool_calls"][0]["function"]["arguments"])
    assert "The tool said: 42 euros" in second


@each_vendor
def test_stream_helper(client: OpenAI, model: str) -> None:
    """The client's own helper, which is strict about pieces, puts a streamed text and a streamed call together."""
    with client.chat.completions.stream(model=model, messages=HELLO) as events:
        spoken = events.get_final_completion()
    with client.chat.completions.stream(model=model, messages=HELLO, tools=[TOOL]) as events:
        called = events.get_final_completion().choices[0].message.tool_calls

    assert greeting(model) == spoken.choices[0].message.content
    assert called
    assert ("read_ledger", {"account": 1}) == (called[0].function.name, json.loads(called[0].function.arguments))


def assembled(chunks: Iterable[Any], *, keep_thoughts: bool) -> dict[str, Any]:
    """Put a streamed tool call together, as client programs do."""
    call: dict[str, Any] = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    thoughts = ""
    for chunk in chunks:
        delta = chunk.choices[0].delta
        thoughts += getattr(delta, "reasoning_content", None) or ""
        for piece in delta.tool_calls or ():
            assert 0 == piece.index
            call["id"] += piece.id or ""
            call["function"]["name"] += piece.function.name or ""
            call["function"]["arguments"] += piece.function.arguments or ""
    said: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {**said, "reasoning_content": thoughts} if keep_thoughts else said


@pytest.mark.parametrize("model", ["deepseek/deepseek-flash", "minimax/MiniMax-M3", "groq/openai/gpt-oss-120b"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_reasoning_has_one_name(client: OpenAI, model: str, stream: bool) -> None:
    """Whatever the vendor calls its thoughts, they arrive as `reasoning_content`, never inside the text."""
    if stream:
        with client.chat.completions.create(model=model, messages=HELLO, stream=True) as chunks:
            deltas = [chunk.choices[0].delta for chunk in chunks]
        thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        text = "".join(delta.content or "" for delta in deltas)
    else:
        message = client.chat.completions.create(model=model, messages=HELLO).choices[0].message
        thoughts, text = getattr(message, "reasoning_content", ""), message.content or ""

    assert "A short greeting that quotes the last message will do." == thoughts
    assert greeting(model) == text


@pytest.mark.parametrize("model", ["openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"])
def test_parsed_answers(client: OpenAI, model: str) -> None:
    """`parse` gives an object of the model it was asked for."""
    reply = client.chat.completions.parse(model=model, messages=HELLO, response_format=Balance)

    assert isinstance(reply.choices[0].message.parsed, Balance)


def test_parse_where_the_vendor_cannot(client: OpenAI) -> None:
    """A vendor that refuses json_schema says so in a 400, not in a failed server."""
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.parse(model="deepseek/deepseek-flash", messages=HELLO, response_format=Balance)

    assert "response_format" in caught.value.message


def test_models(client: OpenAI) -> None:
    """The list names the route and every vendor's models; a card is found by its id, slash and all."""
    listed = [model.id for model in client.models.list()]
    plain = client.models.retrieve("openai/gpt-oss-120b")
    pinned = client.models.retrieve("groq/openai/gpt-oss-120b")

    assert {"smart", "deepseek-flash", "MiniMax-M3", "gpt-5.4-mini", "openai/gpt-oss-120b"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert "openai/gpt-oss-120b" == plain.id == pinned.id
    assert "groq" == plain.owned_by


def test_unknown_model_card(client: OpenAI) -> None:
    """A model nobody has is a 404 in OpenAI's words."""
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("gpt-99")

    assert "model_not_found" == caught.value.code


def test_no_model_and_an_unknown_model(client: OpenAI) -> None:
    """Without a configuration file the built-in route answers what nobody knows, and says so."""
    raw = client.chat.completions.with_raw_response.create(model="no-such-thing", messages=HELLO)

    assert "sandbox/deepseek" == raw.headers["x-aigateway-provider"]
    assert "'no-such-thing' is not known here" in raw.headers["x-aigateway-warning"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("supplied", [b"my-request_1.2:3", b"bad id", b"x" * 129, b"\xe9"], ids=str)
def test_request_ids(url: str, supplied: bytes, stream: bool) -> None:
    """A request id that is safe to log is kept; any other is replaced."""
    body = {"messages": HELLO, "stream": stream}
    reply = httpx2.post(f"{url}/chat/completions", json=body, headers=[(b"x-request-id", supplied)])
    given = reply.headers["x-request-id"]

    assert 200 == reply.status_code
    assert (given == supplied.decode("latin-1")) is (supplied == b"my-request_1.2:3")
    assert 16 <= len(given) <= 128
