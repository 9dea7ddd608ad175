"""What must hold whatever the vendors do: the real gateway, played against random and chosen scenarios.

Each property is recomputed from what clients and vendors saw, not from what the gateway says of itself.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from aigateway.plugins import Registry
from aigateway.testing.simulator import Asked, Played, Question, Upstream, play, read_scenario
from aigateway.testing.simulator._tables import FaultKind

PRIMARY, SECOND, SAFE = "deepseek/deepseek-flash", "minimax/MiniMax-M3", "groq/openai/gpt-oss-120b"
OPENAI = "openai/gpt-5.4-mini"
FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
# What the gateway must take for a fault of the target itself, and at once.
QUICK_FAULTS = {"error", "down", "reset"}
MAY_COST = {"error", "html", "reset", "hang", "cut", "stall", "bad_json", "error_event"}
MOMENT = 1e-6


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Thousands of rests are no news here."""
    logger = logging.getLogger("aigateway")
    before = logger.level
    logger.setLevel(logging.ERROR)
    often = gc.get_threshold()
    gc.set_threshold(100_000, *often[1:])  # of the time, a fifth goes into looking for garbage in what is kept
    yield
    gc.set_threshold(*often)
    logger.setLevel(before)


@cache
def registry() -> Registry:
    return Registry()


def played(
    vendors: Mapping[str, Any],
    targets: Sequence[str],
    *,
    workload: Iterable[Question] | None = None,
    route: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
    **scenario: Any,
) -> Played:
    """Play one route over the given vendors."""
    scenario.setdefault("duration", 60)
    own = {**(gateway or {}), "routes": {"smart": {"targets": list(targets), **(route or {})}}}
    return play(read_scenario({**scenario, "vendors": vendors, "gateway": own}), workload, registry=registry())


def calls_of(found: Played, target: str) -> list[Upstream]:
    return [call for call in found.upstream if call.target == target]


def states(found: Played) -> Counter[str]:
    return Counter(asked.state for asked in found.asked)


def every(seconds: float, until: float, **more: Any) -> dict[str, Any]:
    """Ask at a steady rate."""
    return {"arrivals": {"rate": 1 / seconds, "spacing": "even"}, "duration": until, **more}


# -- random scenarios -----------------------------------------------------------------------------

FAULTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(get_args(FaultKind)),
        "at": st.sampled_from([0.0, 2.0, 5.5]),
    },
    optional={"until": st.sampled_from([6.0, 11.0]), "share": st.sampled_from([0.1, 0.5])},
)
VENDOR = st.fixed_dictionaries(
    {"faults": st.lists(FAULTS, max_size=2)},
    optional={
        "keys": st.sampled_from([2, 3]),
        "accounts": st.sampled_from([1, 2]),
        "requests_per_minute": st.sampled_from([3, 20]),
        "concurrency": st.sampled_from([1, 5]),
        "names_wait": st.booleans(),
        "first_content": st.sampled_from([0.2, 3.0]),
    },
)
RETRIES = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.sampled_from([1, 2, 5]),
        "same_target": st.sampled_from([0, 2]),
        "patience": st.sampled_from([0.5, 3.0]),
        "wait": st.booleans(),
    },
)
ROUTE = st.fixed_dictionaries(
    {"retries": RETRIES},
    optional={
        "recovery": st.sampled_from(["hold", "buffer", "continue"]),
        "hedge": st.just({"quantile": 0.5, "extra": 0.5}),
    },
)
TIMEOUTS = {"connect": 1.0, "first_content": 4.0, "silence": 2.0, "answer": 8.0}


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """Give vendors, a route, a load."""
    return {
        "vendors": {"deepseek": draw(VENDOR), "minimax": draw(VENDOR), "groq": {"first_content": 0.1}},
        "route": draw(ROUTE),
        "seed": draw(st.integers(0, 1000)),
        "duration": 14.0,
        "arrivals": {"rate": draw(st.sampled_from([2.0, 8.0]))},
        "request": {"deadline": draw(st.sampled_from([0.3, 2.0, 10.0])), "tokens": 40, "pieces": 4},
        "gateway": {"timeouts": TIMEOUTS},
    }


@FEW
@given(scenarios(), st.booleans())
def test_no_request_passes_its_deadline(scenario: dict[str, Any], safe: bool) -> None:
    """Whatever fails, a client knows within its deadline, and no answer is garbled, lost or left open."""
    found = played(targets=[PRIMARY, SECOND, *([SAFE] if safe else [])], **scenario)

    assert [] == [asked for asked in found.asked if asked.seconds > asked.deadline + 0.1]
    assert [] == [asked for asked in found.asked if asked.garbled]
    assert [] == [call for call in found.upstream if call.ended is None]
    assert {"served", "failed", "interrupted"} >= set(states(found))


@FEW
@given(scenarios())
def test_attempts_stay_within_their_bounds(scenario: dict[str, Any]) -> None:
    """Calls that may cost are at most `attempts`; no target and no key is asked more often than allowed."""
    scenario["route"].pop("hedge", None)
    scenario["route"].pop("recovery", None)  # `continue` begins a second answer, by design
    found = played(targets=[PRIMARY, SECOND, SAFE], **scenario)
    retries = {"attempts": 3, "same_target": 1, "patience": 0.0, **scenario["route"]["retries"]}
    by_question = defaultdict(list)
    for call in found.upstream:
        by_question[call.question].append(call)

    for calls in by_question.values():
        assert sum(call.outcome in MAY_COST | {"answered", "left"} for call in calls) <= retries["attempts"]
        for target in {call.target for call in calls}:
            there = [call for call in calls if call.target == target]
            transient = [call for call in there if call.outcome in MAY_COST | {"down", "black_hole"}]
            assert len(transient) <= 1 + retries["same_target"]
        refused = Counter((call.target, call.key) for call in calls if call.outcome in {"auth", "no_money"})
        assert set(refused.values()) <= {1}
        if not retries["patience"] and not retries.get("wait"):
            limited = Counter((call.target, call.account) for call in calls if call.outcome == "rate_limit")
            assert set(limited.values()) <= {1}


@FEW
@given(scenarios())
def test_what_rests_is_left_alone_while_another_is_free(scenario: dict[str, Any]) -> None:
    """With a healthy target at hand, nobody is asked who said when to come back, or failed five times in a row."""
    scenario["route"]["retries"].pop("patience", None)
    scenario["request"]["deadline"] = 60.0  # so that the healthy one always has time to answer
    found = played(targets=[PRIMARY, SECOND, SAFE], **scenario)

    assert [] == too_early(found.upstream)


@pytest.mark.parametrize("deadline", [0.3, 2.1])
def test_a_deadline_is_no_fault_of_the_target(deadline: float) -> None:
    """Callers with little time, or what a silent target left of it, do not make a healthy one rest."""
    hangs, healthy = {"faults": [{"kind": "hang"}]}, {"first_content": 0.4}
    vendors = {"groq": healthy} if deadline < 1 else {"deepseek": hangs, "groq": healthy}
    targets = [SAFE] if deadline < 1 else [PRIMARY, SAFE]
    request, limits = {"stream": 1.0, "deadline": deadline}, {"timeouts": {"first_content": 2.0}}
    found = played(vendors, targets, request=request, gateway=limits, **every(0.2, 20.0))
    opened, _ = switches(found, SAFE)

    assert [] == opened


def too_early(calls: Sequence[Upstream]) -> list[tuple[str, Upstream]]:
    """Find the calls to what had to rest, from the vendors' own books."""
    rests: list[tuple[float, float, str, Any]] = []  # from, until, why, who
    row: Counter[str] = Counter()
    for call in sorted((call for call in calls if call.ended is not None), key=lambda call: call.ended or 0.0):
        known = call.ended or 0.0
        if call.outcome == "rate_limit" and call.wait is not None:
            rests.append((known, known + call.wait, "limit", (call.target, call.account)))
        if call.outcome == "no_money":
            rests.append((known, known + 48.0, "no money", (call.vendor, call.account)))
        if call.outcome == "auth":
            rests.append((known, known + 240.0, "auth", (call.vendor, call.key)))
        if call.outcome in QUICK_FAULTS:
            row[call.target] += 1
        elif call.outcome == "answered":
            row[call.target] = 0
        if row[call.target] >= 5:
            row[call.target] = 0
            rests.append((known, known + 4.0, "breaker", call.target))
    return [
        (why, call)
        for call in calls
        for since, until, why, who in rests
        if since + MOMENT < call.at < until - MOMENT and who in named(call)
    ]


def named(call: Upstream) -> tuple[Any, ...]:
    return call.target, (call.target, call.account), (call.vendor, call.account), (call.vendor, call.key)


# -- outages ------------------------------------------------------------------------------------

DOWN: tuple[dict[str, Any], ...] = (
    {"kind": "error", "status": 503},
    {"kind": "error", "status": 500},
    {"kind": "down"},
    {"kind": "hang"},
    {"kind": "reset"},
    {"kind": "html"},
    {"kind": "rate_limit"},
    {"kind": "rate_limit", "retry_after": 7.0},
    {"kind": "no_money"},
    {"kind": "auth"},
)
NAMES = [str(fault.get("status", "")) + fault["kind"] + str(fault.get("retry_after", "")) for fault in DOWN]
ALL = {"deepseek": PRIMARY, "minimax": SECOND, "openai": OPENAI, "groq": SAFE}
SHORT = {"timeouts": {"first_content": 3.0, "answer": 3.0}}


@pytest.mark.parametrize(("rate", "count"), [(0.25, 2), (2.0, 4), (20.0, 4), (20.0, 1)])
@pytest.mark.parametrize("fault", DOWN, ids=NAMES)
def test_a_total_outage_is_not_made_worse(fault: dict[str, Any], rate: float, count: int) -> None:
    """When nobody answers, vendors see at most 1.2 calls per request from the tenth second on."""
    vendors = {name: {"faults": [fault]} for name in list(ALL)[:count]}
    found = played(vendors, list(ALL.values())[:count], gateway=SHORT, **every(1 / rate, 120.0 if rate < 1 else 45.0))
    asked = sum(asked.question.at >= 10 for asked in found.asked)
    calls = sum(call.at >= 10 for call in found.upstream)

    assert {"failed"} == set(states(found))
    assert calls <= 1.2 * asked, f"{calls} calls for {asked} requests"
    assert all(asked.retry_after for asked in found.asked if asked.reason.startswith(("429", "503")))


@pytest.mark.parametrize("only", [True, False], ids=["only", "of two"])
@pytest.mark.parametrize("interval", [4.0, 0.05])
@pytest.mark.parametrize("fault", DOWN[:6], ids=NAMES[:6])
def test_the_primary_is_used_again_soon_after_it_healed(fault: dict[str, Any], interval: float, only: bool) -> None:
    """Within 30 s of its healing the primary answers again, and from then on it answers all."""
    healed = 66.0 if interval > 1 else 23.0
    ill = {"first_content": 0.3, "faults": [{**fault, "at": 2.0, "until": healed}]}
    vendors = {"deepseek": ill, **({} if only else {"groq": {"first_content": 0.2}})}
    targets = [PRIMARY] if only else [PRIMARY, SAFE]
    found = played(vendors, targets, gateway=SHORT, **every(interval, healed + 40.0))
    back = min(call.at for call in calls_of(found, PRIMARY) if call.at >= healed and call.outcome == "answered")
    late = [asked for asked in found.asked if asked.question.at > healed + 35.0]

    assert back - healed <= 30.0
    assert only or fault["kind"] == "down" or {"served"} == set(states(found))  # who goes down breaks streams
    assert late
    assert {PRIMARY} == {asked.decision.answered_by for asked in late if asked.decision}


@pytest.mark.parametrize("rate", [2.0, 5.0, 20.0])
def test_a_flapping_vendor_is_left_alone(rate: float) -> None:
    """Every second call fails: the breaker opens within 20 calls and does not open, close and open within 30 s."""
    vendors = {"deepseek": {"faults": [{"kind": "error", "status": 503, "every": 2}]}, "groq": {}}
    found = played(vendors, [PRIMARY, SAFE], **every(1 / rate, 120.0))
    opened, closed = switches(found, PRIMARY)
    before = [call for call in calls_of(found, PRIMARY) if call.ended is not None and call.ended <= opened[0] + MOMENT]

    assert {"served": len(found.asked)} == states(found)
    assert len(before) <= 20
    assert [] == oscillations(opened, closed)


def switches(found: Played, target: str) -> tuple[list[float], list[float]]:
    """Give when the breaker of a target opened, and when it closed."""
    events = [event for event in found.events if event.name == f"model {target}" and event.state == "open"]
    return [e.at for e in events if e.seconds > 0], [e.at for e in events if e.seconds == 0]


def oscillations(opened: Sequence[float], closed: Sequence[float]) -> list[tuple[float, float, float]]:
    """Find open, closed, open within 30 s."""
    found = []
    for shut in closed:
        before = max((at for at in opened if at < shut), default=None)
        after = min((at for at in opened if at > shut), default=None)
        if before is not None and after is not None and after - before < 30.0:
            found.append((before, shut, after))
    return found


@pytest.mark.parametrize("targets", [[PRIMARY], [PRIMARY, SAFE]], ids=["only", "of two"])
def test_a_half_open_target_is_given_one_call(targets: list[str]) -> None:
    """Of 200 requests that come at once when the rest is over, exactly one is the probe."""
    fault = {"kind": "error", "status": 503, "until": 3.0}
    vendors = {"deepseek": {"faults": [fault], "first_content": 1.0}, "groq": {}}
    at_once = [Question(number, 8.0, "smart", True, 10, 40) for number in range(100, 300)]
    first = [Question(number, number * 0.2, "smart", True, 10, 40) for number in range(1, 9)]
    found = played(vendors, targets, workload=[*first, *at_once])
    opened, _ = switches(found, PRIMARY)
    probes = [call for call in calls_of(found, PRIMARY) if 8.0 <= call.at < 9.0]

    assert opened
    assert max(opened) < 8.0
    assert 1 == len(probes)
    assert probes[0].outcome == "answered"


# -- waiting ------------------------------------------------------------------------------------

LIMITED = {"faults": [{"kind": "rate_limit", "retry_after": 5.0, "until": 5.0}], "names_wait": True}


@pytest.mark.parametrize("wait", [True, False])
def test_waiting_for_the_first_that_comes_back(wait: bool) -> None:
    """With `wait` a request outlives the rests of all targets; without it, it fails and says when to come back."""
    vendors, workload = {"deepseek": LIMITED, "minimax": LIMITED}, [Question(1, 0.0, "smart", False, 10, 40, 20.0)]
    found = played(vendors, [PRIMARY, SECOND], route={"retries": {"wait": wait}}, workload=workload)
    (asked,) = found.asked

    if wait:
        assert ("served", True) == (asked.state, 5.0 <= asked.seconds < 8.0)
    else:
        assert ("failed", "429 all_targets_limited") == (asked.state, asked.reason)
        assert asked.retry_after == pytest.approx(5.0, abs=0.2)


def test_nobody_waits_past_his_deadline() -> None:
    """Where the first to come back is later than the deadline, `wait` fails at once."""
    workload = [Question(1, 0.0, "smart", False, 10, 40, 4.0)]
    found = played({"deepseek": LIMITED}, [PRIMARY], route={"retries": {"wait": True}}, workload=workload)
    (asked,) = found.asked

    assert "failed" == asked.state
    assert asked.seconds < 1.0


@pytest.mark.parametrize(("patience", "answered"), [(3.0, PRIMARY), (1.0, SAFE), (0.0, SAFE)])
def test_patience_bounds_the_wait_for_a_throttled_target(patience: float, answered: str) -> None:
    """A wait of 2 s is waited for within the patience; beyond it the next target answers at once."""
    fault = {"kind": "rate_limit", "retry_after": 2.0, "until": 2.0}
    vendors = {"deepseek": {"faults": [fault], "names_wait": True}, "groq": {}}
    workload = [Question(1, 0.0, "smart", False, 10, 40)]
    found = played(vendors, [PRIMARY, SAFE], route={"retries": {"patience": patience}}, workload=workload)
    (asked,) = found.asked
    decision = asked.decision

    assert decision is not None
    assert answered == decision.answered_by
    assert (answered == PRIMARY) == (decision.steps[-1].start >= 2.0)


# -- hedging ------------------------------------------------------------------------------------


def hedged(hedge: Mapping[str, float] | None) -> Played:
    """Ask a vendor one of whose answers in forty is slow, with or without a second one."""
    tail = [{"kind": "slow", "factor": 12.0, "share": 0.025}]
    vendors = {"deepseek": {"faults": tail, "first_content": {"median": 0.3, "p95": 0.4}}, "groq": {}}
    request = {"stream": 1.0, "tokens": 20, "pieces": 2}
    route = {"hedge": hedge} if hedge else {}
    return played(vendors, [PRIMARY, SAFE], route=route, seed=11, requests=1200, duration=None, request=request)


def test_hedging_buys_its_tail_with_few_calls() -> None:
    """A second target asked late lowers p99, for at most 5 % more calls, and whoever loses is closed at once."""
    plain, found = hedged(None), hedged({"quantile": 0.95, "extra": 0.05})
    answered = {call.question: call for call in found.upstream if call.outcome == "answered"}
    lost = [call for call in found.upstream if call.outcome == "left"]

    assert {"served": 1200} == states(plain) == states(found)
    assert 1200 == len(plain.upstream)
    assert 10 < len(found.upstream) - 1200 <= 0.05 * 1200 + 5  # five may be spent before they are earned
    assert p99(found.asked) < 0.6 * p99(plain.asked)
    assert lost
    for call in lost:
        winner = answered[call.question]
        assert winner.first_content is not None
        assert call.ended is not None
        assert call.ended - winner.first_content <= 0.1


def p99(asked: Sequence[Asked]) -> float:
    times = sorted(one.first_content for one in asked if one.first_content is not None)
    return times[int(len(times) * 0.99)]


# -- streams ------------------------------------------------------------------------------------

EACH = 2500
BREAKS = ({"kind": "cut"}, {"kind": "error_event"}, {"kind": "bad_json"})


@pytest.mark.parametrize(
    ("route", "after"),
    [({}, 0), ({"recovery": "hold", "hold": 250}, 3), ({"recovery": "buffer"}, 3), ({"recovery": "continue"}, 2)],
    ids=["before content", "hold", "buffer", "continue"],
)
def test_streams_that_break_before_the_promise_reach_nobody(
    route: dict[str, Any], after: int, record_property: Any
) -> None:
    """Of 10,000 streams, of which thousands break before they are promised to a client, no client notices one."""
    faults = [{**fault, "share": 0.05, "after": after} for fault in BREAKS if after or fault["kind"] != "bad_json"]
    # The one that goes on after another's text is DeepSeek, so it comes second.
    vendors, targets = {"openai": {"faults": faults}, "deepseek": {}}, [OPENAI, PRIMARY]
    request = {"stream": 1.0, "tokens": 80, "pieces": 4}
    found = played(
        vendors, targets, route=route, requests=EACH, duration=None, request=request, arrivals={"rate": 20.0}
    )
    broken = sum(call.outcome in {"cut", "error_event"} for call in found.upstream)
    noticed = sum(asked.state != "served" or asked.garbled for asked in found.asked)
    record_property("streams", f"{EACH}, {broken} of them broken, {noticed} noticed")
    print(f"{EACH} streams, {broken} broken before the promise, {noticed} noticed by a client")  # noqa: T201  # the figure

    assert broken > EACH / 15
    assert 0 == noticed
