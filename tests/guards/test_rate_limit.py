"""Requests and tokens per minute: whose they are, what is said of them, what becomes of estimates."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest

from aigateway.asgi._limits import limits_of, settled
from aigateway.errors import ConfigurationError, Refusal
from aigateway.guards import GuardOptions, RateLimit
from aigateway.guards._rate_limit import duration
from aigateway.types import Call, Caller, ChatRequest, Limits, Outcome, Usage

pytestmark = pytest.mark.anyio


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    wall = now

    async def sleep(self, seconds: float, /) -> None:
        self.time += seconds


def limit(clock: Hand | None = None, *, workers: int = 1, tokens: int = 0, **settings: Any) -> RateLimit:
    table = {**RateLimit.SETTINGS, **settings}
    estimate = Usage(tokens, 0, source="estimated")
    return RateLimit(
        GuardOptions("rate_limit", clock or Hand(), Random(0), table, workers=workers, estimate=lambda _: estimate)
    )


def a_call(name: str = "editor", *, address: str = "", resolved: str = "smart", **body: Any) -> Call:
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}], **body})
    return Call(request, Caller(name, tenant=name), address=address, resolved=resolved)


async def admitted(guard: RateLimit, *calls: Call) -> list[bool]:
    found = []
    for call in calls:
        try:
            await guard.enter(call)
        except Refusal:
            found.append(False)
        else:
            found.append(True)
            await guard.leave(call, Outcome("complete"))
    return found


async def test_the_default_is_a_thousand_a_minute_and_a_hundred_at_once() -> None:
    """And says so, on what passes and on what does not."""
    guard, call = limit(), a_call()
    assert [True] * 100 + [False] == await admitted(guard, *(a_call() for _ in range(101)))

    with pytest.raises(Refusal) as refused:
        await guard.enter(call)
    error = refused.value
    assert (429, "requests", "rate_limit_exceeded") == (error.status, error.type, error.code)
    assert "1000 requests per minute for this caller is reached. Try again in 67ms." in error.message
    headers = {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "6.667s",
    }
    assert headers == call.headers
    assert {**headers, "retry-after": "1", "retry-after-ms": "67"} == error.headers


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ("caller", a_call("a", user="x"), a_call("b")),
        ("user", a_call("a", user="x", address="192.0.2.9"), a_call("a", user="y")),
        ("user", a_call("a", user="x" * 10_000), a_call("a", user="x" * 9_999 + "y")),
        ("user", a_call("a"), a_call("a", user="x")),
        ("user", a_call("a", user="x"), a_call("b", user="x")),
        ("user", a_call("a", safety_identifier="x", user="z"), a_call("a", safety_identifier="y", user="z")),
        ("model", a_call("a", resolved="openai/x"), a_call("a", resolved="openai/y")),
        ("address", a_call("a", address="192.0.2.1"), a_call("a", address="192.0.2.2")),
        ("address", a_call("a", address="2001:db8:1:2::1"), a_call("a", address="2001:db8:1:3::1")),
    ],
    ids=["caller", "user", "long names", "no user", "another caller's", "OpenAI's new name", "model", "IPv4", "IPv6"],
)
async def test_whose_limit_it_is(per: str, same: Call, other: Call) -> None:
    """One who has reached it leaves that of others alone."""
    guard = limit(per=per, requests_per_minute=10, burst=1)

    assert [True, False, True] == await admitted(guard, same, same, other)


@pytest.mark.parametrize(
    ("per", "one", "other"),
    [
        ("address", a_call(address="2001:db8:1:2::1"), a_call(address="2001:db8:1:2:ffff::2")),
        ("address", a_call(address="::ffff:192.0.2.1"), a_call(address="192.0.2.1")),
        ("address", a_call(address="fe80::1%eth0"), a_call(address="fe80::1")),
        ("address", a_call(address="not one"), a_call(address="")),
        ("global", a_call("a"), a_call("b")),
        ("model", a_call("a"), a_call("b")),
    ],
    ids=["one /64", "IPv4 in IPv6", "zones", "no address", "global", "a model of all"],
)
async def test_who_shares_a_limit(per: str, one: Call, other: Call) -> None:
    """However they are written."""
    guard = limit(per=per, requests_per_minute=10, burst=1)

    assert [True, False] == await admitted(guard, one, other)


async def test_keys_may_have_limits_of_their_own() -> None:
    """Instead of everybody's; not instead of those for something else than callers."""
    big = Caller("big", tenant="big", limits=Limits(requests=30))
    calls = [Call(a_call().request, big) for _ in range(4)]
    guard = limit(requests_per_minute=10, burst=1)

    assert [True, True, True, False] == await admitted(guard, *calls)
    assert "30" == calls[0].headers["x-ratelimit-limit-requests"]
    assert [True, False] == await admitted(limit(per="global", requests_per_minute=10, burst=1), *calls[:2])
    none = limit(requests_per_minute=0)
    assert [True, True, True, False] == await admitted(none, *calls)
    assert [True] * 50 == await admitted(none, *(a_call() for _ in range(50)))


async def test_keys_of_one_tenant_with_limits_of_their_own() -> None:
    """Each rule counts by itself: what one key uses is not measured by the other's; keys of one rule share it."""
    low, high, alike = (
        Caller(name, tenant="t", limits=Limits(requests=n)) for name, n in zip("abc", (20, 40, 20), strict=True)
    )
    guard = limit(requests_per_minute=10, burst=1)

    assert [True] * 4 + [False] == await admitted(guard, *(Call(a_call().request, high) for _ in range(5)))
    assert [True, True, False] == await admitted(guard, *(Call(a_call().request, who) for who in (low, alike, low)))
    assert "0" == limits_of([guard], low, "")["x-ratelimit-remaining-requests"]


async def test_what_a_program_asks_is_nobody_elses() -> None:
    """A caller a program names, without a tenant, does not share with a key of its name."""
    guard = limit(requests_per_minute=10, burst=1)
    mine = [Call(a_call().request, Caller("editor")) for _ in range(2)]

    assert [True, False, True] == await admitted(guard, *mine, a_call("editor"))


async def test_tokens_are_estimated_then_corrected() -> None:
    """What was not used comes back, what was used beyond it is owed; who got nothing used nothing."""
    clock = Hand()
    guard = limit(clock, requests_per_minute=0, tokens_per_minute=1000, tokens_burst=100, tokens=60)

    async def call(outcome: Outcome) -> str:
        one = a_call()
        await guard.enter(one)
        await guard.leave(one, outcome)
        return guard.limits(one.caller, "")["x-ratelimit-remaining-tokens"]

    assert "90" == await call(Outcome("complete", Usage(7, 3)))
    assert "90" == await call(Outcome("failed"))
    assert "30" == await call(Outcome("cancelled"))
    with pytest.raises(Refusal) as refused:
        await call(Outcome("complete"))
    assert "tokens" == refused.value.type
    assert 2.0 == pytest.approx(refused.value.retry_after)
    clock.time += 2.0
    assert "0" == await call(Outcome("complete", Usage(100, 60)))
    with pytest.raises(Refusal) as refused:
        await call(Outcome("complete"))
    assert (100 + 60) / 15 == pytest.approx(refused.value.retry_after)


async def test_what_never_fits_is_told_so() -> None:
    """No wait would help."""
    guard = limit(requests_per_minute=0, tokens_per_minute=1000, tokens=1001)
    with pytest.raises(Refusal, match="less than the 1001 this request needs") as refused:
        await guard.enter(a_call())

    assert "retry-after" not in refused.value.headers


async def test_a_refusal_for_tokens_counts_no_request() -> None:
    """Both are taken, or none."""
    clock = Hand()
    guard = limit(clock, requests_per_minute=100, burst=10, tokens_per_minute=1000, tokens_burst=100, tokens=80)
    await admitted(guard, *(a_call() for _ in range(5)))

    headers = guard.limits(a_call().caller, "")
    assert ("9", "20") == (headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-remaining-tokens"])


async def test_the_tightest_limit_is_shown() -> None:
    """Whichever guard comes first."""
    wide, tight = limit(requests_per_minute=1000), limit(per="global", requests_per_minute=20, burst=5)
    for guards in ((wide, tight), (tight, wide)):
        call = a_call()
        for guard in guards:
            await guard.enter(call)
        assert "20" == call.headers["x-ratelimit-limit-requests"]
        assert "20" == limits_of((guards[0], object(), guards[1]), call.caller, "")["x-ratelimit-limit-requests"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"), (0.006, "6ms"), (0.0061, "7ms"), (0.9991, "1s"), (1, "1s"), (7.66, "7.66s"), (60, "1m0s"),
        (72, "1m12s"), (3600, "1h0m0s"), (3725.5, "1h2m5.5s"),
    ],
)  # fmt: skip  # a table
def test_durations_are_openais(seconds: float, shown: str) -> None:
    """As the vendor's headers have them."""
    assert shown == duration(seconds)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"per": "callr"}, "Did you mean 'caller'"),
        ({"per": 3}, "per must be one of"),
        ({"burst": 1000}, "less than the limit per minute, 1000"),
        ({"requests_per_minute": -1}, "whole number"),
        ({"requests_per_minute": True}, "whole number"),
        ({"tokens_per_minute": "many"}, "tokens_per_minute must be"),
    ],
)
def test_wrong_settings_are_refused(table: dict[str, Any], message: str) -> None:
    """With the setting, and what it may be."""
    with pytest.raises(ConfigurationError, match=message):
        limit(**table)


async def test_workers_that_share_nothing_divide(caplog: pytest.LogCaptureFixture) -> None:
    """Each keeps its part, and that is said; what clients read is the whole."""
    with caplog.at_level(logging.WARNING, "aigateway"):
        guard = limit(requests_per_minute=1000, burst=100, workers=8)
    calls = [a_call() for _ in range(14)]

    assert [True] * 13 + [False] == await admitted(guard, *calls)
    assert "1000" == calls[0].headers["x-ratelimit-limit-requests"]
    assert "8 workers share no state, so each lets through its part: 125 requests per minute" in caplog.text


async def test_nothing_is_kept_of_calls_that_have_ended() -> None:
    """Whatever became of them."""
    guard = limit(tokens_per_minute=1000, tokens=1)
    calls = [a_call() for _ in range(10)]
    for call in calls:
        await guard.enter(call)
    assert 10 == len(guard._open)
    for call in calls:
        await guard.leave(call, Outcome("cancelled"))

    assert {} == guard._open


class Model:
    """One limit by hand: a bucket of `burst` that fills by (limit - burst) a minute, and may be in debt."""

    def __init__(self, limit: int, burst: int, minute: float = 60.0) -> None:
        self.limit, self.burst, self.rate = limit, burst, (limit - burst) / minute
        self.left, self.at = float(burst), 0.0

    def pass_time(self, now: float) -> None:
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now

    def headers(self, name: str) -> dict[str, str]:
        full = duration((self.burst - self.left) / self.rate)
        told = {"limit": str(self.limit), "remaining": str(max(0, int(self.left + 1e-6))), "reset": full}
        return {f"x-ratelimit-{what}-{name}": value for what, value in told.items()}


async def test_headers_agree_with_a_model() -> None:
    """All six, on what passes, after a whole answer, and on a 429; whose waits are exact to the millisecond."""
    clock, random, refusals = Hand(), Random(6), 0
    size = [0]
    guard = limit(clock, requests_per_minute=30, burst=4, tokens_per_minute=6000, tokens_burst=900)
    guard._estimate = lambda _: Usage(size[0], 0, source="estimated")
    requests, tokens = Model(30, 4), Model(6000, 900)

    def both() -> dict[str, str]:
        return {**requests.headers("requests"), **tokens.headers("tokens")}

    async def ask() -> Call | Refusal:
        call = a_call()
        try:
            await guard.enter(call)
        except Refusal as refusal:
            return refusal
        return call

    for _ in range(400):
        clock.time += random.choice((0.0, 0.01, 0.5, 3.0))
        size[0] = random.randint(1, 850)
        for model in (requests, tokens):
            model.pass_time(clock.time)
        waits = max(0.0, 1 - requests.left) / requests.rate, max(0.0, size[0] - tokens.left) / tokens.rate
        found, told = await ask(), both()
        if isinstance(found, Refusal):
            refusals += 1
            kind, wait = "requests" if waits[0] > 1e-9 else "tokens", max(waits)
            shown = {name: value for name, value in found.headers.items() if name.startswith("x-")}
            assert kind == found.type
            assert told == shown
            milliseconds = int(found.headers["retry-after-ms"])
            assert milliseconds - 1 <= wait * 1000 <= milliseconds + 1e-3
            assert str(max(1, -(-milliseconds // 1000))) == found.headers["retry-after"]
            continue
        requests.left -= 1
        tokens.left -= size[0]
        assert both() == found.headers
        used = random.randint(0, 900)
        tokens.left = min(tokens.burst, tokens.left + size[0] - used)
        settled([guard], found, Usage(used, 0, source="reported"))
        assert both() == found.headers
        await guard.leave(found, Outcome("complete", Usage(used, 0)))
    assert 50 < refusals < 350


@pytest.mark.parametrize("kind", ["requests", "tokens"])
async def test_who_waits_as_told_is_let_in(kind: str) -> None:
    """And who waits ten milliseconds less is not."""
    table = {"requests_per_minute": 30, "burst": 4, "tokens_per_minute": 60_000, "tokens_burst": 900}
    if kind == "tokens":
        table |= {"requests_per_minute": 10_000, "burst": 0, "tokens_per_minute": 3000}
    for early in (0.0, 0.01):
        clock = Hand()
        guard = limit(clock, tokens=200, **table)
        told = [await admitted(guard, a_call()) for _ in range(4)]
        with pytest.raises(Refusal) as refused:
            await guard.enter(a_call())
        assert kind == refused.value.type
        clock.time += int(refused.value.headers["retry-after-ms"]) / 1000 - early
        assert [not early] == await admitted(guard, a_call())
        assert [True] in told


async def test_what_another_guard_refuses_does_not_count() -> None:
    """Else who waits as that one says would find this limit used up."""
    guard, call = limit(requests_per_minute=10, burst=1, tokens_per_minute=1000, tokens=100), a_call()
    await guard.enter(call)
    await guard.leave(call, Outcome("failed", error=Refusal("full", status=503)))

    assert [True] == await admitted(guard, a_call())


async def test_a_right_estimate_changes_nothing() -> None:
    """What was used is what was taken: nothing comes back, and nothing more goes."""
    guard = limit(tokens_per_minute=1000, tokens=100)
    call = a_call()
    await guard.enter(call)
    left = guard.limits(call.caller, "")["x-ratelimit-remaining-tokens"]
    await guard.leave(call, Outcome("complete", Usage(60, 40, source="reported")))

    assert left == guard.limits(call.caller, "")["x-ratelimit-remaining-tokens"]


async def test_users_where_the_anthropic_dialect_has_them() -> None:
    """`metadata.user_id` names a user as `user` does; metadata without one names nobody."""
    guard = limit(per="user", requests_per_minute=10, burst=1)
    calls = [a_call(metadata={"user_id": name}) for name in ("a", "a", "b")]
    plain = [a_call(metadata={"team": "x"}), a_call()]

    assert [True, False, True] == await admitted(guard, *calls)
    assert [True, False] == await admitted(guard, *plain)


async def test_no_limit_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Workers have nothing to divide where nothing is limited."""
    with caplog.at_level(logging.WARNING, "aigateway"):
        guard = limit(requests_per_minute=0, workers=8)

    assert [True] * 50 == await admitted(guard, *(a_call() for _ in range(50)))
    assert "" == caplog.text
