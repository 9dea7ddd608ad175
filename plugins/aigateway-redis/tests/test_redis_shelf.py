"""Answers kept for all processes: shared, ended in time, and never waited for when Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest

from aigateway.guards import Cache, GuardOptions, Idempotency
from aigateway.secrets import Secret
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Outcome, Reply, Usage
from aigateway_redis import RedisMirror, mirror

pytestmark = pytest.mark.anyio
ONCE = {"idempotency-key": "k"}
Guard = Cache | Idempotency


def reply(text: str) -> Reply:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return Reply({"id": "c", "choices": [choice]}, Usage(input=1, output=1, source="reported"), provider="p")


def guard_of(kind: type[Guard], shared: RedisMirror) -> Guard:
    return kind(GuardOptions("it", LoopClock(), Random(0), kind.SETTINGS, shared=shared))


def a_call(text: str = "hi", who: str = "a", seconds: float = 20.0) -> Call:
    call = Call(ChatRequest.parse({"messages": [{"role": "user", "content": text}]}), Caller(who, tenant=who))
    call.asks, call.deadline = dict(ONCE), LoopClock().now() + seconds
    return call


async def answered(guard: Guard, call: Call, text: str) -> str:
    """Ask; give the answer, which is `text` unless the guard has another."""
    await guard.enter(call)
    given = call.reply
    await guard.leave(call, Outcome("complete", reply=given or reply(text)))
    return (given or reply(text)).text


@pytest.fixture
def places(server: Any) -> Any:
    """Give two processes' views of one Redis."""
    both = mirror(Secret(server.url)), mirror(Secret(server.url))
    yield both
    for one in both:
        one.close()


@pytest.mark.parametrize("kind", [Cache, Idempotency])
async def test_one_process_answers_for_the_other(places: tuple[RedisMirror, RedisMirror], kind: type[Guard]) -> None:
    """What one process kept another gives; nobody else's caller gets it."""
    one, two = (guard_of(kind, place) for place in places)

    assert "first" == await answered(one, a_call(), "first")
    assert "first" == await answered(two, a_call(), "second")
    assert "third" == await answered(two, a_call(who="b"), "third")


async def test_two_processes_at_once(places: tuple[RedisMirror, RedisMirror]) -> None:
    """While one process answers a key, the other waits, and gives the same answer."""
    one, two = (guard_of(Idempotency, place) for place in places)
    first, second = a_call(), a_call()
    await one.enter(first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(two.enter, second)
        await anyio.sleep(0.3)
        assert second.reply is None
        await one.leave(first, Outcome("complete", reply=reply("first")))

    assert second.reply is not None
    assert "first" == second.reply.text


async def test_after_a_failure_the_other_may(places: tuple[RedisMirror, RedisMirror]) -> None:
    """A process whose call failed lets the other one try."""
    one, two = (guard_of(Idempotency, place) for place in places)
    call = a_call()
    await one.enter(call)
    await one.leave(call, Outcome("failed"))

    assert "second" == await answered(two, a_call(), "second")


async def test_a_claim_that_ran_out(places: tuple[RedisMirror, RedisMirror]) -> None:
    """Who comes too late to give a claim back does not give back another's."""
    late, other = (place.shelf for place in places)
    assert await late.claim("k", 0.05)
    with anyio.fail_after(10):
        while not await other.claim("k", 60):  # noqa: ASYNC110  # time in Redis tells nobody that it passed
            await anyio.sleep(0.02)
    await late.release("k")

    assert not await late.claim("k", 60)
    await other.release("k")
    assert await late.claim("k", 60)


async def test_what_is_kept_ends(server: Any, places: tuple[RedisMirror, RedisMirror]) -> None:
    """Everything in Redis has an end."""
    await answered(guard_of(Cache, places[0]), a_call(), "first")
    await answered(guard_of(Idempotency, places[0]), a_call(), "first")
    with server.client() as client:
        keys = list(client.scan_iter("*:kept:*"))
        left = [client.ttl(key) for key in keys]

    assert 2 == len(keys)
    assert all(0 < seconds <= 24 * 3600 for seconds in left)


@pytest.mark.parametrize("kind", [Cache, Idempotency])
@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_without_redis(
    server: Any, places: tuple[RedisMirror, RedisMirror], kind: type[Guard], fault: str
) -> None:
    """A Redis that is dead or silent costs the first request a moment, the others nothing, and none its answer."""
    guard = guard_of(kind, places[0])
    await answered(guard, a_call("warm"), "warm")
    broken: Callable[[], None] = getattr(server, fault)
    broken()
    began = time.monotonic()
    texts = [await answered(guard, a_call(f"n{n}", who=f"w{n}"), f"a{n}") for n in range(20)]
    seconds = time.monotonic() - began
    if fault == "freeze":
        server.thaw()

    assert [f"a{n}" for n in range(20)] == texts
    assert seconds < 4.0
