"""Limits over HTTP: what clients read of them, whom they count, and a house that is full."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import anyio
import httpx2
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.providers import Options
from aigateway.types import ChatRequest, Chunk, ModelInfo, Reply, Target, Usage

Serve = Callable[..., AbstractContextManager[httpx2.Client]]

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
EDITOR, BATCH = "canary-editor-1234567890", "canary-batch-1234567890"
KEYS = {
    "keys": [
        {"name": "editor", "secret": EDITOR, "allow_literal": True},
        {"name": "batch", "secret": BATCH, "allow_literal": True, "requests_per_minute": 5000},
    ]
}
TEN = {"use": "rate_limit", "requests_per_minute": 10, "burst": 2}
REMAINING = "x-ratelimit-remaining-requests"


def ask(client: httpx2.Client, key: str = EDITOR, **more: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
    options = {"timeout": more.pop("timeout")} if "timeout" in more else {}
    return client.post("/v1/chat/completions", json={**CHAT, **more}, headers=headers, **options)


def test_limits_are_told_with_every_answer(serve: Serve) -> None:
    """With whole ones, streams, errors and refusals alike; other keys have their own."""
    with serve(callers=KEYS, guards=[{**TEN, "burst": 4}]) as client:
        whole, stream = ask(client), ask(client, stream=True)
        failed, last, refused = ask(client, model="echo/fail"), ask(client), ask(client)
        other = ask(client, BATCH)

    assert [200, 200] == [whole.status_code, stream.status_code]
    assert ["3", "2", "0", "0"] == [reply.headers[REMAINING] for reply in (whole, stream, last, refused)]
    assert "10" == refused.headers["x-ratelimit-limit-requests"]
    assert failed.status_code in {200, 400, 404, 502, 503}
    assert REMAINING in failed.headers or failed.status_code == 404  # no such model: refused before anything counts
    assert 429 == refused.status_code
    error = refused.json()["error"]
    assert ("requests", "rate_limit_exceeded", None) == (error["type"], error["code"], error["param"])
    waits = int(refused.headers["retry-after"]), int(refused.headers["retry-after-ms"])
    assert 1 <= waits[0] <= 10
    assert waits[0] * 1000 - 1000 < waits[1] <= waits[0] * 1000
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    assert "5000" == other.headers["x-ratelimit-limit-requests"]


def test_a_whole_answer_tells_what_it_left_of_tokens(serve: Serve) -> None:
    """What it used, not what was feared: the first of all does not say that nothing is left."""
    with serve(callers=KEYS, guards=[{"use": "rate_limit", "tokens_per_minute": 10_000}]) as client:
        first = ask(client, max_tokens=3000)
        used = first.json()["usage"]["total_tokens"]
        stream = ask(client, max_tokens=500, stream=True)

    assert ("10000", str(1000 - used)) == tuple(
        first.headers[f"x-ratelimit-{what}-tokens"] for what in ("limit", "remaining")
    )
    assert first.headers["x-ratelimit-reset-tokens"].endswith("ms")
    assert 0 < int(stream.headers["x-ratelimit-remaining-tokens"]) < 1000


def test_health_tells_limits_to_who_sends_a_key(serve: Serve) -> None:
    """Without counting; a wrong key or none hears nothing of limits, and is answered all the same."""
    with serve(callers=KEYS, guards=[TEN]) as client:
        ask(client)
        told = [client.get("/health", headers={"x-api-key": EDITOR}).headers[REMAINING] for _ in range(5)]
        silent = [client.get("/health"), client.get("/health", headers={"x-api-key": "canary-wrong"})]

    assert ["1"] * 5 == told
    assert [(200, False)] * 2 == [(reply.status_code, REMAINING in reply.headers) for reply in silent]


class Patient:
    """A provider in this process that answers when it is told to."""

    operations = frozenset({"chat"})

    def __init__(self, options: Options) -> None:
        self.name = options.name

    def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("patient", self.name),)

    async def answer(self, request: ChatRequest, target: Target) -> Any:
        if request.stream:
            return said()
        while not RELEASED.is_set():
            await anyio.sleep(0.3)
        return Reply(WHOLE, Usage(1, 1))


WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "late"}, "finish_reason": "stop"}]}
RELEASED = threading.Event()


async def said() -> AsyncIterator[Chunk]:
    yield Chunk({"choices": [{"index": 0, "delta": {"content": "late"}, "finish_reason": None}]})
    while not RELEASED.is_set():
        await anyio.sleep(0.02)
    yield Chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


class Plugin:
    @hookimpl
    def aigateway_providers(self) -> Iterator[ProviderRecord]:
        yield ProviderRecord("patient", Patient, needs_key=False)


@pytest.fixture
def patient() -> Iterator[Registry]:
    """Give a plug-in whose answers wait until RELEASED is set."""
    RELEASED.clear()
    registry = Registry()
    registry.register(Plugin(), "patient")
    yield registry
    RELEASED.set()


PATIENT: dict[str, Any] = {
    "default_model": "smart",
    "providers": {"patient": {}},
    "routes": {"smart": {"targets": ["patient/patient"]}},
}


@pytest.mark.anyio
async def test_row_40_a_full_house(patient: Registry) -> None:
    """1,000 calls at once and room for 256: the others are told at once to come back, those inside are served."""
    app = create_app(Gateway.from_config({**PATIENT, "guards": [{"use": "concurrency"}]}, registry=patient))
    replies: list[httpx2.Response] = []
    transport = httpx2.ASGITransport(app, client=("testclient", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:

        async def ask_once() -> None:
            replies.append(await client.post("/v1/chat/completions", json=CHAT))

        async with anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(ask_once)
            with anyio.fail_after(60):
                while len(replies) < 1000 - 256:
                    await anyio.sleep(0.01)
            took = []
            for _ in range(20):
                began = time.monotonic()
                refused = await client.post("/v1/chat/completions", json=CHAT)
                took.append(time.monotonic() - began)
            assert {503} == {reply.status_code for reply in replies}
            RELEASED.set()

    assert (256, 744) == tuple(sum(reply.status_code == status for reply in replies) for status in (200, 503))
    assert ("1", "overloaded") == (refused.headers["retry-after"], refused.json()["error"]["code"])
    assert min(took) < 0.05


def test_a_stream_holds_its_place_until_its_end(serve: Serve, patient: Registry) -> None:
    """On a real socket; one that is left early gives it back, too."""
    guards = [{"use": "concurrency", "streams": 1}]
    body = {**CHAT, "stream": True}
    with serve(registry=patient, **PATIENT, guards=guards) as client:
        with client.stream("POST", "/v1/chat/completions", json=body):
            assert 503 == ask(client, stream=True).status_code
        end = time.monotonic() + 20
        while True:
            with client.stream("POST", "/v1/chat/completions", json=body) as second:
                if second.status_code == 200:
                    assert 503 == ask(client, stream=True).status_code
                    RELEASED.set()
                    assert b"[DONE]" in second.read()
                    break
            assert time.monotonic() < end
        assert 200 == ask(client, stream=True).status_code


def test_answers_are_logged_where_that_is_asked_for(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whole ones and streams, their beginning only, without what looks like a key."""
    words = "tell sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 " + "x" * 3000
    body = {"messages": [{"role": "user", "content": words}]}
    with caplog.at_level(logging.INFO, "aigateway.calls"):
        with serve(guards=[{"use": "log", "responses": True}]) as client:
            for stream in (False, True):
                ask(client, stream=stream, **body)
        with serve(guards=[{"use": "log"}]) as client:
            ask(client, **body)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "aigateway.calls"]

    whole, streamed, silent = lines
    assert whole["response"] == streamed["response"]
    assert whole["response"].startswith("tell *** xxx")
    assert 1900 < len(whole["response"]) <= 2000
    assert whole["response_cut"]
    assert "response" not in silent


def test_the_context_is_capped(serve: Serve) -> None:
    """What is sent and what is asked for together; the error names the cap."""
    long = [{"role": "user", "content": "word " * 1000}]
    with serve(limits={"max_context_length": 1000}) as client:
        replies = [ask(client), ask(client, max_tokens=900), ask(client, max_tokens=1000), ask(client, messages=long)]

    assert [200, 200, 400, 400] == [reply.status_code for reply in replies]
    errors = [reply.json()["error"] for reply in replies[2:]]
    assert ["max_tokens", "messages"] == [error["param"] for error in errors]
    assert all("1000" in error["message"] and "context_length_exceeded" == error["code"] for error in errors)
