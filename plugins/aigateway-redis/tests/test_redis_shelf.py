"""Answers kept for all processes: shared, ended in time, and never waited for when Redis is away."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from aigateway.guards import Cache, GuardOptions, Idempotency
from aigateway.secrets import Secret
from aigateway.state import Rests
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Outcome, Reply, Usage
from aigateway_redis import RedisMirror, _shelf, mirror

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
    for one in both:
        one.start(Rests(Random(0)))
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


async def test_a_burst_is_one_call_for_each_key(
    places: tuple[RedisMirror, RedisMirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask at once, of two gateways, with the same key and with others: one answer a key."""
    monkeypatch.setattr(_shelf, "PATIENCE", 60.0)  # a machine too busy to answer in time is no Redis that is silent
    guards = [guard_of(Idempotency, place) for place in places]
    made, told = Counter[str](), dict[str, set[str]]()

    async def ask(guard: Guard, key: str) -> None:
        call = a_call(key, seconds=60.0)
        call.asks = {"idempotency-key": key}
        await guard.enter(call)
        given = call.reply
        if given is None:
            made[key] += 1
            await anyio.sleep(0.02)
            given = reply(f"{key} of {id(guard)}")
        await guard.leave(call, Outcome("complete", reply=given))
        told.setdefault(key, set()).add(given.text)

    async with anyio.create_task_group() as tasks:
        for n in range(400):
            tasks.start_soon(ask, guards[n % 2], "same" if n % 4 < 2 else f"k{n // 4}")

    assert set(told) == set(made)
    assert {1} == set(made.values())
    assert {1} == {len(texts) for texts in told.values()}
    assert 101 == len(told)


def test_two_processes_make_one_call_for_each_key(server: Any, worker: Any) -> None:
    """Two hundred requests at once in each of two processes, of which every other has a key of its own."""
    workers = [worker(server.url, guards=[{"use": "idempotency"}]) for _ in range(2)]
    keys = [f"k{n}" if n % 2 else "same" for n in range(200)]
    for one in workers:
        one.do("burst", ["warm"])
    for one in workers:
        one.send("burst", keys)
    found = [row for one in workers for row in one.receive()]
    ids = {key: {row[1] for row in found if row[0] == key} for key in keys}

    assert 400 == len(found)
    assert {1} == {len(each) for each in ids.values()}
    assert len(ids) == sum(not is_kept for *_, is_kept in found)


async def test_answered_between_two_looks(places: tuple[RedisMirror, RedisMirror]) -> None:
    """Who finds nothing, and may answer only once another has, finds that answer."""
    one, two = (guard_of(Idempotency, place) for place in places)
    first, second = a_call(), a_call()
    await one.enter(first)
    shelf, claim = places[1].shelf, places[1].shelf.claim

    async def later(key: str, seconds: float) -> bool:
        if first.aside:
            await one.leave(first, Outcome("complete", reply=reply("first")))
        return await claim(key, seconds)

    shelf.claim = later  # type: ignore[method-assign]  # the other answers just then
    await two.enter(second)

    assert second.reply is not None
    assert "first" == second.reply.text
    assert await places[0].shelf.claim("unrelated", 1)


async def test_killed_and_started_again_in_between(server: Any, places: tuple[RedisMirror, RedisMirror]) -> None:
    """Who is under way is answered, who comes meanwhile is answered by each process; then it is shared as before."""
    one, two = (guard_of(Idempotency, place) for place in places)
    first, second = a_call(), a_call()
    await one.enter(first)
    server.kill()
    with anyio.fail_after(60):
        await two.enter(second)
        for guard, call in ((one, first), (two, second)):
            assert call.reply is None
            await guard.leave(call, Outcome("complete", reply=reply("alone")))
    server.start()

    async def is_shared(key: str) -> bool:
        calls = [a_call(), a_call()]
        for call in calls:
            call.asks = {"idempotency-key": key}
        return ["first", "first"] == [
            await answered(guard, call, text)
            for guard, call, text in zip((one, two), calls, ("first", "second"), strict=True)
        ]

    with anyio.fail_after(60):
        tries = 0
        while not await is_shared(f"k{tries}"):
            tries += 1
            await anyio.sleep(0.05)


async def test_a_process_that_dies_holds_no_key_for_long(
    server: Any, places: tuple[RedisMirror, RedisMirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim lives a moment, and is made anew while its process lives, also in a Redis that came back empty."""
    monkeypatch.setattr(_shelf, "LIVES", 2.0)
    monkeypatch.setattr(_shelf, "RENEWED", 0.1)
    one, two = (place.shelf for place in places)
    assert await one.claim("k", 600)
    with server.client() as client:
        (name,) = client.keys("*:kept:*")
        assert 0 < client.pttl(name) <= 2000
    server.kill()
    server.start()
    with server.client() as client, anyio.fail_after(60):
        while not client.exists(name):  # noqa: ASYNC110  # another process tells nobody
            await anyio.sleep(0.02)
    assert not await two.claim("k", 600)
    await one.release("k")
    assert await two.claim("k", 600)


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


async def test_a_loop_that_was_blocked_is_no_silent_redis(
    places: tuple[RedisMirror, RedisMirror], caplog: pytest.LogCaptureFixture
) -> None:
    """What Redis said meanwhile counts, also that it has nothing."""
    shelf = places[0].shelf
    assert await shelf.claim("warm", 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shelf.get, "missing")
        await anyio.lowlevel.checkpoint()
        time.sleep(_shelf.PATIENCE + 0.2)  # noqa: ASYNC251  # the loop is to be blocked

    assert shelf._linked
    assert "answers are not shared" not in caplog.text


async def test_a_replica_is_left_and_looked_at_now_and_then(
    server: Any, places: tuple[RedisMirror, RedisMirror], caplog: pytest.LogCaptureFixture
) -> None:
    """Each process goes on alone, says so once, and does not connect for every request; then it shares again."""
    caplog.set_level(logging.WARNING, "aigateway.redis")
    one, two = (place.shelf for place in places)
    assert await one.claim("warm", 1)
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
        before = client.info("stats")["total_connections_received"]
        for n in range(200):
            await one.put(f"k{n}", b"it", 60)
        after = client.info("stats")["total_connections_received"]
        told = [line for line in caplog.messages if "answers are not shared" in line]
        client.replicaof("NO", "ONE")

    assert after - before < 100
    assert 1 == len(told)
    assert "read only replica" in told[0]
    with anyio.fail_after(60):
        n = 0
        while not (await one.claim(f"again{n}", 60) and not await two.claim(f"again{n}", 60)):
            n += 1
            await anyio.sleep(0.05)


async def test_a_claim_that_was_refused_and_got_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is renewed like any other: a renewal was refused it a moment before."""
    shelf = mirror(Secret("redis://127.0.0.1:1/0")).shelf

    async def ask(*words: Any) -> int:
        shelf._held.clear()  # as the thread does where another process has it
        return 1

    monkeypatch.setattr(shelf, "_ask", ask)
    assert await shelf.claim("k", 60)

    assert [name.endswith("kept:1:k") for name in shelf._held] == [True]


async def test_what_waits_for_a_slow_redis_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond it is not kept, and nobody waits for it."""
    monkeypatch.setattr(_shelf, "ROOM", 1000)
    shelf = mirror(Secret("redis://127.0.0.1:1/0")).shelf  # nobody listens to what is asked
    async with anyio.create_task_group() as tasks:
        for n in range(30):
            tasks.start_soon(shelf.put, f"k{n}", b"x" * 100, 60.0)

    assert 10 == len(shelf._asks)
