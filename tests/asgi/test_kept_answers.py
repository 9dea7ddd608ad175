"""Answers that are kept: by what was asked, and by the client's own key; never for somebody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aigateway.callers import WeeklyKeys
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.types import ChatRequest, ModelInfo, Reply, Target, Usage

from .test_client_keys import ROOT, TOKENS, Serve, root, static, store, token

KEYS = {"keys": [static("a", "key-of-a-0123456789"), static("b", "key-of-b-0123456789")]}
A, B = {"authorization": "Bearer key-of-a-0123456789"}, {"authorization": "Bearer key-of-b-0123456789"}


class Counting:
    """A provider in this process that answers with how often it was asked; it can be told to wait, or to fail."""

    cancel_stops_billing = True
    operations = frozenset({"chat"})

    def __init__(self, options: Options) -> None:
        self.name = options.name
        self.asked = 0
        self.fails = False
        self.finish = "stop"
        self.go = threading.Event()
        self.go.set()

    def models(self) -> list[ModelInfo]:
        return [ModelInfo("m", self.name)]

    async def answer(self, request: ChatRequest, target: Target) -> Reply:
        import anyio.to_thread

        self.asked += 1
        number = self.asked
        await anyio.to_thread.run_sync(self.go.wait, 10)
        if self.fails:
            raise RuntimeError("told to fail")
        usage = Usage(input=1, output=1, source="reported")
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": f"answer {number}"},
            "finish_reason": self.finish,
        }
        body = {"id": f"c{number}", "model": "m", "choices": [choice], "usage": usage.openai()}
        return Reply({**body, "object": "chat.completion"}, usage, provider=self.name)


class World:
    """A server over the counting provider."""

    def __init__(self, client: httpx2.Client, provider: Counting) -> None:
        self.client = client
        self.provider = provider

    def ask(
        self, text: str = "hi", *, who: Mapping[str, str] = A, stream: bool = False, **more: Any
    ) -> httpx2.Response:
        headers = {**who, **more.pop("headers", {})}
        body = {"messages": [{"role": "user", "content": text}], "stream": stream, **more}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)

    def said(self, *arguments: Any, **options: Any) -> str:
        return said(self.ask(*arguments, **options))


def said(reply: httpx2.Response) -> str:
    assert 200 == reply.status_code, reply.text
    if reply.headers["content-type"].startswith("application/json"):
        return str(reply.json()["choices"][0]["message"]["content"])
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: {")]
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


Make = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def world(serve: Serve) -> Make:
    """Serve the counting provider with guards."""

    @contextmanager
    def make(*guards: dict[str, Any]) -> Iterator[World]:
        made: list[Counting] = []

        def counting(options: Options) -> Counting:
            made.append(Counting(options))
            return made[-1]

        class Plugin:
            @hookimpl
            def aigateway_providers(self) -> Iterator[ProviderRecord]:
                yield ProviderRecord("counting", counting, needs_key=False)

        registry = Registry()
        registry.register(Plugin(), "counting")
        tables = {"default_model": "m", "providers": {"counting": {}}, "routes": {}, "callers": KEYS}
        with serve(registry=registry, **tables, guards=list(guards)) as client:
            yield World(client, made[0])

    return make


# -- cache ------------------------------------------------------------------------------------


def test_the_same_question(world: Make) -> None:
    """The same question is answered again without a vendor, streamed or not, whichever came first; a header says so."""
    with world({"use": "cache"}) as it:
        first = it.ask()
        again, streamed = it.ask(), it.ask(stream=True)
        other = [it.ask("ho", stream=True), it.ask("ho", stream=True), it.ask("ho")]

        assert ["miss", "hit", "hit"] == [reply.headers["x-aigateway-cache"] for reply in (first, again, streamed)]
        assert ["answer 1"] * 3 == [said(reply) for reply in (first, again, streamed)]
        assert ["answer 2"] * 3 == [said(reply) for reply in other]
        assert streamed.text.endswith("data: [DONE]\n\n")
        assert first.json() == again.json()
        assert 2 == it.provider.asked


def test_headers_of_a_dialect_are_part_of_the_question(world: Make) -> None:
    """Who asks in Anthropic's dialect for another beta is not answered with what was kept; a hit costs nothing."""
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with world({"use": "cache"}) as it:
        replies = [
            it.client.post("/v1/messages", json=body, headers={**A, "anthropic-beta": beta})
            for beta in ("one", "two", "one")
        ]

    assert ["answer 1", "answer 2", "answer 1"] == [reply.json()["content"][0]["text"] for reply in replies]
    assert [None, None, "0"] == [reply.headers.get("x-aigateway-cost") for reply in replies]


def test_what_is_not_kept(world: Make) -> None:
    """Failures, answers that were cut or withheld, and what the client wants no trace of are asked anew."""
    with world({"use": "cache"}) as it:
        it.provider.fails = True
        assert 502 <= it.ask().status_code <= 503
        it.provider.fails = False
        for finish in ("length", "content_filter"):
            it.provider.finish = finish
            assert it.said(finish) != it.said(finish)
        it.provider.finish = "stop"
        nothing = {"headers": {"cache-control": "no-store"}}
        assert it.said("a", **nothing) != it.said("a", **nothing)
        kept, anew = it.said("b"), it.said("b", headers={"cache-control": "no-cache"})
        assert kept != anew == it.said("b")


def test_streams_that_are_not_kept(world: Make) -> None:
    """One that was cut, or is longer than may be kept, is asked anew; a whole one is not."""
    with world({"use": "cache", "entry_bytes": 600}) as it:
        it.provider.finish = "length"
        assert it.said("a", stream=True) != it.said("a", stream=True)
        it.provider.finish = "stop"
        assert it.said("b", stream=True) == it.said("b", stream=True)
    with world({"use": "cache", "entry_bytes": 5}) as it:
        assert it.said("c", stream=True) != it.said("c", stream=True)


def test_for_a_while(world: Make) -> None:
    """What is older than it may be is asked anew."""
    with world({"use": "cache", "seconds": 0}) as it:
        assert ("answer 1", "answer 2") == (it.said(), it.said())


def test_no_more_than_fits(world: Make) -> None:
    """When there is no room, what was not asked for longest goes."""
    with world({"use": "cache", "bytes": 1500}) as it:
        first = it.said("a")
        for text in "bcdef":
            it.said(text)
        assert it.said("f") == "answer 6"
        assert it.said("a") != first


def test_prompts_say_that_they_were_kept(world: Make) -> None:
    """`cached` of /v1/inference/complete tells."""
    with world({"use": "cache"}) as it:
        replies = [it.client.post("/v1/inference/complete", json={"prompt": "hi"}, headers=A).json() for _ in range(2)]

    assert [("answer 1", False), ("answer 1", True)] == [(reply["text"], reply["cached"]) for reply in replies]


# -- the client's own key ---------------------------------------------------------------------

ONCE = {"headers": {"idempotency-key": "k1"}}


def test_the_same_key(world: Make) -> None:
    """The same key gets the same answer from one call, streamed or not; a header says that it is a repetition."""
    with world({"use": "idempotency"}) as it:
        first, again = it.ask(**ONCE), it.ask(stream=True, **ONCE)

        assert ("answer 1", "answer 1") == (said(first), said(again))
        assert (None, "true") == tuple(reply.headers.get("idempotent-replayed") for reply in (first, again))
        assert "answer 2" == it.said()
        assert "answer 3" == it.said(who=B, **ONCE)


def test_one_name_of_every_sort_of_key(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of four sorts that have one name are four callers: none hears another's answer, nor uses up its limit."""
    table, kept = store(tmp_path, monkeypatch)
    tokens = {"secret": TOKENS, "allow_literal": True}
    weekly = {**root(ROOT), "clients": ["editor"], "grace": 600}
    table |= {"keys": [static("editor")], "weekly": weekly, "jwt": tokens}
    keys = [
        "static-key-0123456789",
        kept.new("editor", at=time.time()).reveal(),
        WeeklyKeys(Secret(ROOT), ["editor"]).key("editor", time.time()).reveal(),
        token(sub="editor", exp=time.time() + 600),
    ]
    limit = {"use": "rate_limit", "requests_per_minute": 10, "burst": 3}
    for use in ("cache", "idempotency"):
        with serve(callers=table, guards=[limit, {"use": use}]) as client:

            def ask(key: str) -> tuple[str, str]:
                headers = {"authorization": f"Bearer {key}", **ONCE["headers"]}
                answer = client.post(
                    "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}, headers=headers
                )
                return answer.json()["id"], answer.headers["x-ratelimit-remaining-requests"]

            first, again = [ask(key) for key in keys], [ask(key) for key in keys]

        assert [(name, "2") for name, _ in first] == first
        assert [(name, "1") for name, _ in first] == again
        assert 4 == len(set(first))


def test_the_same_key_for_something_else(world: Make) -> None:
    """A key that came with another request is refused: the client mixes something up."""
    with world({"use": "idempotency"}) as it:
        it.ask(**ONCE)
        refused = it.ask("something else", **ONCE)

    assert (422, "idempotency_key_reused") == (refused.status_code, refused.json()["error"]["code"])


def test_the_same_key_elsewhere(world: Make) -> None:
    """On a route in another dialect it is another request, refused in that dialect; without /v1 it is the same."""
    ask = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
    with world({"use": "idempotency"}) as it:

        def post(path: str, **more: Any) -> httpx2.Response:
            return it.client.post(path, json={**ask, "model": "m", **more}, headers={**A, **ONCE["headers"]})

        first, again = post("/v1/chat/completions"), post("/chat/completions")
        other, legacy = post("/v1/messages"), post("/v1/completions", prompt="hi", messages=None)

        assert ("answer 1", "answer 1") == (said(first), said(again))
        assert (422, "error") == (other.status_code, other.json()["type"])
        assert "Use a new key" in other.json()["error"]["message"]
        assert legacy.status_code in {400, 422}
        assert 1 == it.provider.asked


def test_ten_at_once(world: Make) -> None:
    """Ten requests with one key at the same time are one call upstream."""
    with world({"use": "idempotency"}) as it:
        it.provider.go.clear()
        replies: list[str] = []
        threads = [threading.Thread(target=lambda: replies.append(it.said(**ONCE))) for _ in range(10)]
        for thread in threads:
            thread.start()
        it.provider.go.set()
        for thread in threads:
            thread.join(20)

        assert ["answer 1"] * 10 == replies
        assert 1 == it.provider.asked


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_left_comes_back(world: Make, stream: bool) -> None:
    """It finds the answer it did not wait for: the vendor was asked once, and answered to the end."""
    with world({"use": "idempotency"}) as it:
        it.provider.go.clear()
        with pytest.raises(httpx2.ReadTimeout):
            it.client.post(
                "/v1/chat/completions",
                json={"messages": [{"role": "user", "content": "hi"}], "stream": stream},
                headers={**A, **ONCE["headers"]},
                timeout=1.0,
            )
        later: list[str] = []
        thread = threading.Thread(target=lambda: later.append(it.said(**ONCE)))
        thread.start()
        time.sleep(0.3)  # the server sees that it left; where it is slower than that, this shows less and fails not
        it.provider.go.set()
        thread.join(20)

        assert ["answer 1"] == later
        assert "answer 1" == it.said(stream=stream, **ONCE)
        assert 1 == it.provider.asked


def test_after_a_failure(world: Make) -> None:
    """A failure is not kept: the same key may try again."""
    with world({"use": "idempotency"}) as it:
        it.provider.fails = True
        assert 502 <= it.ask(**ONCE).status_code <= 503
        it.provider.fails = False

        assert "answer" in it.said(**ONCE)


def test_a_key_that_is_too_long(world: Make) -> None:
    """A key of more than 255 characters is refused."""
    with world({"use": "idempotency"}) as it:
        assert 400 == it.ask(headers={"idempotency-key": "k" * 256}).status_code
