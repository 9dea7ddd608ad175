"""A stream that breaks after its first content is never spliced or restarted: the caller is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest
from openai import APIError, OpenAI

from aigateway import Gateway, Settings, StreamInterrupted
from aigateway.errors import Kind
from aigateway.testing.sandbox import Sandbox

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]
HELLO: Any = [{"role": "user", "content": "hi"}]
# Text from the first piece on: thoughts are content too, so they are switched off where text is counted.
NO_THOUGHTS = {"extra": {"deepseek": {"thinking": {"type": "disabled"}}}}
BREAKS = {"cut:3": Kind.STREAM_INTERRUPTED, "stall:3": Kind.TIMEOUT}


@pytest.fixture(params=["asyncio", "trio", "asyncio-httpx2"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(loop: str) -> str:
    return loop.partition("-")[0]


def events(body: str) -> list[Any]:
    """Read an event stream strictly: every event is one data line."""
    parts = body.split("\n\n")
    assert "" == parts.pop()
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    return [part.removeprefix("data: ") for part in parts]


@pytest.mark.anyio
@pytest.mark.parametrize("fault", BREAKS)
async def test_in_process(
    configure: Callable[..., Settings], switch: Switch, standins: Sandbox, loop: str, fault: str
) -> None:
    """In-process it raises StreamInterrupted with exactly what had arrived; nobody else is asked."""
    switch("deepseek", fault)
    seen = []
    with pytest.raises(StreamInterrupted) as caught:
        async with (
            Gateway(configure(transport={"kind": loop.partition("-")[2] or "auto"})) as gateway,
            gateway.stream("smart", "hi", **NO_THOUGHTS) as chunks,
        ):
            async for chunk in chunks:
                seen.append(chunk.text)

    assert "Hello from the" == "".join(seen) == caught.value.text
    assert BREAKS[fault] == caught.value.cause_kind
    assert ("deepseek", "deepseek-flash") == (caught.value.provider, caught.value.model)
    assert chunks.outcome is not None
    assert "interrupted" == chunks.outcome.state
    assert 0 == len(standins.vendors["minimax"].requests)


@pytest.mark.anyio
async def test_thoughts_that_had_arrived(configure: Callable[..., Settings], switch: Switch) -> None:
    """What the model had thought is carried apart from its text."""
    switch("deepseek", "cut:3")
    with pytest.raises(StreamInterrupted) as caught:
        async with Gateway(configure()) as gateway, gateway.stream("smart", "hi") as chunks:
            async for _ in chunks:
                pass

    assert "A short greeting" == caught.value.reasoning
    assert "" == caught.value.text


def test_over_http_when_it_is_cut(url: str, kill: Switch) -> None:
    """Over HTTP the stream ends with one error event, no [DONE], and a connection that can be used again."""
    kill("deepseek", "cut:3")
    with httpx2.Client() as client:
        reply = client.post(f"{url}/chat/completions", json={"messages": HELLO, "stream": True})
    *pieces, last = events(reply.text)

    assert 200 == reply.status_code
    assert "[DONE]" not in reply.text
    assert 1 == reply.text.count('"error"')
    assert {"message", "type", "param", "code", "request_id"} <= json.loads(last)["error"].keys()
    assert reply.headers["x-request-id"] == json.loads(last)["error"]["request_id"]
    assert 4 == len(pieces)  # the role, and three pieces of thought
    assert "MiniMax" not in reply.text


@pytest.mark.parametrize("fault", BREAKS)
def test_openai_client_raises(configure: Callable[..., Settings], serving: Serving, switch: Switch, fault: str) -> None:
    """OpenAI's client gives what came, then raises APIError."""
    switch("deepseek", fault)
    seen = []
    with (
        serving(Gateway(configure())) as root,
        OpenAI(base_url=f"{root}/v1", api_key="any", max_retries=0) as client,
        client.chat.completions.create(model="smart", messages=HELLO, stream=True) as stream,
        pytest.raises(APIError) as caught,
    ):
        for chunk in stream:
            seen.append(chunk)

    assert 4 == len(seen)
    assert "broke off" in caught.value.message
    assert "stream_interrupted" == caught.value.code


@pytest.mark.parametrize("fault", ["cut:3", "stall:3"])
def test_silence_over_http_ends(
    configure: Callable[..., Settings], serving: Serving, switch: Switch, fault: str
) -> None:
    """A vendor that falls silent is a broken stream too: one error event, no [DONE]."""
    switch("deepseek", fault)
    with serving(Gateway(configure())) as root:
        reply = httpx2.post(f"{root}/v1/chat/completions", json={"messages": HELLO, "stream": True}, timeout=5)
    last = json.loads(events(reply.text)[-1])

    assert "stream_interrupted" == last["error"]["code"]
    assert "[DONE]" not in reply.text
