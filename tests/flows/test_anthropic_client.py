"""Anthropic's own client, unchanged but for its base URL, works with every vendor behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

Switch = Callable[[str, str], None]
NAMED = ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")
HELLO: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "name": "read_ledger",
    "description": "Read the balance of an account.",
    "input_schema": {"type": "object", "properties": {"account": {"type": "integer"}}, "required": ["account"]},
}

# Models no other test asks: of those the gateway learns how few tokens the stand-ins count.
NOT_ASKED = ("deepseek/deepseek-v4-pro", "minimax/MiniMax-M2.7", "openai/gpt-6-sol", "groq/qwen/qwen3.6-27b")
each_vendor = pytest.mark.parametrize("model", NAMED)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def claude(served: Mapping[str, str]) -> Iterator[Anthropic]:
    """Give Anthropic's own client for the served gateway."""
    with Anthropic(base_url=served["url"].removesuffix("/v1"), api_key="any", max_retries=0, timeout=20) as found:
        yield found


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@each_vendor
def test_plain(claude: Anthropic, model: str) -> None:
    """Each vendor gives a whole message with its usage, native or translated."""
    message = claude.messages.create(model=model, max_tokens=500, messages=HELLO, system="Be brief.")

    assert "You said: hi" in text_of(message)
    assert ("message", "assistant", "end_turn") == (message.type, message.role, message.stop_reason)
    assert model.partition("/")[2] == message.model
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message._request_id


@each_vendor
def test_streamed(claude: Anthropic, model: str) -> None:
    """Each vendor streams a message the client can add up, whose end says why and how much."""
    with claude.messages.stream(model=model, max_tokens=500, messages=HELLO) as stream:
        said = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert "You said: hi" in said
    assert said == text_of(message)
    assert "end_turn" == message.stop_reason
    assert message.usage.output_tokens > 0


@each_vendor
@pytest.mark.parametrize("streamed", [False, True])
def test_two_turns_with_a_tool(claude: Anthropic, model: str, streamed: bool) -> None:
    """A call to a tool comes whole, thoughts and all; what the tool gave leads to words."""
    messages = [{"role": "user", "content": "What is on account 1?"}]
    asked: dict[str, Any] = {"model": model, "max_tokens": 500, "tools": [TOOL], "messages": messages}
    if streamed:
        with claude.messages.stream(**asked) as stream:
            first = stream.get_final_message()
    else:
        first = claude.messages.create(**asked)
    (call,) = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "42 EUR"}
    turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = claude.messages.create(**{**asked, "messages": [*messages, *turns]})

    assert "tool_use" == first.stop_reason
    assert ("read_ledger", {"account": 1}) == (call.name, call.input)
    assert "42 EUR" in text_of(second)


@pytest.mark.anyio
async def test_the_async_client(served: Mapping[str, str]) -> None:
    """The asynchronous client does the same."""
    async with AsyncAnthropic(base_url=served["url"].removesuffix("/v1"), api_key="any", max_retries=0) as claude:
        message = await claude.messages.create(model="smart", max_tokens=99, messages=HELLO)

    assert "You said: hi" in text_of(message)


@pytest.mark.parametrize("model", NOT_ASKED)
def test_counting(claude: Anthropic, model: str) -> None:
    """Tokens are counted without asking a vendor; more words are more tokens."""
    short = claude.messages.count_tokens(model=model, messages=HELLO).input_tokens
    long = claude.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": "word " * 400}], system="Be brief.", tools=[TOOL]
    ).input_tokens

    assert 0 < short < long
    assert 200 < long < 1000


def test_errors_are_this_dialects(claude: Anthropic) -> None:
    """The client raises its own classes, with a request id and a message that helps."""
    with pytest.raises(anthropic.BadRequestError, match="max_tokens") as caught:
        claude.messages.create(model="smart", max_tokens=-1, messages=HELLO)
    body: Any = caught.value.body

    assert ("error", "invalid_request_error") == (body["type"], body["error"]["type"])
    assert caught.value.request_id == body["request_id"]


@pytest.mark.parametrize("model", ["deepseek/deepseek-flash", "openai/gpt-5.4-mini"])
def test_failover_before_content(claude: Anthropic, kill: Switch, model: str) -> None:
    """A vendor that is down is not noticed, whether it speaks the dialect or not."""
    kill(model.partition("/")[0], "down")
    message = claude.messages.create(
        model=model, max_tokens=99, messages=HELLO, extra_body={"routing": {"models": ["smart"]}}
    )

    assert "You said: hi" in text_of(message)
    assert model.partition("/")[2] != message.model


@pytest.mark.parametrize("model", ["deepseek/deepseek-flash", "openai/gpt-5.4-mini"])
def test_a_stream_that_breaks(served: Mapping[str, str], kill: Switch, model: str) -> None:
    """After content a break is an error event, and no message_stop follows."""
    kill(model.partition("/")[0], "cut:3")
    body = {"model": model, "max_tokens": 99, "messages": HELLO, "stream": True, "routing": {"fallback": False}}
    told = httpx2.post(f"{served['url']}/messages", json=body, timeout=20).text
    names = [line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")]

    assert "message_start" == names[0]
    assert "content_block_delta" in names
    assert "error" == names[-1]
    assert "message_stop" not in names
    assert '"type":"error"' in told.splitlines()[-2]


def test_models(claude: Anthropic) -> None:
    """The list is the client's own, page by page, and each of its models can be looked at."""
    models = list(claude.models.list(limit=5))
    ids = [model.id for model in models]

    assert "smart" == ids[0]
    assert len(ids) > 5
    assert len(ids) == len(set(ids))
    assert "deepseek-flash" == claude.models.retrieve("deepseek/deepseek-flash").id
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("nobody")


def test_what_is_not_served(claude: Anthropic) -> None:
    """The client raises its own class for what this gateway has not, with the way on."""
    with pytest.raises(anthropic.NotFoundError, match="one by one"):
        claude.messages.batches.list()


def test_the_beta_client(claude: Anthropic) -> None:
    """Its beta resource asks `/v1/messages?beta=true`, which is the same path."""
    message = claude.beta.messages.create(model="smart", max_tokens=99, messages=HELLO, betas=["any-2026-01-01"])

    assert "You said: hi" in text_of(message)
