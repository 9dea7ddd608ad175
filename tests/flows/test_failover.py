"""When the first vendor fails, the next one answers, and the caller sees one clean answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import APIStatusError, OpenAI

from aigateway import Gateway, NoAnswer
from aigateway.testing.sandbox import VENDORS, Sandbox

from .conftest import served_in

Switch = Callable[[str, str], None]
HELLO: Any = [{"role": "user", "content": "hi"}]
MINIMAX = "Hello from the MiniMax stand-in. You said: hi"
DEEPSEEK = "Hello from the DeepSeek stand-in. You said: hi"

# What goes wrong before the first content, and how the failure is called ("*": either of two names fits).
WHOLE = {
    "down": "connect",
    "rate_limit": "rate_limit",
    "rate_limit:0": "rate_limit",
    "error": "server_error",
    "error:503": "overloaded",
    "error:200": "*",
    "error:404": "*",
    "error:403": "*",
    "hang": "timeout",
    "cut:0": "stream_interrupted",
    "cut": "stream_interrupted",
    "bad_json": "protocol_error",
    "slow": "timeout",
    "stall": "timeout",
    "reset": "stream_interrupted",
    "auth": "auth",
    "no_money": "insufficient_funds",
    "html": "*",
}
STREAMED = {**WHOLE, "bad_json:1": "protocol_error", "stall:0": "timeout"}
del STREAMED["cut"], STREAMED["stall"]  # these break after content


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Serve a gateway for one test: what vendors did to it rests in it for a while."""
    with served_in(tmp_path) as found:
        yield found


@pytest.mark.anyio
@pytest.mark.parametrize("fault", WHOLE)
async def test_a_whole_answer_survives(gateway: Gateway, switch: Switch, standins: Sandbox, fault: str) -> None:
    """Whatever the first vendor does instead of answering, the second one's answer is given, asked for once."""
    switch("deepseek", fault)
    async with gateway:
        reply = await gateway.chat("smart", "hi")

    assert MINIMAX == reply.text
    assert reply.decision is not None
    assert "minimax/MiniMax-M3" == reply.decision.answered_by
    assert 1 == len(standins.vendors["minimax"].requests)
    assert WHOLE[fault] in {*(step.outcome for step in reply.decision.steps), "*"}


@pytest.mark.anyio
@pytest.mark.parametrize("fault", STREAMED)
async def test_a_stream_survives(gateway: Gateway, switch: Switch, standins: Sandbox, fault: str) -> None:
    """The same for streams: nothing of the failed attempt is seen, and the stream ends once."""
    switch("deepseek", fault)
    async with gateway, gateway.stream("smart", "hi") as chunks:
        seen = [chunk async for chunk in chunks]

    assert MINIMAX == "".join(chunk.text for chunk in seen)
    assert ["stop"] == [chunk.finish_reason for chunk in seen if chunk.finish_reason]
    assert {"MiniMax-M3"} == {chunk.body["model"] for chunk in seen}
    assert chunks.outcome is not None
    assert "complete" == chunks.outcome.state
    assert chunks.decision is not None
    assert "minimax/MiniMax-M3" == chunks.decision.answered_by
    assert STREAMED[fault] in {*(step.outcome for step in chunks.decision.steps), "*"}
    assert 1 == len(standins.vendors["minimax"].requests)


@pytest.mark.anyio
@pytest.mark.parametrize("alive", [1, 2, 3])
async def test_the_last_one_standing_answers(gateway: Gateway, switch: Switch, alive: int) -> None:
    """With any number of vendors down, the first that lives answers."""
    for vendor in VENDORS[:alive]:
        switch(vendor, "down")
    async with gateway:
        reply = await gateway.chat("smart", "hi")

    assert reply.decision is not None
    assert VENDORS[alive] == (reply.decision.answered_by or "").partition("/")[0]
    assert alive + 1 == reply.decision.attempts


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_nobody_left(gateway: Gateway, switch: Switch, stream: bool) -> None:
    """When all are down the caller is told each reason, once per target."""
    for vendor in VENDORS:
        switch(vendor, "down")
    with pytest.raises(NoAnswer) as caught:
        async with gateway:
            if stream:
                await gateway.stream("smart", "hi").__aenter__()
            else:
                await gateway.chat("smart", "hi")

    assert list(VENDORS) == list(dict.fromkeys(reason["provider"] for reason in caught.value.reasons))
    assert {"connect"} == {reason["kind"] for reason in caught.value.reasons}
    assert 503 == caught.value.status


def test_the_first_vendor_is_killed_in_mid_run(client: OpenAI, kill: Switch) -> None:
    """A served gateway goes on when its first vendor dies, plain and streamed, and comes back with it."""
    create = client.chat.completions.with_raw_response.create
    before = create(model="smart", messages=HELLO)
    kill("deepseek", "down")
    plain = create(model="smart", messages=HELLO)
    raw = create(model="smart", messages=HELLO, stream=True)
    with raw.parse() as stream:
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    kill("deepseek", "none")
    after = create(model="smart", messages=HELLO)

    assert "sandbox/deepseek" == before.headers["x-aigateway-provider"]
    assert "sandbox/minimax" == plain.headers["x-aigateway-provider"] == raw.headers["x-aigateway-provider"]
    assert MINIMAX == plain.parse().choices[0].message.content == streamed
    assert "2" == plain.headers["x-aigateway-attempts"]
    assert "sandbox/deepseek" == after.headers["x-aigateway-provider"]
    assert DEEPSEEK == after.parse().choices[0].message.content


def test_everybody_is_killed(client: OpenAI, kill: Switch) -> None:
    """With no vendor left a client gets 503, no call to retry, and a reason per vendor without any address."""
    for vendor in VENDORS:
        kill(vendor, "down")
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model="smart", messages=HELLO)

    assert 503 == caught.value.status_code
    assert "false" == caught.value.response.headers["x-should-retry"]
    assert isinstance(caught.value.body, dict)
    assert list(VENDORS) == list(dict.fromkeys(reason["provider"] for reason in caught.value.body["reasons"]))
    assert "127.0.0.1" not in caught.value.response.text


def test_everybody_is_limited(client: OpenAI, kill: Switch) -> None:
    """When every vendor is limited the client gets 429, and when the first is back: MiniMax, which names no wait."""
    for vendor in VENDORS:
        kill(vendor, "rate_limit:7")
    began = time.monotonic()
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model="smart", messages=HELLO)
    took = 1000 * (time.monotonic() - began)

    assert 429 == caught.value.status_code
    assert "1" == caught.value.response.headers["retry-after"]
    assert 500 - took <= int(caught.value.response.headers["retry-after-ms"]) <= 1000


def test_wrong_vendor_keys_are_not_the_clients(client: OpenAI, kill: Switch) -> None:
    """When the vendors refuse our keys, the client is told 502 or 503 and never 401."""
    for vendor in VENDORS:
        kill(vendor, "auth")
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model="smart", messages=HELLO)

    assert caught.value.status_code in {502, 503}


@pytest.mark.parametrize("fault", ["down", "rate_limit:7"])
def test_sdk_retries_stop(url: str, kill: Switch, fault: str) -> None:
    """A client left to its own retries asks once: we have tried everybody, and say so."""
    for vendor in VENDORS:
        kill(vendor, fault)
    began = time.monotonic()
    with OpenAI(base_url=url, api_key="any", max_retries=3) as client, pytest.raises(APIStatusError):
        client.chat.completions.create(model="smart", messages=HELLO)

    assert time.monotonic() - began < 5


def test_a_pinned_vendor_and_who_may_follow_it(client: OpenAI, kill: Switch) -> None:
    """provider/model goes on only where the request says so; the answer names who gave it."""
    kill("deepseek", "down")
    create = client.chat.completions.with_raw_response.create
    with pytest.raises(APIStatusError) as caught:
        create(model="deepseek/deepseek-flash", messages=HELLO)
    named = create(model="deepseek/deepseek-flash", messages=HELLO, extra_body={"models": ["groq/openai/gpt-oss-120b"]})
    falls = create(model="deepseek/deepseek-flash", messages=HELLO, extra_body={"routing": {"fallback": True}})
    unpinned = create(model="deepseek-flash", messages=HELLO)

    assert 503 == caught.value.status_code
    assert "sandbox/groq" == named.headers["x-aigateway-provider"]
    assert "openai/gpt-oss-120b" == named.parse().model
    assert "sandbox/minimax" == falls.headers["x-aigateway-provider"] == unpinned.headers["x-aigateway-provider"]


def test_health_says_who_is_ill(url: str, client: OpenAI, kill: Switch) -> None:
    """A vendor whose last call failed is degraded, and well again after one that did not."""
    health = url.removesuffix("/v1") + "/health"
    kill("openai", "down")
    with pytest.raises(APIStatusError):
        client.chat.completions.create(model="openai/gpt-5.4-nano", messages=HELLO)
    ill = httpx2.get(health)
    kill("openai", "none")
    client.chat.completions.create(model="openai/gpt-5.4-nano", messages=HELLO)
    well = httpx2.get(health).json()["providers"]["openai"]

    assert 200 == ill.status_code
    assert ("degraded", "degraded") == (ill.json()["status"], ill.json()["providers"]["openai"])
    assert "healthy" == well
