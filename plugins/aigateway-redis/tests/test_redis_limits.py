"""Limits that all processes share: held exactly, without delay while Redis is there or not, never trusted blindly."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any, Self

import anyio
import anyio.lowlevel
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from aigateway.asgi._limits import settled
from aigateway.errors import Refusal
from aigateway.guards import GuardOptions, RateLimit
from aigateway.guards._rate_limit import duration
from aigateway.secrets import Secret
from aigateway.state import Rests, Rule, Taken
from aigateway.types import Call, Caller, ChatRequest, Limits, Outcome, Usage
from aigateway_redis import _leases, _limits, mirror
from aigateway_redis._leases import LIVES, WINDOW, Lease, Leases, microseconds, step_of
from aigateway_redis._limit_scripts import TAKE
from aigateway_redis._limits import PATIENCE, RedisLimits, _numbers

pytestmark = pytest.mark.anyio
RULE = Rule(1000, 100)
HI = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})


class Clock:
    now, wall, sleep = staticmethod(time.monotonic), staticmethod(time.time), staticmethod(anyio.sleep)


class Worker:
    """One process's part of a shared limit: a mirror and a guard of its own."""

    def __init__(self, url: str, workers: int = 2, **table: Any) -> None:
        self.mirror = mirror(Secret(url))
        options = GuardOptions("rate_limit", Clock(), Random(0), {**RateLimit.SETTINGS, **table}, self.mirror, workers)
        self.guard = RateLimit(options)

    async def __aenter__(self) -> Self:
        self.mirror.start(Rests(Random(0)))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await anyio.to_thread.run_sync(self.mirror.close)

    async def ask(self, caller: str = "a") -> Call | Refusal:
        call = Call(HI, Caller(caller, tenant=caller))
        try:
            await self.guard.enter(call)
        except Refusal as refusal:
            return refusal
        await self.guard.leave(call, Outcome("complete"))
        return call

    async def storm(self, count: int, caller: str = "a") -> int:
        """Ask at once; give how many passed."""
        passed = 0

        async def one() -> None:
            nonlocal passed
            answer = await self.ask(caller)
            passed += isinstance(answer, Call)

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
        return passed

    @property
    def linked(self) -> bool:
        return self.mirror.limits._linked


async def test_one_worker_alone_may_have_the_whole_burst(server: Any, until: Any) -> None:
    """And the others nothing then, but for what comes back meanwhile."""
    async with Worker(server.url, 8) as one, Worker(server.url, 8) as other:
        await until(lambda: one.linked and other.linked)
        began = time.monotonic()
        first = await one.storm(300)
        second = await other.storm(300)
        back = (time.monotonic() - began) / step_of(RULE)

        assert 100 <= first <= 100 + back
        assert first + second <= 100 + back + 1
        refusal = await other.ask()
        while isinstance(refusal, Call):  # one has come back meanwhile
            refusal = await other.ask()
        assert isinstance(refusal, Refusal)
        assert 0 < float(refusal.headers["retry-after-ms"]) <= 1000 * step_of(RULE) + 1
        assert ("1000", "0") == tuple(
            refusal.headers[f"x-ratelimit-{what}-requests"] for what in ("limit", "remaining")
        )
        assert isinstance(await other.ask("b"), Call)


async def test_each_rule_counts_by_itself(server: Any, until: Any) -> None:
    """Two keys of one tenant with limits of their own share no lease and no counter, here and in another process."""
    calls = {n: Caller(str(n), tenant="t", limits=Limits(requests=n)) for n in (2, 400)}
    async with Worker(server.url) as one, Worker(server.url) as other:
        await until(lambda: one.linked and other.linked)

        async def passed(worker: Worker, who: int, times: int) -> int:
            found = 0
            for _ in range(times):
                call = Call(HI, calls[who])
                with suppress(Refusal):
                    await worker.guard.enter(call)
                    found += 1
            return found

        assert (1, 0) == (await passed(one, 2, 1), await passed(other, 2, 1))
        assert 40 == await passed(one, 400, 20) + await passed(other, 400, 20)
        assert 0 == await passed(one, 2, 1)


async def test_what_one_process_gives_back_another_may_take(server: Any, until: Any) -> None:
    """Also who was refused a moment ago, and was told to wait for minutes."""
    table = {"requests_per_minute": 0, "tokens_per_minute": 110, "tokens_burst": 100}
    async with Worker(server.url, **table) as one, Worker(server.url, **table) as other:
        await until(lambda: one.linked and other.linked)
        for worker, needs in ((one, 90), (other, 60)):
            size = Usage(needs, 0, source="estimated")
            worker.guard._estimate = lambda _, size=size: size  # type: ignore[misc]  # bound now
        call = Call(HI, Caller("a", tenant="a"))
        await one.guard.enter(call)
        refusal = await other.ask()
        assert isinstance(refusal, Refusal)
        assert 240 < float(refusal.headers["retry-after"]) <= 306
        await one.guard.leave(call, Outcome("complete", Usage(1, 0, source="reported")))

        with anyio.fail_after(60):
            while isinstance(await other.ask(), Refusal):  # noqa: ASYNC110  # another process tells nobody
                await anyio.sleep(0.05)


class Turned:
    """A clock that is turned by hand, for this process and for the script in Redis alike."""

    SCRIPT = TAKE.replace("redis.call('TIME')", "{0, tonumber(redis.call('GET', 'now') or 0)}")

    def __init__(self, client: redis.Redis, worker: Worker) -> None:
        self.client, self.at = client, 1_000_000_000
        worker.mirror.limits._now = lambda: self.at / 1e6
        self.turn(0.0)

    def turn(self, seconds: float) -> None:
        """Go on, to whole milliseconds."""
        self.at += round(seconds * 1000) * 1000
        self.client.set("now", self.at)


async def test_headers_agree_with_a_model(server: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over Redis, too: what is left of requests and tokens, when all is back, and waits to the millisecond."""
    monkeypatch.setattr(_limits, "TAKE", Turned.SCRIPT)
    monkeypatch.setattr(_limits, "PATIENCE", 60.0)
    monkeypatch.setattr(
        _leases, "AHEAD", 0.0
    )  # what is leased in advance lengthens the waits told, by a second at most
    table = {"requests_per_minute": 65, "burst": 4, "tokens_per_minute": 7100, "tokens_burst": 1000}
    rates = {"requests": (4, 61 / 61.0), "tokens": (1000, 6100 / 61.0)}
    left = {name: float(burst) for name, (burst, _) in rates.items()}
    random, waits = Random(63), list[float]()
    with server.client() as client:
        async with Worker(server.url, **table) as worker:
            await until(lambda: worker.linked)
            clock = Turned(client, worker)

            def told(headers: Mapping[str, str]) -> dict[str, tuple[str, str]]:
                names = ("remaining", "reset")
                return {name: tuple(headers[f"x-ratelimit-{what}-{name}"] for what in names) for name in rates}

            def model() -> dict[str, tuple[str, str]]:
                found = {}
                for name, (burst, rate) in rates.items():
                    found[name] = str(max(0, int(left[name] + 1e-4))), duration((burst - left[name]) / rate - 1e-6)
                return found

            def turn(seconds: float) -> None:
                clock.turn(seconds)
                for name, (burst, rate) in rates.items():
                    left[name] = min(burst, left[name] + round(seconds, 3) * rate)

            for _ in range(60):
                turn(random.choice((0.3, 0.7, 2.0, 5.0)))
                needs = {"requests": 1, "tokens": random.randint(1, 900)}
                size = Usage(needs["tokens"], 0, source="estimated")
                worker.guard._estimate = lambda _, size=size: size  # type: ignore[misc]  # bound now
                wait = max((needs[name] - left[name]) / rates[name][1] for name in rates)
                call = Call(HI, Caller("a", tenant="a"))
                try:
                    await worker.guard.enter(call)
                except Refusal as refusal:
                    waits.append(int(refusal.headers["retry-after-ms"]) - wait * 1000)
                    await until(lambda: not worker.mirror.limits._debts)
                    continue
                assert wait <= 1e-3
                for name in rates:
                    left[name] -= needs[name]
                assert model() == told(call.headers)
                used = random.randint(0, needs["tokens"])
                left["tokens"] += needs["tokens"] - used
                settled([worker.guard], call, Usage(used, 0, source="reported"))
                assert model() == told(call.headers)
                await worker.guard.leave(call, Outcome("complete", Usage(used, 0)))
                await until(lambda: not worker.mirror.limits._debts)
    assert 5 < len(waits) < 55
    assert [] == [more for more in waits if not -0.01 <= more <= 1.01]


async def test_all_workers_at_once_have_the_burst_together(server: Any, until: Any) -> None:
    """However the calls fall on them."""
    workers = [Worker(server.url, 4) for _ in range(4)]
    async with workers[0], workers[1], workers[2], workers[3]:
        await until(lambda: all(worker.linked for worker in workers))
        passed: list[int] = []

        async def storm(worker: Worker, count: int) -> None:
            passed.append(await worker.storm(count))

        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for worker, count in zip(workers, (5, 20, 60, 100), strict=True):
                tasks.start_soon(storm, worker, count)
        back = (time.monotonic() - began) / step_of(RULE)

        assert 100 <= sum(passed) <= 100 + back + 1


async def test_a_steady_caller_is_leased_batches(server: Any, until: Any) -> None:
    """Calls that wait for nobody, and none is counted twice."""
    async with Worker(server.url, requests_per_minute=60_000, burst=6_000) as worker:
        await until(lambda: worker.linked)
        limits = worker.mirror.limits
        waited, answer = 0, limits._answer

        async def counted(ask: Any, ready: anyio.Event) -> Taken | None:
            nonlocal waited
            waited += 1
            return await answer(ask, ready)

        limits._answer = counted  # type: ignore[method-assign]  # to see who waits
        passed, began = 0, time.monotonic()
        while time.monotonic() < began + 3 * LIVES / 2 or passed - waited < 100:
            assert isinstance(await worker.ask(), Call)
            passed += 1
            await anyio.sleep(0.001)
            assert time.monotonic() < began + 30
        await until(lambda: not limits._leases._holding and not limits._debts)
        with server.client() as client:
            (key,) = client.keys("aigateway:0:limit:1:*")
            missing = int(client.get(key).split()[0]) / 1e6 - time.time()

        assert missing <= passed * step_of(Rule(60_000, 6_000))


async def test_a_redis_that_dies_delays_nobody(server: Any, until: Any) -> None:
    """Each process keeps its part at once, and shares again when Redis is back."""
    async with Worker(server.url, 2) as worker:
        await until(lambda: worker.linked)
        server.kill()
        await until(lambda: not worker.linked)
        began = time.monotonic()
        assert 50 <= await worker.storm(300) <= 60
        assert time.monotonic() - began < 5.0
        server.start()
        await until(lambda: worker.linked)
        await until(lambda: not worker.mirror.limits._debts)
        with server.client() as client:
            assert 1 == len(client.keys("aigateway:0:limit:1:*"))  # what passed meanwhile counts for all


async def test_a_redis_that_freezes_delays_only_who_finds_out(server: Any, until: Any) -> None:
    """For a quarter of a second; nobody fails."""
    async with Worker(server.url, 2) as worker:
        await until(lambda: worker.linked)
        server.freeze()
        try:
            assert isinstance(await worker.ask(), Call)
            assert not worker.linked
            with anyio.fail_after(PATIENCE * 20):
                assert 30 <= await worker.storm(300) <= 60
        finally:
            server.thaw()
        await until(lambda: worker.linked)


async def test_an_identity_shows_in_no_name(server: Any, until: Any) -> None:
    """Nor do keys stay: an identity that rests is forgotten."""
    async with Worker(server.url) as worker:
        await until(lambda: worker.linked)
        await worker.ask("a-private-name")
    with server.client() as client:
        (key,) = client.keys("*limit*")
        assert b"private" not in key
        assert 60_000 < client.pttl(key) <= 130_000


@pytest.mark.parametrize(
    "wrong", [None, [], [1, 2], [1, 2, 3, 4], [-1, 0, 0], [1, 2**50, 0], [1, 0, 5000], [1, 0, "x"]]
)
def test_nothing_redis_says_is_believed(wrong: object) -> None:
    """Unless it is what a script of ours can say."""
    with pytest.raises(ValueError, match="not an answer"):
        _numbers(wrong, 1)
    assert [5, -3, 0, 1] == _numbers([5, -3, 0, 1], 1)


def test_row_63_processes_keep_one_limit(server: Any, storm: Any) -> None:
    """A burst at once for all of them together, then no more than what comes back: 1,000 in any minute.

    `nox -s limits` does it with eight for over a minute.
    """
    found = storm(server.url, workers=3, seconds=2.0)

    assert found.at_once >= 100
    assert found.passed <= (100 + found.seconds / step_of(RULE)) * 1.01 + 1


# -- the script, on a clock that is turned by hand ------------------------------------------------


class Script:
    """Run the script in a Redis, with `TIME` replaced."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.now = 1_700_000_000.0

    def __call__(self, key: str, rule: Rule, *amounts: int, ahead: int = 0, **more: int) -> list[int]:
        micro = int(self.now * 1e6)
        source = TAKE.replace("redis.call('TIME')", f"{{{micro // 1_000_000}, {micro % 1_000_000}}}")
        rest = (more.get("more", 0), more.get("ago", 0), more.get("back", 0), more.get("at", 0))
        head = microseconds(step_of(rule)), rule.burst, rule.limit, microseconds(WINDOW)
        return self.client.eval(source, 1, key, *head, ahead, *rest, *amounts)  # type: ignore[no-any-return]  # of redis


@settings(max_examples=25)
@given(
    st.tuples(st.integers(2, 40), st.integers(1, 39)).filter(lambda pair: pair[1] < pair[0]),
    st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 90)), st.integers(0, 5)), max_size=60),
)
def test_the_script_keeps_the_limit_in_any_window(
    redis_client: redis.Redis, limits: tuple[int, int], steps: list[tuple[float, int]]
) -> None:
    """What is given in any 61 seconds, tokens given in advance included; and a rest brings the burst back."""
    redis_client.flushall()
    rule, script, given_ = Rule(*limits), Script(redis_client), list[tuple[float, int]]()
    for gap, ahead in steps:
        script.now += gap
        _, _, spare, granted = script("k", rule, 1, ahead=ahead)
        given_.append((script.now, spare + granted))
    for at, _ in given_:
        assert sum(n for when, n in given_ if at <= when < at + WINDOW - 1e-3) <= rule.limit
    script.now += WINDOW * rule.burst / (rule.limit - rule.burst) + 1

    assert [1] * rule.burst + [0] == script("k", rule, *[1] * (rule.burst + 1))[3:]


def test_a_clock_that_jumps_locks_nobody_out(redis_client: redis.Redis) -> None:
    """Set back by an hour, it is as if the burst had just been taken; set ahead, no more than a rest is gained."""
    redis_client.flushall()
    script = Script(redis_client)
    script("k", RULE, *[1] * 50)
    script.now -= 3600
    assert [0] == script("k", RULE, 1)[3:]
    script.now += step_of(RULE) * 10.01
    assert [1] * 10 + [0] == script("k", RULE, *[1] * 11)[3:]
    script.now += 7200
    assert [1] * 100 + [0] == script("k", RULE, *[1] * 101)[3:]


def test_what_is_given_back_and_owed(redis_client: redis.Redis) -> None:
    """Unspent tokens come back, unless they have by themselves; what passed elsewhere counts from when it did."""
    redis_client.flushall()
    script = Script(redis_client)
    at = script("k", RULE, *[1] * 100)[0]
    script("k", RULE, back=40, at=at)
    assert [1] * 40 + [0] == script("k", RULE, *[1] * 41)[3:]
    script.now += 120
    script("k", RULE, *[1] * 100)
    script("k", RULE, back=40, at=at)
    assert [0] == script("k", RULE, 1)[3:]

    script.now += 120
    script("k", RULE, more=100, ago=microseconds(step_of(RULE) * 30.5))
    assert [1] * 30 + [0] == script("k", RULE, *[1] * 31)[3:]


# -- leases ---------------------------------------------------------------------------------------


def test_a_lease_ends_a_second_after_it_was_asked_for() -> None:
    """Tokens that join others live no longer for it; what was not spent is given back, once."""
    leases = Leases()
    lease = leases.find("a", RULE)
    assert lease is not None
    leases.given("a", lease, 5, 1000, 10.0)
    assert lease.spend(2, 10.5)
    leases.given("a", lease, 4, 2000, 10.9)
    assert not lease.spend(8, 10.9)
    assert not lease.spend(1, 10.0 + LIVES)
    assert [] == leases.returned(10.5)
    assert [("a", lease, 7)] == leases.returned(10.0 + LIVES)
    assert 1000 == lease.at
    assert [] == leases.returned(20.0)


def test_leases_are_bounded() -> None:
    """A flood of identities finds no room while tokens are held; who finds none is limited alone."""
    leases = Leases()
    first = leases.find("first", RULE)
    assert isinstance(first, Lease)
    leases.given("first", first, 1, 1, 0.0)
    found = [leases.find(str(n), RULE) is not None for n in range(20_000)]

    assert 9_999 == sum(found)
    assert leases.known("first") is first


def test_a_worker_never_takes_more_than_the_limit_whatever_redis_says() -> None:
    """A clock that runs ahead, a key somebody deletes: the limit of all is the limit of each."""
    limits = RedisLimits(mirror(Secret("redis://localhost"))._place)
    admitted = sum(limits._own.take("a", 1, RULE, 0.001 * n).admitted for n in range(10_000))

    assert admitted <= 100 + 10 / RULE.step + 1
