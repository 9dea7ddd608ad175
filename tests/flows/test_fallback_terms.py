"""A named model is asked on the general terms; the terms of the fallback route hold for its own targets."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from aigateway import NoAnswer, StreamInterrupted
from aigateway.errors import Kind, ProviderError
from aigateway.types import ChatRequest, Routing

from ..exchange.parts import Parts, fails, gateway, stream_of

pytestmark = pytest.mark.anyio


def after(word: str) -> Any:
    """Answer with a stream that breaks after a word."""
    return lambda _: stream_of(word, ProviderError(Kind.SERVER_ERROR, "broke"))


def fallback(**terms: Any) -> dict[str, Any]:
    """Name a model's fallback: a route over b and c, on these terms."""
    return {"routes": {"smart": {"targets": ["b/b-1", "c/c-1"], **terms}}, "fallback": "smart"}


async def test_each_is_tried_again_as_its_own_terms_say() -> None:
    """The general terms try no target again; the route's do, once the named model has failed."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=fails(Kind.SERVER_ERROR), c=lambda _: "here")
    tables = fallback(retries={"same_target": 2, "attempts": 9})
    async with gateway(parts, retries={"same_target": 0}, **tables) as made:
        reply = await made.chat("a-1", "hi")

    assert "here" == reply.text
    assert ["a/a-1", *["b/b-1"] * 3, "c/c-1"] == parts.calls


async def test_the_routes_terms_do_not_reach_the_named_model() -> None:
    """A route that tries everything often does not make a model be asked often that has no other."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=lambda _: "here", c=lambda _: "")
    tables = fallback(retries={"same_target": 5, "attempts": 20})
    async with gateway(parts, retries={"same_target": 0}, **tables) as made:
        named = await made.chat("a-1", "hi")
        with pytest.raises(NoAnswer):
            await made.chat("a-1", "hi", routing={"fallback": False})

    assert "here" == named.text
    assert ["a/a-1", "b/b-1", "a/a-1"] == parts.calls


async def test_calls_count_from_the_first_one() -> None:
    """`attempts` of the route that is asked bounds all calls of the request, those before it too."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=fails(Kind.SERVER_ERROR), c=lambda _: "here")
    async with gateway(parts, retries={"same_target": 0}, **fallback(retries={"attempts": 2})) as made:
        with pytest.raises(NoAnswer):
            await made.chat("a-1", "hi")

    assert ["a/a-1", "b/b-1"] == parts.calls


async def test_more_calls_than_the_named_model_had() -> None:
    """Where the general terms allow no other call, the route's may."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=lambda _: "here", c=lambda _: "")
    tables = fallback(retries={"attempts": 9})
    async with gateway(parts, retries={"same_target": 0, "attempts": 1}, **tables) as made:
        reply = await made.chat("a-1", "hi")

    assert "here" == reply.text
    assert ["a/a-1", "b/b-1"] == parts.calls


async def test_nobody_is_asked_beside_on_other_terms() -> None:
    """A route that hedges does so among its own targets; those of the next one are asked when it has failed."""

    async def late() -> str:
        await anyio.sleep(0.3)
        return "late"

    for own in (["a/a-1"], ["a/a-1", "c/c-1"]):
        parts = Parts(a=lambda _: late(), b=lambda _: "b", c=lambda _: "c")
        routes = {"one": {"targets": own, "hedge": {}}, "two": {"targets": ["b/b-1"]}}
        async with gateway(parts, routes=routes, default_model="one") as made:
            made.health.hedge_after = lambda target, hedge, *, stream: 0.01  # type: ignore[method-assign]  # soon
            made.health.hedged = lambda: True  # type: ignore[method-assign]  # always
            reply = await made.chat("one", "hi", routing={"models": ["two"]})

        assert ("c" if len(own) > 1 else "late") == reply.text
        assert own == parts.calls


async def test_only_the_routes_own_answers_are_held_back() -> None:
    """A named model's broken stream is told as one; behind it, the route that buffers answers whole."""
    parts = Parts(a=after("half"), b=after("half"), c=lambda _: stream_of("all of it"))
    async with gateway(parts, **fallback(recovery="buffer")) as made:
        with pytest.raises(StreamInterrupted):
            async with made.stream("a-1", "hi") as chunks:
                assert ["half"] == [chunk.text async for chunk in chunks if chunk.text]
    failing = Parts(a=fails(Kind.SERVER_ERROR), b=after("half"), c=lambda _: stream_of("all of it"))
    behind = gateway(failing, retries={"same_target": 0}, **fallback(recovery="buffer"))
    async with behind, behind.stream("a-1", "hi") as chunks:
        told = "".join([chunk.text async for chunk in chunks])

    assert ["a/a-1"] == parts.calls
    assert "allofit" == told
    assert ["a/a-1", "b/b-1", "c/c-1"] == failing.calls


async def test_a_routes_own_time_begins_when_it_is_asked() -> None:
    """`total` of the fallback route neither bounds the named model, nor counts the time that one took."""
    deadlines: dict[str, float] = {}
    made: Any = None

    def noting(name: str, give: Any) -> Any:
        def answer(request: ChatRequest) -> Any:
            deadlines[name] = calls[-1].deadline - made.clock.now()
            return give(request)

        return answer

    parts = Parts(a=noting("a", fails(Kind.SERVER_ERROR)), b=noting("b", lambda _: "here"), c=lambda _: "")
    made, calls = gateway(parts, retries={"same_target": 0}, **fallback(timeouts={"total": 20})), []
    async with made:
        for model, routing in (("a-1", Routing()), ("a-1", Routing(deadline=5.0))):
            asked = {"model": model, "messages": [{"role": "user", "content": "hi"}], "routing": None}
            request = ChatRequest.parse(asked)
            request.routing = routing
            calls.append(made.call(request))
            exchange = await made.open(calls[-1])
            await exchange.aclose()
            if not routing.deadline:
                assert 500 < deadlines["a"] <= 600
                assert 19 < deadlines["b"] <= 20

    assert 4 < deadlines["b"] <= 5


async def test_a_route_that_rests_takes_no_time_from_the_next() -> None:
    """Its `total` begins with its first call, and none is made there."""
    left: list[float] = []

    def here(_: ChatRequest) -> str:
        left.append(call.deadline - made.clock.now())
        return "here"

    parts = Parts(a=fails(Kind.SERVER_ERROR), b=fails(Kind.RATE_LIMIT, retry_after=600.0), c=here)
    brief = {"targets": ["b/b-1"], "timeouts": {"total": 2}}
    routes = {"one": {"targets": ["a/a-1"]}, "brief": brief, "three": {"targets": ["c/c-1"]}}
    async with gateway(parts, routes=routes, default_model="one", retries={"same_target": 0}) as made:
        with pytest.raises(NoAnswer):
            await made.chat("brief", "hi")
        asked = {"model": "one", "messages": [{"role": "user", "content": "hi"}], "models": ["brief", "three"]}
        call = made.call(ChatRequest.parse(asked))
        await (await made.open(call)).aclose()

    assert ["b/b-1", "a/a-1", "c/c-1"] == parts.calls
    assert 500 < left[0] <= 600


async def test_a_route_that_is_named_second_has_its_own_terms() -> None:
    """So does each route of a request's `models`."""
    parts = Parts(a=fails(Kind.SERVER_ERROR), b=fails(Kind.SERVER_ERROR), c=lambda _: "here")
    routes = {
        "one": {"targets": ["a/a-1"], "retries": {"same_target": 0}},
        "two": {"targets": ["b/b-1", "c/c-1"], "retries": {"same_target": 1, "attempts": 9}},
    }
    async with gateway(parts, routes=routes, default_model="one") as made:
        await made.chat("one", "hi", routing={"models": ["two"]})

    assert ["a/a-1", "b/b-1", "b/b-1", "c/c-1"] == parts.calls


async def test_a_fallback_that_answers_at_once_has_its_own_terms() -> None:
    """Where the named model cannot serve a request, the route's terms hold from the start."""
    parts = Parts(a=lambda _: "", b=fails(Kind.SERVER_ERROR), c=lambda _: "here")
    models = {"a/a-1": {"abilities": ["embeddings"]}}
    tables = fallback(retries={"same_target": 2, "attempts": 9})
    async with gateway(parts, models=models, retries={"same_target": 0}, **tables) as made:
        reply = await made.chat("a-1", "hi")

    assert "here" == reply.text
    assert [*["b/b-1"] * 3, "c/c-1"] == parts.calls
