"""Attempts over targets that rest: who is asked, who is left alone, who is waited for, who is knocked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from aigateway.errors import Kind, NoAnswer, ProviderError, Remedy, RequestError, Scope, StreamInterrupted
from aigateway.exchange.timers import expired
from aigateway.keys import Key, Ring, Slot, Wanted
from aigateway.routing import Attempts
from aigateway.secrets import Secret
from aigateway.state import Change, Health, Memory, Rest, Rests, of_model, of_provider
from aigateway.state._budget import FULL
from aigateway.state._health import LIMIT
from aigateway.types import Call, Candidate, ChatRequest, Hedge, Outcome, Retries, Target, Terms

REQUEST = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
DONE = Outcome("complete")
PLAIN = Retries(same_target=0)


class World:
    """Several targets with a key each, and a clock that only waits and the story move."""

    def __init__(self, targets: int = 2, seed: int = 0, *, one_provider: bool = False) -> None:
        self.now = 0.0
        self.memory = Memory(random=Random(seed))
        self.health = Health(self.memory, Random(seed))
        names = [Target("p", f"m{n}") if one_provider else Target(f"t{n}", "x") for n in range(targets)]
        self.candidates = [Candidate(target) for target in names]
        self.rings = {
            target.provider: Ring(
                target.provider,
                [Slot(Key(Secret(f"k-{target.provider}")))],
                self.memory.rests,
                now=lambda: self.now,
                wall=lambda: self.now,
            )
            for target in names
        }
        self.waits: list[float] = []
        self.ill: dict[str, ProviderError | Kind] = {}
        self.takes = 0.0

    def ask(
        self, retries: Retries = PLAIN, *, deadline: float = 60.0, candidates: Sequence[Candidate] = ()
    ) -> tuple[list[str], BaseException | None]:
        """Make one request as the gateway does; give who was asked, and what was raised."""
        call = Call(REQUEST, deadline=self.now + deadline, terms=Terms(retries))
        attempts = Attempts(
            call, candidates or self.candidates, self.health, now=lambda: self.now, keys_rest=self.keys_rest
        )
        asked: list[str] = []
        try:
            for attempt in attempts:
                self.now += attempt.wait
                self.waits.append(attempt.wait)
                if not attempt.is_due:
                    continue
                with attempt:
                    wanted = Wanted(attempt.target.model, forced=attempt.forced)
                    leases = self.rings[attempt.target.provider].leases(wanted)
                    for lease in leases:
                        with lease:
                            asked.append(str(attempt.target))
                            self.now += self.takes
                            self.fail(attempt.target)
                            attempt.settle(DONE)
                            lease.settle(DONE)
                            return asked, None
                    raise leases.exhausted().at(attempt.target.provider, attempt.target.model)
            raise attempts.exhausted()
        except (ProviderError, NoAnswer, RequestError) as error:
            return asked, error
        finally:
            self.dropped = {drop.target: drop.reason for drop in call.trace.dropped}

    def fail(self, target: Target) -> None:
        error = self.ill.get(str(target))
        if isinstance(error, Kind):
            error = ProviderError(error, str(error))
        if error is not None:
            raise ProviderError(error.kind, error.message, remedy=error.remedy, retry_after=error.retry_after).at(
                target.provider, target.model
            )

    def keys_rest(self, target: Target, now: float) -> Rest | None:
        return self.rings[target.provider].rest(target.model)

    def settled(self) -> bool:
        return not any(self.memory.facts(c.target).in_flight for c in self.candidates)


def limited(wait: float | None = None) -> ProviderError:
    return ProviderError(Kind.RATE_LIMIT, "slow down", retry_after=wait)


def test_a_target_that_fails_five_times_is_left_alone() -> None:
    """After five failures in a row the next target answers at once, and the reason is told."""
    world = World()
    world.ill["t0/x"] = Kind.SERVER_ERROR
    asked = [world.ask()[0] for _ in range(6)]

    assert [["t0/x", "t1/x"]] * 5 + [["t1/x"]] == asked
    assert world.dropped["t0/x"].startswith("it rests for ")
    assert world.dropped["t0/x"].endswith("after server_error")
    assert world.settled()


def test_it_is_back_within_thirty_seconds_of_its_healing() -> None:
    """An outage of a minute, a request every four seconds: the first target answers again in time."""
    for seed in range(50):
        world = World(seed=seed)
        back = 0.0
        for second in range(0, 160, 4):
            world.now = float(second)
            world.ill = {"t0/x": Kind.OVERLOADED} if second < 60 else {}
            asked, error = world.ask(Retries())
            assert None is error
            if asked == ["t0/x"] and second >= 60:
                back = back or second - 60.0
        assert 0 <= back <= 30


@pytest.mark.parametrize("named", [2.0, 0.5, 3600.0])
def test_a_throttled_target_is_not_asked_before_its_time(named: float) -> None:
    """429 with a wait: nobody asks there before it is over, everybody may after."""
    world = World()
    world.ill["t0/x"] = limited(named)
    world.ask()
    world.ill = {}
    world.now = named * 0.99
    early = world.ask()[0]
    world.now = named
    late = world.ask()[0]

    assert (["t1/x"], ["t0/x"]) == (early, late)


def test_a_limit_counts_for_one_model_of_the_account() -> None:
    """A rate limit rests the account for that model, no money for all of its models."""
    world = World(one_provider=True)
    world.ill["p/m0"] = limited(10.0)
    limit = [world.ask()[0], world.ask()[0]]
    world = World(one_provider=True)
    world.ill["p/m0"] = Kind.INSUFFICIENT_FUNDS
    money = [world.ask()[0], world.ask()[0]]

    assert [["p/m0", "p/m1"], ["p/m1"]] == limit
    assert ["p/m0"] == money[0]


def test_patience_waits_for_a_limit_and_no_longer() -> None:
    """A wait within `patience` is kept, at the first failure and when others find the target resting."""
    world = World()
    world.ill["t0/x"] = limited(2.0)
    patient = Retries(same_target=0, patience=3.0)
    first = world.ask(PLAIN)[0]
    world.ill = {}
    second, error = world.ask(patient)

    assert (["t0/x", "t1/x"], ["t0/x"]) == (first, second)
    assert None is error
    assert 2.0 == pytest.approx(world.now)

    world.ill["t0/x"] = limited(3.5)

    assert ["t0/x", "t1/x"] == world.ask(patient)[0]


def test_a_limit_without_a_time_is_waited_for_a_little() -> None:
    """429 for ever without a header: jittered waits, few calls, then the next target."""
    for seed in range(50):
        world = World(seed=seed)
        world.ill["t0/x"] = limited()
        asked, error = world.ask(Retries(patience=3.0))

        assert None is error
        assert "t1/x" == asked[-1]
        assert 2 <= asked.count("t0/x") <= 4
        assert world.now <= 3.0


def test_all_limited_is_said_with_the_first_time() -> None:
    """When every target rests after a limit nobody is asked, and the caller hears the shortest wait that is left."""
    world = World()
    world.ill = {"t0/x": limited(30.0), "t1/x": limited(7.0)}
    first = world.ask()[1]
    world.now = 3.0
    asked, second = world.ask()

    assert [] == asked
    assert isinstance(first, NoAnswer)
    assert isinstance(second, NoAnswer)
    assert (429, 7.0, 429, 4.0) == (first.status, first.retry_after, second.status, second.retry_after)
    assert "4" == second.headers["retry-after"]
    assert "false" == second.headers["x-should-retry"]


def test_wait_waits_for_the_first_back() -> None:
    """With `wait`, a request outlasts a limit of everybody, if its deadline allows."""
    world = World()
    world.ill = {"t0/x": limited(30.0), "t1/x": limited(7.0)}
    world.ask()
    world.ill = {}
    asked, error = world.ask(Retries(wait=True))

    assert (["t1/x"], None) == (asked, error)
    assert 7.0 == pytest.approx(world.now)

    world.ill = {"t1/x": limited(70.0)}
    world.ask()
    asked, error = world.ask(Retries(wait=True), deadline=5.0)

    assert [] == asked
    assert isinstance(error, NoAnswer)


def test_the_only_target_is_knocked_at() -> None:
    """A gateway with one vendor asks it once a second while it is open, so it is never worse than no gateway."""
    world = World(1)
    world.ill["t0/x"] = Kind.SERVER_ERROR
    calls = 0
    for tick in range(1000):
        world.now = tick / 100
        calls += len(world.ask()[0])

    assert 5 <= calls <= 5 + 10 + 2  # once a second, and probes

    world.ill = {}
    world.now += 1.0

    assert (["t0/x"], None) == world.ask()


def test_a_total_outage_costs_little() -> None:
    """All targets down, a hundred requests a second: at most 1.2 calls each, and few after the breakers open."""
    world = World(3)
    world.ill = {f"t{n}/x": Kind.OVERLOADED for n in range(3)}
    calls = requests = 0
    for tick in range(3000):
        world.now = tick / 100
        asked, error = world.ask(Retries())
        assert isinstance(error, NoAnswer)
        assert 503 == error.status
        assert error.retry_after is not None
        if tick >= 1000:
            requests += 1
            calls += len(asked)

    assert calls <= 1.2 * requests
    assert world.settled()


def test_a_flapping_target_opens_within_twenty_calls_and_does_not_swing() -> None:
    """Every second call fails: it opens soon, and then answers at most a probe at a time."""
    world = World()
    calls = opened = 0
    for tick in range(12_000):
        world.now = tick / 100
        world.ill = {"t0/x": Kind.SERVER_ERROR} if calls % 2 else {}
        asked = world.ask()[0]
        calls += asked[0] == "t0/x"
        if world.health.rest(world.candidates[0].target, world.now) and not opened:
            opened = calls

    assert 0 < opened <= 20
    assert calls <= opened + 3 * 8


def test_second_calls_have_a_budget() -> None:
    """A vendor that fails every first call gets no second ones when its purse is empty; answers fill it."""
    world = World()
    world.ill["t0/x"] = Kind.TOOL_USE_FAILED  # no reason to rest
    asked = [world.ask(Retries())[0] for _ in range(100)]

    assert 35 == sum(who.count("t0/x") == 2 for who in asked)
    assert ["t0/x", "t1/x"] == asked[-1]


def test_another_model_of_the_same_provider_is_a_second_call() -> None:
    """Going on within a provider costs its budget; without it the target is dropped with the reason."""
    world = World(one_provider=True)
    world.ill["p/m0"] = Kind.TOOL_USE_FAILED
    world.health.budgets["p"].left = 10.0
    asked, error = world.ask()

    assert ["p/m0"] == asked
    assert isinstance(error, NoAnswer)
    assert {"p/m1": "the retry budget of p is spent"} == world.dropped


def test_a_key_that_is_refused_is_not_used_again() -> None:
    """401: the key rests; a provider without another key is skipped until it is probed."""
    world = World()
    world.ill["t0/x"] = Kind.AUTH
    asked = [world.ask()[0] for _ in range(3)]
    world.ill = {}
    world.now = 300.0

    assert [["t0/x", "t1/x"], ["t1/x"], ["t1/x"]] == asked
    assert ["t0/x"] == world.ask()[0]
    assert not world.memory.rests


def test_an_unknown_model_is_remembered_where_there_is_another() -> None:
    """404: a route leaves the target alone for a while; who names one model hears it from the vendor each time."""
    world = World()
    world.ill["t0/x"] = Kind.MODEL_NOT_FOUND
    asked = [world.ask()[0] for _ in range(2)]
    alone = [world.ask(candidates=world.candidates[:1])[0] for _ in range(3)]

    assert [["t0/x", "t1/x"], ["t1/x"]] == asked
    assert [["t0/x"]] * 3 == alone


def test_an_interrupted_stream_counts_against_its_target() -> None:
    """Streams that break after content are failures: five of them, and the target rests."""
    world = World()
    target = world.candidates[0].target
    for _ in range(5):
        assert None is world.health.rest(target, world.now)
        world.health.begin(target, world.now)
        cause = ProviderError(Kind.STREAM_INTERRUPTED, "x").at("t0", "x")
        world.health.end(target, Outcome("interrupted", error=StreamInterrupted(cause)), world.now)

    assert None is not world.health.rest(target, world.now)


def test_what_callers_do_wrong_rests_nobody() -> None:
    """A thousand bad requests and cancellations leave every target free."""
    world = World()
    target = world.candidates[0].target
    for kind in (Kind.BAD_REQUEST, Kind.CONTENT_POLICY, Kind.CONTEXT_LENGTH, Kind.CANCELLED) * 250:
        world.health.begin(target, world.now)
        world.health.end(target, Outcome("failed", error=ProviderError(kind, "x")), world.now)

    assert not world.memory.rests


def test_two_hundred_waiters_are_one_probe() -> None:
    """When an open target comes back, one of two hundred requests tries it; the others go on."""
    world = World()
    world.ill["t0/x"] = Kind.TIMEOUT
    for _ in range(5):
        world.ask()
    world.now = 6.0
    target = world.candidates[0].target
    probes = 0
    for _ in range(200):
        if world.health.rest(target, world.now) is None:
            probes += world.health.begin(target, world.now)

    assert 1 == probes


def test_a_callers_own_deadline_blames_nobody() -> None:
    """A thousand callers who leave the target no time rest nobody; our own limit does."""
    world = World()
    target = world.candidates[0].target
    for deadline in (0.0, 9.0):  # passed, not passed
        for _ in range(100):
            world.health.begin(target, 1.0)
            world.health.end(target, Outcome("failed", error=expired(deadline, 1.0, "answer", 1.0)), 1.0)
        assert (deadline > 1.0) == (world.health.rest(target, 1.0) is not None)
        assert ("degraded" if deadline > 1.0 else "healthy") == world.memory.health("t0")


def test_a_probe_is_a_knock() -> None:
    """When the only target comes back, two hundred requests in one moment are one call."""
    world = World(1)
    world.ill["t0/x"] = Kind.TIMEOUT
    for _ in range(5):
        world.ask()
    world.now = 5.0
    call = Call(REQUEST, deadline=60.0, terms=Terms(PLAIN))
    begun = 0
    for _ in range(200):
        attempts = Attempts(call, world.candidates, world.health, now=lambda: world.now, keys_rest=world.keys_rest)
        for attempt in attempts:
            attempt.__enter__()  # and is still under way
            begun += 1
            break

    assert 1 == begun


def test_who_came_back_meanwhile_is_asked() -> None:
    """A target that rested at first and is back when the next one has failed gets its chance."""
    world = World()
    world.ill = {"t0/x": limited(5.0)}
    world.ask()
    world.ill = {"t1/x": Kind.SERVER_ERROR}
    world.takes = 6.0
    asked, error = world.ask()

    assert (["t1/x", "t0/x"], None) == (asked, error)
    assert {} == world.dropped


@pytest.mark.parametrize("waits", [0, 1])
def test_who_is_waited_for(waits: int) -> None:
    """Whose own terms say so, the named model's or the fallback's, though the other one is back before."""
    world = World()
    for number, candidate in enumerate(world.candidates):
        terms = Terms(Retries(same_target=0, wait=number == waits))
        world.candidates[number] = candidate._replace(target=replace(candidate.target, terms=terms))
        world.ill[str(candidate.target)] = limited(9.0 if number == waits else 2.0)
    assert ["t0/x", "t1/x"] == world.ask(deadline=5.0)[0]
    world.ill.clear()
    began = world.now

    assert ([f"t{waits}/x"], None) == world.ask()
    assert 9.0 == world.now - began


def test_waiting_takes_whoever_is_back() -> None:
    """With `wait`, a probe somebody else is making does not hide a target that is free by then."""
    world = World(2)
    for n in range(2):
        world.ill = {f"t{n}/x": Kind.TIMEOUT}
        for _ in range(6):
            world.ask(candidates=[world.candidates[n]])
    first, second = (world.health.rest(c.target, world.now) for c in world.candidates)
    assert first is not None
    assert second is not None
    world.ill = {}
    sooner = min(world.candidates, key=lambda c: world.memory.rests.find(("model", c.target.provider, "x"), 0.0))
    call = Call(REQUEST, deadline=60.0, terms=Terms(Retries(wait=True)))
    attempts = Attempts(call, world.candidates, world.health, now=lambda: world.now, keys_rest=world.keys_rest)
    asked = []
    for attempt in attempts:
        world.now = max(first.until, second.until)
        if not asked and attempt.target == sooner.target and attempt.wait:
            world.health.begin(sooner.target, world.now)  # somebody else is quicker
        asked.append((str(attempt.target), attempt.is_due))
        if attempt.is_due:
            break

    assert [(str(sooner.target), False)] == asked[:1]
    assert asked[-1][1]
    assert str(sooner.target) != asked[-1][0]


def test_a_hedge_counts_among_the_attempts() -> None:
    """With one attempt allowed nobody is asked beside the first."""
    world = World()
    for attempts, rivals in ((1, False), (2, True)):
        call = Call(REQUEST, deadline=60.0, terms=Terms(Retries(attempts=attempts)))
        made = Attempts(call, world.candidates, world.health, now=lambda: world.now, keys_rest=world.keys_rest)
        assert rivals == (made.rival(next(iter(made))) is not None)


@pytest.mark.parametrize("kind", [Kind.INSUFFICIENT_FUNDS, Kind.AUTH, Kind.SERVER_ERROR])
def test_an_answer_to_a_knock_ends_the_rest(kind: Kind) -> None:
    """The only target is mended: the first knock that is answered brings it back for everybody."""
    world = World(1)
    world.ill["t0/x"] = kind
    for _ in range(6):
        world.ask()
        world.now += 0.01
    world.ill = {}
    world.now += 10.0
    answered = [world.ask()[1] is None for _ in range(10)]

    assert [True] * 10 == answered


def test_a_failed_knock_is_told_once() -> None:
    """A target that was asked past its rest and failed again is one reason, not two."""
    world = World(1)
    world.ill["t0/x"] = Kind.INSUFFICIENT_FUNDS
    world.ask()
    world.now = 10.0
    asked, error = world.ask()

    assert ["t0/x"] == asked
    assert isinstance(error, NoAnswer)
    assert 1 == len(error.reasons)


@pytest.mark.parametrize("other", [False, True], ids=["nothing else rests", "something else rests"])
@pytest.mark.parametrize("key", [{"ends": -1.0}, {"models": ("other",)}], ids=["expired", "for other models"])
def test_no_key_may_ever_be_used(key: dict[str, Any], other: bool) -> None:
    """Told as a failure with a finite wait, the same whatever else rests, the second time as the first."""
    world = World(1)
    world.rings["t0"] = Ring(
        "t0", [Slot(Key(Secret("k"), **key))], world.memory.rests, now=lambda: world.now, wall=lambda: world.now
    )
    if other:
        world.memory.rests.put(of_model("p9", "m"), "open", "server_error", 0.0)
    for _ in range(2):
        asked, error = world.ask()

        assert [] == asked
        assert isinstance(error, NoAnswer)
        assert 503 == error.status
        assert (error.retry_after or 0.0) <= 86_400.0
        assert error.headers["x-should-retry"] == "false"
        assert ("t0", "x") == (error.exceptions[0].provider, error.exceptions[0].model)


@pytest.mark.parametrize("other", [False, True], ids=["nothing else rests", "something else rests"])
def test_a_key_in_use_is_waited_for(other: bool) -> None:
    """With `wait`, a key that makes all the calls it may is waited for, also while nothing rests at all."""
    world = World(1)
    slot = Slot(Key(Secret("k"), concurrency=1))
    world.rings["t0"] = Ring("t0", [slot], world.memory.rests, now=lambda: world.now, wall=lambda: world.now)
    slot.in_use = 1
    if other:
        world.memory.rests.put(of_model("p9", "m"), "open", "server_error", 0.0)
    call = Call(REQUEST, deadline=60.0, terms=Terms(Retries(wait=True)))
    attempt = next(
        iter(Attempts(call, world.candidates, world.health, now=lambda: world.now, keys_rest=world.keys_rest))
    )

    assert 0 < attempt.wait <= 0.1
    assert not attempt.is_due
    slot.in_use = 0
    assert attempt.is_due


def test_the_first_back_may_be_the_one_that_named_no_time() -> None:
    """One target names a minute, the other nothing: the caller is told when the sooner of them is back."""
    world = World()
    world.ill = {"t0/x": limited(60.0), "t1/x": limited()}
    error = world.ask()[1]
    back = min(rest.until for c in world.candidates if (rest := world.keys_rest(c.target, world.now)))

    assert isinstance(error, NoAnswer)
    assert back - world.now == pytest.approx(error.retry_after)
    assert back < 10


def test_the_first_key_back_counts() -> None:
    """One key may be used in two seconds, the other in ten minutes: the caller is told two seconds."""
    world = World(1)
    slots = [Slot(Key(Secret(f"k{n}"), quota_group=f"g{n}")) for n in range(2)]
    world.rings["t0"] = Ring("t0", slots, world.memory.rests, now=lambda: world.now, wall=lambda: world.now)
    for slot, wait in zip(slots, (2.0, 600.0), strict=True):
        world.rings["t0"].note(slot, slot.current, "x", limited(wait))
    error = world.ask()[1]

    assert isinstance(error, NoAnswer)
    assert 2.0 == error.retry_after


def test_waiting_for_a_provider_once_more_costs_its_budget() -> None:
    """With `wait`, a call after a wait is a second call like any other: an empty purse ends the waiting."""
    world = World(1)
    world.ill["t0/x"] = limited(2.0)
    world.health.budgets["t0"].left = 0.0
    asked, error = world.ask(Retries(wait=True))

    assert ["t0/x"] == asked
    assert isinstance(error, NoAnswer)
    assert {"t0/x": "the retry budget of t0 is spent"} == world.dropped


def test_a_provider_on_probation_that_fails_is_open_again() -> None:
    """Out of money, then a server error at the first call after it: all its models rest, not that one alone."""
    world = World()
    world.memory.rests.put(of_provider("t0"), "suspended", "insufficient_funds", 0.0, wait=1.0)
    world.ill["t0/x"] = Kind.SERVER_ERROR
    world.now = 2.0
    world.ask()

    assert None is not world.health.rest(Target("t0", "another"), world.now)


def test_a_probe_that_another_process_gave_back_is_still_ours() -> None:
    """What others release is their claim; the call of ours that is under way stays the only one."""
    rests = Rests(Random(1))
    rests.now = lambda: 100.0
    name = of_model("a", "m")
    rests.put(name, "open", "server_error", 50.0)
    assert rests.claim(name, 100.0)
    rests.learn(Change(name, "release"))

    assert None is not rests.find(name, 100.0)
    rests.release(name)
    assert None is rests.find(name, 100.0)


def test_a_call_that_was_waited_for_and_not_made_costs_nothing() -> None:
    """Paid for before the wait, and somebody was quicker: each time the price comes back."""
    world = World(1)
    target = world.candidates[0].target
    call = Call(REQUEST, deadline=9.0, terms=Terms(Retries(wait=True)))
    attempts = Attempts(call, world.candidates, world.health, now=lambda: world.now, keys_rest=world.keys_rest)
    waited = 0
    for attempt in attempts:
        world.now += attempt.wait
        waited += attempt.wait > 0
        world.memory.rests.put(of_model("t0", "x"), "cooldown", Kind.RATE_LIMIT, world.now, wait=2.0)
        if attempt.is_due:
            with attempt:
                raise limited(2.0).at(target.provider, target.model)

    assert waited > 2
    assert FULL == world.health.budgets["t0"].left


def test_hedges_have_to_be_earned() -> None:
    """A few may follow each other; then one is allowed for so many calls, so that an outage doubles no load."""
    health, target = World(1).health, Target("t0", "x")
    hedge = Hedge(quantile=0.9, extra=0.1)
    first = [health.hedged() for _ in range(7)]
    for _ in range(9):
        assert health.hedge_after(target, hedge, stream=False) is None
    early = health.hedged()
    health.hedge_after(target, hedge, stream=False)
    health.hedge_after(target, hedge, stream=False)

    assert [True] * 5 + [False] * 2 == first
    assert [False, True, False] == [early, health.hedged(), health.hedged()]


def test_invented_models_fill_no_table() -> None:
    """However many names callers make up, what is remembered of knocks and of failures stays bounded."""
    world = World(1)
    health, rest = world.health, Rest(9.0, "open", "server_error", 1, 0)
    for number in range(LIMIT + 10):
        target = Target("p", f"invented-{number}")
        assert health.knock(target, rest, 1.0)
        health.begin(target, 1.0)
        health.end(target, Outcome("failed", error=ProviderError(Kind.SERVER_ERROR, "x")), 1.0)

    assert len(health._knocked) <= LIMIT
    assert len(health._breakers) <= LIMIT
    assert not health.knock(target, rest, 1.5)


@pytest.mark.parametrize(("scope", "second"), [(Scope.MODEL, ["p/m1"]), (Scope.PROVIDER, [])])
def test_a_plug_in_may_say_what_rests(scope: Scope, second: list[str]) -> None:
    """A vendor that announces its maintenance is left alone until it is over: that model, or all of its models."""
    world = World(2, one_provider=True)
    remedy = Remedy(False, "no", "yes", "cooldown", scope)
    world.ill["p/m0"] = ProviderError(Kind.OVERLOADED, "maintenance", retry_after=30.0, remedy=remedy)
    first, _ = world.ask(candidates=world.candidates[:1])
    found, error = world.ask()

    assert ["p/m0"] == first
    assert second == found
    assert bool(second) == (error is None)
    world.now += 31
    world.ill.clear()
    assert ["p/m0"] == world.ask()[0]
