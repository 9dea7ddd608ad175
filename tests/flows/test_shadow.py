"""Copies of requests: beside the answer, never in its way, never in its bill."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.errors import Kind, ProviderError
from aigateway.types import Caller, ChatRequest, Reply, Step

from ..exchange.parts import Parts, Watch, fails, gateway, reply_of, stream_of

pytestmark = pytest.mark.anyio


def shadowed(parts: Parts, share: float = 1.0, in_flight: int = 4, **more: Any) -> Gateway:
    """Let `smart` go to a, and copies of it to b."""
    shadow = {"to": "b/b-1", "share": share, "in_flight": in_flight, **more.pop("shadow", {})}
    return gateway(parts, routes={"smart": {"targets": ["a/a-1"], "shadow": shadow}}, **more)


async def until(condition: Any) -> None:
    """Wait until something is so."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.01)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "aigateway.calls"]


async def test_a_copy_goes_to_another_target(caplog: pytest.LogCaptureFixture) -> None:
    """The copy has a line of its own, passes no guard, and is no step of the answer's decision."""
    caplog.set_level(logging.INFO, "aigateway.calls")
    watch = Watch([])
    parts = Parts({"watch": watch}, a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))
    async with shadowed(parts) as made:
        reply = await made.chat("smart", "hi")
        await until(lambda: lines(caplog))

    assert ("a", ["a/a-1", "b/b-1"]) == (reply.text, parts.calls)
    assert reply.decision is not None
    assert ["a/a-1"] == [step.target for step in reply.decision.steps]
    assert ["enter", "leave complete"] == watch.diary
    (line,) = lines(caplog)
    assert ("b/b-1", "complete", "shadow") == (line["target"], line["outcome"], line["caller"])
    assert f"{line['shadow_of']}-shadow" == line["request_id"]
    assert {"usd": None, "source": "unknown"} == line["cost"]


async def test_who_fails_to_count_a_copy_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the copy's own line is written, the next guard is told, and the event loop goes on."""
    caplog.set_level(logging.INFO)
    told: list[Step] = []

    class Fails(Watch):
        def copied(self, steps: Sequence[Step]) -> None:
            raise RuntimeError("a bug")

    class Counts(Watch):
        def copied(self, steps: Sequence[Step]) -> None:
            told.extend(steps)

    guards: dict[str, Watch] = {"fails": Fails([]), "counts": Counts([])}
    async with shadowed(Parts(guards, a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))) as made:
        await made.chat("smart", "hi")
        await until(lambda: lines(caplog))
        reply = await made.chat("smart", "hi")

    assert "a" == reply.text
    assert ["b/b-1"] == [step.target for step in told[:1]]
    assert "a guard failed when told of a copy" in caplog.text


async def test_copies_are_of_the_route_that_was_asked_for() -> None:
    """Whoever answers: not of a named model that the route stands behind, but also where another route answers."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=lambda _: reply_of("b"), c=lambda _: reply_of("copy"))
    routes = {"copied": {"targets": ["b/b-1"], "shadow": {"to": "c/c-1"}}}
    tables = {"fallback": "copied", "default_model": "copied", "retries": {"same_target": 0}}
    async with gateway(parts, routes=routes, **tables) as made:
        await made.chat("a-1", "hi")
        await made.chat("copied", "hi")
        await until(lambda: "c/c-1" in parts.calls)
    assert ["a/a-1", "b/b-1", "b/b-1", "c/c-1"] == parts.calls

    parts.calls.clear()
    routes = {"copied": {"targets": ["a/a-1"], "shadow": {"to": "c/c-1"}}, "next": {"targets": ["b/b-1"]}}
    async with gateway(parts, routes=routes, default_model="next", retries={"same_target": 0}) as made:
        reply = await made.chat("copied", "hi", routing={"models": ["next"]})
        await until(lambda: "c/c-1" in parts.calls)
    assert "b" == reply.text


async def test_a_copy_is_told_to_who_counts() -> None:
    """With its role, once it has ended."""
    told: list[Step] = []

    class Counts(Watch):
        def copied(self, steps: Sequence[Step]) -> None:
            told.extend(steps)

    async with shadowed(Parts({"counts": Counts([])}, a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))) as made:
        await made.chat("smart", "hi")
        await until(lambda: told)
        kept = [decision for decision in made.decisions.last(10) if decision.id.endswith("-shadow")]

    assert [("b/b-1", "complete", "shadow")] == [(step.target, step.outcome, step.role) for step in told]
    assert ["shadow"] == [step.role for decision in kept for step in decision.steps]


async def test_a_stream_is_copied_and_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the caller does with his own."""
    caplog.set_level(logging.INFO, "aigateway.calls")
    async with shadowed(Parts(a=lambda _: "x y z", b=lambda _: "u v w")) as made:
        async with made.stream("smart", "hi") as chunks:
            await anext(aiter(chunks))
        await until(lambda: lines(caplog))

    assert ["complete"] == [line["outcome"] for line in lines(caplog)]


async def test_a_copy_delays_nothing_and_is_ended_with_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    """A target that never answers holds nobody up, and closing gives everything back."""
    caplog.set_level(logging.INFO, "aigateway.calls")
    begun, ended = anyio.Event(), anyio.Event()

    async def hang(request: ChatRequest) -> Reply:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    with anyio.fail_after(30):
        async with shadowed(Parts(a=lambda _: reply_of("a"), b=hang)) as made:
            reply = await made.chat("smart", "hi")
            await begun.wait()

    assert ("a", True) == (reply.text, ended.is_set())
    assert 0 == made.memory.facts(made.plan.parts.names.routes["smart"][0]).in_flight
    assert ["cancelled"] == [line["outcome"] for line in lines(caplog)]


async def test_copies_are_capped() -> None:
    """While so many are under way no more are begun; when one has ended, one may."""
    release = anyio.Event()

    async def slow(request: ChatRequest) -> Reply:
        await release.wait()
        return reply_of("b")

    parts = Parts(a=lambda _: reply_of("a"), b=slow)
    async with shadowed(parts, in_flight=2) as made:
        for _ in range(5):
            await made.chat("smart", "hi")
        await until(lambda: parts.calls.count("b/b-1") == 2)
        release.set()
        await until(lambda: not made._shadows._copies)
        await made.chat("smart", "hi")
        await until(lambda: parts.calls.count("b/b-1") == 3)


async def test_a_share_is_copied() -> None:
    """About a quarter of two hundred."""
    parts = Parts(a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))
    async with shadowed(parts, share=0.25, in_flight=1000) as made:
        for _ in range(200):
            await made.chat("smart", "hi")
        await until(lambda: not made._shadows._copies)

    assert 25 < parts.calls.count("b/b-1") < 80


@pytest.mark.parametrize("what", ["error", "bug", "broken stream", "deadline"])
async def test_what_goes_wrong_hurts_nobody(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """A copy that fails, or breaks, or takes too long, is noted in its line."""
    caplog.set_level(logging.INFO, "aigateway.calls")

    async def wait(request: ChatRequest) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError

    gives: dict[str, Any] = {
        "error": lambda _: ProviderError(Kind.SERVER_ERROR, "ill"),
        "bug": lambda _: KeyError("x"),
        "broken stream": lambda _: stream_of("u v", ProviderError(Kind.STREAM_INTERRUPTED, "broke")),
        "deadline": wait,
    }
    parts = Parts(a=lambda _: "a a", b=gives[what])
    async with shadowed(parts, shadow={"timeout": 0.05 if what == "deadline" else 60.0}) as made:
        async with made.stream("smart", "hi") as chunks:
            text = "".join([chunk.text async for chunk in chunks])
        await until(lambda: lines(caplog))

    assert "aa" == text
    assert {"interrupted" if what == "broken stream" else "failed"} == {line["outcome"] for line in lines(caplog)}
    assert 1 == parts.calls.count("b/b-1")


async def test_who_may_not_see_it_gets_no_copy() -> None:
    """By the client key, by the request's own lists, by what the target can do; and where a guard answered."""
    cached = Watch([], reply_of("cached"))
    parts = Parts(a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))
    async with shadowed(parts) as made:
        await made.chat("smart", "hi", caller=Caller("k", models=("a/*",)))
        await made.chat("smart", "hi", routing={"only": ["a"]})
        await made.chat("smart", "hi", routing={"ignore": ["b/b-1"]})
        await made.chat("a/a-1", "hi")
    async with shadowed(Parts({"answers": cached}, **parts.providers)) as made:
        await made.chat("smart", "hi")
        assert not made._shadows._copies
    assert ["a/a-1"] * 4 == parts.calls
    async with shadowed(parts) as made:
        await made.chat("smart", "hi", caller=Caller("k", models=("smart",)))
        await until(lambda: "b/b-1" in parts.calls)


async def test_a_name_on_the_list_that_stands_for_a_route_gets_no_copy() -> None:
    """`x-1` is on the list and known to nobody: the default answers as far as the list goes, its copies do not."""
    parts = Parts(a=lambda _: reply_of("a"), b=lambda _: reply_of("b"))
    restricted = Caller("k", models=("x-*", "a/*"))
    async with shadowed(parts, default_model="smart", unknown_models="default") as made:
        await made.chat("x-1", "hi", caller=restricted)
        assert not made._shadows._copies
        await made.chat("x-1", "hi", caller=Caller("k", models=("x-*", "smart")))
        await until(lambda: "b/b-1" in parts.calls)

    assert ["a/a-1", "a/a-1", "b/b-1"] == parts.calls


async def test_a_failed_request_is_not_copied() -> None:
    """There is nothing to compare with."""
    parts = Parts(a=lambda _: ProviderError(Kind.BAD_REQUEST, "no"), b=lambda _: reply_of("b"))
    async with shadowed(parts) as made:
        with pytest.raises(Exception, match="no"):
            await made.chat("smart", "hi")

        assert not made._shadows._copies
    assert ["a/a-1"] == parts.calls
