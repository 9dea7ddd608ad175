"""Policies: each an ordering of the same targets, right under concurrency and stable where it has to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway import ConfigurationError
from aigateway.routing import POLICIES, Branch, Orders, Policy
from aigateway.state import Memory
from aigateway.types import Call, Caller, Candidate, ChatRequest, Facts, Reply, Target

from ..exchange.parts import Parts, gateway, reply_of

# 99.9 % of fair draws stay below (chi-square with 1, 2 and 3 degrees of freedom).
CHI = {1: 10.828, 2: 13.816, 3: 16.266}


def call(user: str = "", text: str = "hi") -> Call:
    fields = {"messages": [{"role": "user", "content": text}], **({"user": user} if user else {})}
    return Call(ChatRequest.parse(fields), Caller("c", tenant="c"))


def targets(*weights: int) -> list[Candidate]:
    return [Candidate(Target(f"t{n}", "m", weight=weight)) for n, weight in enumerate(weights)]


def first(policy: Policy, candidates: Sequence[Candidate], asked: Call | None = None) -> str:
    return policy.order(asked or call(), candidates)[0].target.provider


def chi_square(seen: Counter[str], weights: Sequence[int]) -> float:
    total, weight = seen.total(), sum(weights)
    expected = [total * share / weight for share in weights]
    return sum((seen[f"t{n}"] - e) ** 2 / e for n, e in enumerate(expected))


@pytest.mark.parametrize("name", POLICIES)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.text(max_size=5), st.integers(0, 99))
def test_every_policy_gives_every_target_once(name: str, weights: list[int], user: str, seed: int) -> None:
    """Whatever the order, nobody is lost or doubled: who is not first is where the request goes on."""
    candidates = targets(*weights)
    ordered = POLICIES[name](Random(seed)).order(call(user), candidates)

    assert sorted(map(str, candidates)) == sorted(map(str, ordered))


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (5, 3, 2), (1, 1, 1, 7)])
@pytest.mark.parametrize("name", ["weighted", "sticky", "experiment"])
def test_shares_follow_weights(name: str, weights: tuple[int, ...]) -> None:
    """Ten thousand requests of as many users and conversations spread as the weights say (chi-square)."""
    policy = POLICIES[name](Random(7))
    candidates = targets(*weights)
    seen = Counter(first(policy, candidates, call(f"u{n}", f"text {n}")) for n in range(10_000))

    assert chi_square(seen, weights) < CHI[len(weights) - 1]


@pytest.mark.parametrize("name", ["sticky", "experiment"])
def test_who_is_sticky_stays(name: str) -> None:
    """One user, one conversation: one target, also when others come and go."""
    policy, candidates = POLICIES[name](Random(0)), targets(1, 1, 1)
    before = {n: first(policy, candidates, call(f"u{n}", f"text {n}")) for n in range(300)}
    again = {n: first(POLICIES[name](Random(99)), candidates[::-1], call(f"u{n}", f"text {n}")) for n in range(300)}
    without = {n: first(policy, candidates[:2], call(f"u{n}", f"text {n}")) for n in range(300)}

    assert before == again
    assert all(without[n] == before[n] for n in before if before[n] != "t2")


def test_turns_are_fair() -> None:
    """Round robin: exactly a third each."""
    policy, candidates = POLICIES["round_robin"](Random(0)), targets(1, 1, 1)

    assert {"t0": 333, "t1": 333, "t2": 333} == Counter(first(policy, candidates) for _ in range(999))


def test_the_least_busy_goes_first() -> None:
    """Fewest calls under way, per weight; equals share."""
    policy = POLICIES["least_busy"](Random(0))
    busy = [c._replace(facts=Facts(in_flight=n)) for c, n in zip(targets(1, 1, 4), (3, 1, 2), strict=True)]

    assert "t2" == first(policy, busy)
    assert 2 == len({first(policy, targets(1, 1)) for _ in range(50)})


def test_the_cheapest_goes_first_and_the_unknown_last() -> None:
    """By the estimate for this request; free is cheaper than cheap, unknown is dearest."""
    costs = (5, None, 0, 3)
    priced = [c._replace(cost=cost) for c, cost in zip(targets(1, 1, 1, 1), costs, strict=True)]

    assert ["t2", "t3", "t0", "t1"] == [
        c.target.provider for c in POLICIES["cheapest"](Random(0)).order(call(), priced)
    ]


def simulated(slow_from: int, until: int, seed: int) -> list[str]:
    """Ask `until` times one after the other; the first of two vendors is five times slower from `slow_from` on."""
    policy, memory, now, asked = POLICIES["fastest"](Random(seed)), Memory(random=Random(seed)), 0.0, []
    for number in range(until):
        candidates = [c._replace(facts=memory.facts(c.target, now)) for c in targets(1, 1)]
        chosen = policy.order(call(), candidates)[0].target
        took = {"t0": 2.5 if number >= slow_from else 0.5, "t1": 1.0}[chosen.provider] * Random(number).uniform(
            0.9, 1.1
        )
        now += took
        memory.timed(chosen, took, stream=True, now=now)
        asked.append(chosen.provider)
    return asked


def test_the_fastest_is_found_and_left() -> None:
    """Within thirty requests the faster of two vendors is found; when it slows by five it is left within thirty."""
    for seed in range(20):
        asked = simulated(slow_from=60, until=120, seed=seed)

        assert asked[30:60].count("t0") >= 28
        assert asked[90:].count("t1") >= 25


def test_who_was_slow_is_tried_again() -> None:
    """A target that was slow and has not been asked for a minute is unknown again, so it is tried."""
    memory, target = Memory(), Target("t0", "m")
    memory.timed(target, 5.0, stream=True, now=0.0)

    assert 5.0 == memory.facts(target, 59.0).first_content
    assert 0.0 == memory.facts(target, 60.0).first_content


def test_a_slow_answer_counts_at_once_a_quick_one_little_by_little() -> None:
    """The peak: one slow answer is believed, one quick one after it is not yet."""
    memory, target = Memory(), Target("t0", "m")
    memory.timed(target, 1.0, stream=True, now=0.0)
    memory.timed(target, 4.0, stream=True, now=1.0)
    peak = memory.facts(target, 1.0).first_content
    memory.timed(target, 1.0, stream=True, now=2.0)

    assert 4.0 == peak
    assert 3.0 < memory.facts(target, 2.0).first_content < 4.0


@pytest.mark.anyio
@pytest.mark.parametrize(("policy", "shares"), [("weighted", (3, 1)), ("round_robin", (1, 1))])
async def test_shares_hold_under_concurrency(policy: str, shares: tuple[int, int]) -> None:
    """Sixty-four at a time, through a whole gateway: the shares are the configured ones (chi-square)."""

    def give(request: ChatRequest) -> Reply:
        return reply_of("hi")

    to = [{"to": f"t{n}/t{n}-1", "weight": weight} for n, weight in enumerate(shares)]
    parts = Parts(t0=give, t1=give)
    made = gateway(parts, routes={"smart": {"targets": to, "policy": policy}})
    slots = anyio.Semaphore(64)

    async def ask() -> None:
        async with slots:
            await made.chat("smart", "hi")

    async with anyio.create_task_group() as tasks:
        for _ in range(2000):
            tasks.start_soon(ask)
    seen = Counter(name.partition("/")[0] for name in parts.calls)

    assert 2000 == seen.total()
    assert chi_square(seen, shares) < CHI[1]


@pytest.mark.anyio
async def test_each_route_has_its_own_policy() -> None:
    """A named model's fallback route is ordered by its policy, behind the model itself."""
    parts = Parts(a=lambda _: reply_of("a"), b=lambda _: reply_of("b"), c=lambda _: reply_of("c"))
    routes: dict[str, Any] = {
        "turns": {"targets": ["a/a-1", "b/b-1"], "policy": "round_robin"},
        "back": {"targets": ["b/b-1", "c/c-1"], "policy": "round_robin"},
    }
    made = gateway(parts, routes=routes, default_model="turns", fallback="back")
    texts = [(await made.chat("turns", "hi")).text for _ in range(4)]
    orders = [(await made.chat("a-1", "hi")).decision for _ in range(2)]

    assert ["a", "b", "a", "b"] == texts
    assert [("a/a-1", "b/b-1", "c/c-1"), ("a/a-1", "c/c-1", "b/b-1")] == [d.candidates for d in orders if d]


def test_an_unknown_policy_stops_the_start() -> None:
    """With the nearest name."""
    with pytest.raises(ConfigurationError, match=r"'fastest'"):
        gateway(Parts(a=lambda _: "x"), routes={"smart": {"targets": ["a/a-1"], "policy": "fastets"}})


class Odd:
    """A policy of somebody who did not read what a policy gives."""

    def __init__(self, give: Any) -> None:
        self.give = give

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Any:
        """Give anything."""
        return self.give(candidates)


@pytest.mark.parametrize(
    ("give", "expected", "said"),
    [
        (lambda _: 1 / 0, ["a/m", "b/m"], 1),
        (lambda _: None, ["a/m", "b/m"], 1),
        (lambda _: [], ["a/m", "b/m"], 1),
        (lambda _: ["a/m"], ["a/m", "b/m"], 1),
        (lambda seen: [Candidate(Target("evil", "m")), *reversed(seen)], ["b/m", "a/m"], 0),
        (lambda seen: [seen[1], seen[1], seen[0]], ["b/m", "a/m"], 0),
        (lambda seen: [Candidate(replace(c.target)) for c in reversed(seen)], ["b/m", "a/m"], 0),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_plugins_policy_sends_nothing_elsewhere(
    give: Any, expected: list[str], said: int, nested: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What it fails at, or makes up, leaves the order of the configuration; a fault is said once."""
    second = Target("b", "m")
    tree = Branch("r", (Target("a", "m"), Branch("in", (second,)) if nested else second))
    orders = Orders({"r": Odd(give)}, Random(1))
    call = Call(ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]}))
    for _ in range(2):
        found = orders.order(call, [tree], lambda target, facts, priced: Candidate(target))
        assert expected == [str(candidate.target) for candidate in found]

    assert said == len(caplog.records)
