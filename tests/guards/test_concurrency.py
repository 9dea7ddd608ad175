"""So many at once: places are taken, held until the end, given back whatever happens."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from aigateway.errors import Refusal
from aigateway.guards import Concurrency, GuardOptions, GuardStack
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Outcome

pytestmark = pytest.mark.anyio
DONE = Outcome("complete")


def guard_of(workers: int = 1, **settings: Any) -> Concurrency:
    table = {**Concurrency.SETTINGS, **settings}
    return Concurrency(GuardOptions("concurrency", LoopClock(), Random(0), table, workers=workers))


def a_call(name: str = "a", *, stream: bool = False) -> Call:
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}], "stream": stream})
    return Call(request, Caller(name, tenant=name))


async def enter(guard: Concurrency, *calls: Call) -> int:
    """Enter as many as find a place."""
    found = 0
    for call in calls:
        try:
            await guard.enter(call)
        except Refusal as refusal:
            assert (503, "server_error", "overloaded") == (refusal.status, refusal.type, refusal.code)
            assert "1" == refusal.headers["retry-after"]
        else:
            found += 1
    return found


@pytest.mark.parametrize(("stream", "places"), [(False, 256), (True, 2000)])
async def test_places_are_counted(stream: bool, places: int) -> None:
    """By sort; one that is given back is there for the next."""
    guard, call = guard_of(), a_call(stream=stream)
    assert places == await enter(guard, *[call] * (places + 50))
    assert 1 == await enter(guard, a_call(stream=not stream))
    await guard.leave(call, DONE)
    assert 1 == await enter(guard, call, call)


async def test_a_caller_may_have_fewer() -> None:
    """Of both sorts together, without taking them from others; nobody is remembered who has none."""
    guard = guard_of(per_caller=2)
    one, other = [a_call(), a_call(stream=True), a_call()], [a_call("b")]
    assert 2 == await enter(guard, *one)
    assert 1 == await enter(guard, *other)
    for call in (*one[:2], *other):
        await guard.leave(call, DONE)

    assert {} == guard._callers
    assert [0, 0] == guard._under_way


async def test_no_limit_and_workers() -> None:
    """0 is none; workers divide."""
    assert 3000 == await enter(guard_of(calls=0), *[a_call()] * 3000)
    assert 32 == await enter(guard_of(workers=8), *[a_call()] * 40)


async def test_who_is_refused_gives_nothing_back() -> None:
    """A place that was never taken is not freed."""
    guard = guard_of(calls=1)
    stacks = [GuardStack([guard]) for _ in range(3)]
    await stacks[0].enter(a_call())
    for stack in stacks[1:]:
        with pytest.raises(Refusal):
            await stack.enter(a_call())
        await stack.leave(a_call(), Outcome("failed"))

    assert [1, 0] == guard._under_way
