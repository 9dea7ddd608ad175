"""Groq's own client, unchanged but for its base URL, works with every vendor behind `aigateway serve --sandbox`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import groq
import pytest
from groq import AsyncGroq, Groq

Switch = Callable[[str, str], None]
NAMED = ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")
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


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(served: Mapping[str, str]) -> str:
    """Give what Groq's client calls the base URL: it adds `/openai/v1` to its own, so ours goes in front of that."""
    return served["url"].removesuffix("/v1")


@pytest.fixture
def theirs(root: str) -> Iterator[Groq]:
    """Give Groq's own client for the served gateway."""
    with Groq(base_url=root, api_key="any", max_retries=0, timeout=20) as found:
        yield found


def greets(text: str | None) -> bool:
    return (text or "").endswith("stand-in. You said: hi")


@each_vendor
def test_plain(theirs: Groq, model: str) -> None:
    """Each vendor by name gives a whole answer, with its usage and marked as the stand-in's."""
    raw = theirs.chat.completions.with_raw_response.create(model=model, messages=HELLO)
    reply = raw.parse()

    assert greets(reply.choices[0].message.content)
    assert ("stop", model.partition("/")[2]) == (reply.choices[0].finish_reason, reply.model)
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert f"sandbox/{model.partition('/')[0]}" == raw.headers["x-aigateway-provider"]


@each_vendor
def test_streamed(theirs: Groq, model: str) -> None:
    """Each vendor by name streams the same text, and ends once."""
    with theirs.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        chunks = list(stream)

    assert greets("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
    assert ["stop"] == [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    assert {"chat.completion.chunk"} == {chunk.object for chunk in chunks}


@each_vendor
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_two_turns_with_a_tool(theirs: Groq, model: str, streamed: bool) -> None:
    """A call to a tool comes whole; the history as this client keeps it is accepted, and its result is answered."""
    asked: dict[str, Any] = {"model": model, "tools": [TOOL], "messages": HELLO}
    if streamed:
        with theirs.chat.completions.create(**asked, stream=True) as stream:
            said = assembled(stream)
    else:
        said = theirs.chat.completions.create(**asked).choices[0].message.model_dump(exclude_none=True)
    (call,) = said["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "42 EUR"}
    second = theirs.chat.completions.create(**{**asked, "messages": [*HELLO, said, result]})

    assert ("read_ledger", {"account": 1}) == (call["function"]["name"], json.loads(call["function"]["arguments"]))
    assert "42 EUR" in (second.choices[0].message.content or "")


def assembled(chunks: Any) -> dict[str, Any]:
    """Put a streamed tool call together, as client programs do."""
    function = {"name": "", "arguments": ""}
    call: dict[str, Any] = {"id": "", "type": "function", "function": function}
    for chunk in chunks:
        for piece in chunk.choices[0].delta.tool_calls or ():
            call["id"] += piece.id or ""
            function["name"] += piece.function.name or ""
            function["arguments"] += piece.function.arguments or ""
    return {"role": "assistant", "tool_calls": [call]}


@pytest.mark.anyio
async def test_the_async_client(root: str) -> None:
    """The asynchronous client gets the same, plain and streamed."""
    async with AsyncGroq(base_url=root, api_key="any", max_retries=0) as theirs:
        reply = await theirs.chat.completions.create(model="smart", messages=HELLO)
        stream = await theirs.chat.completions.create(model="smart", messages=HELLO, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert greets(reply.choices[0].message.content)
    assert greets(text)


def test_models(theirs: Groq) -> None:
    """The list and the card of a model come under the client's own paths; a model nobody has is its 404."""
    listed = theirs.models.list().data
    card = theirs.models.retrieve("groq/openai/gpt-oss-120b")

    assert {"smart", "openai/gpt-oss-120b"} <= {model.id for model in listed}
    assert ("openai/gpt-oss-120b", "groq") == (card.id, card.owned_by)
    with pytest.raises(groq.NotFoundError):
        theirs.models.retrieve("gpt-99")


def test_errors_are_this_clients(theirs: Groq) -> None:
    """A wrong request raises the client's own class, which names the field and holds the request's id."""
    with pytest.raises(groq.BadRequestError, match="'temperature'") as caught:
        theirs.chat.completions.create(model="smart", messages=HELLO, temperature=3)
    body: Any = caught.value.body

    assert "temperature" == body["error"]["param"]
    assert caught.value.response.headers["x-request-id"] == body["error"]["request_id"]


def test_failover_before_content(theirs: Groq, kill: Switch) -> None:
    """The vendor this client was made for is down: another one answers, and the answer says who."""
    kill("groq", "down")
    raw = theirs.chat.completions.with_raw_response.create(model="openai/gpt-oss-120b", messages=HELLO)

    assert greets(raw.parse().choices[0].message.content)
    assert "sandbox/groq" != raw.headers["x-aigateway-provider"]


def test_a_stream_that_breaks(theirs: Groq, kill: Switch) -> None:
    """After content a break is an error this client raises, never the end of the text."""
    kill("groq", "cut:3")
    said = ""
    with (
        pytest.raises(groq.APIError),
        theirs.chat.completions.create(
            model="groq/openai/gpt-oss-120b", messages=HELLO, stream=True, extra_body={"routing": {"fallback": False}}
        ) as stream,
    ):
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""

    assert not greets(said)
