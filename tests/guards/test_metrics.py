"""What Prometheus is told of calls: how they ended, what they took, cost and used."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from aigateway.errors import RequestError
from aigateway.guards import SHARED, GuardOptions, Metrics, forget
from aigateway.guards._metrics import MOST_TARGETS
from aigateway.testing import LoopClock
from aigateway.types import Call, ChatRequest, Cost, Outcome, Reply, Step, Usage

pytestmark = pytest.mark.anyio
USED = Usage(input=10, output=4, cached=3, cache_write=2, source="reported")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def guard() -> Metrics:
    return Metrics(GuardOptions("metrics", LoopClock(), Random(0)))


def a_call(*steps: Step) -> Call:
    call = Call(ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]}))
    call.trace.steps += steps
    return call


def figures(metrics: Metrics) -> dict[str, float]:
    """Read the page as Prometheus does."""
    lines = [line for line in metrics.page().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def grown(metrics: Metrics, call: Call, outcome: Outcome) -> dict[str, float]:
    """Tell of one call; give what grew, and by how much."""
    before = figures(metrics)
    await metrics.enter(call)
    assert before.get("aigateway_calls_under_way", 0) + 1 == figures(metrics)["aigateway_calls_under_way"]
    await metrics.leave(call, outcome)
    after = figures(metrics)
    return {
        name: round(value - before.get(name, 0), 15)
        for name, value in after.items()
        if value != before.get(name, 0) and "_created" not in name and "_bucket" not in name
    }


async def test_a_call_that_failed_over() -> None:
    """Each attempt counts by its target and its end; tokens and money by the one that was billed."""
    failed = Step("a/m", "overloaded", seconds=0.1)
    good = Step("b/n", "complete", billed="yes", usage=USED, cost=Cost(1_500_000_000, "priced"))
    found = await grown(guard(), a_call(failed, good), Outcome("complete", USED, seconds=2.0, first_content=0.5))

    assert {
        'aigateway_requests_total{operation="chat",outcome="complete"}': 1,
        'aigateway_request_seconds_count{operation="chat"}': 1,
        'aigateway_request_seconds_sum{operation="chat"}': 2.0,
        'aigateway_first_content_seconds_count{model="n",provider="b"}': 1,
        'aigateway_first_content_seconds_sum{model="n",provider="b"}': 0.5,
        'aigateway_attempts_total{model="m",outcome="overloaded",provider="a"}': 1,
        'aigateway_attempts_total{model="n",outcome="complete",provider="b"}': 1,
        'aigateway_tokens_total{kind="input",model="n",provider="b"}': 5,
        'aigateway_tokens_total{kind="cached",model="n",provider="b"}': 3,
        'aigateway_tokens_total{kind="cache_write",model="n",provider="b"}': 2,
        'aigateway_tokens_total{kind="output",model="n",provider="b"}': 4,
        'aigateway_cost_dollars_total{model="n",provider="b",source="priced"}': 0.0015,
    } == found


@pytest.mark.parametrize(
    ("steps", "seconds", "first"),
    [
        ((Step("a/m", "stream_interrupted", first_content=0.5), Step("b/n", "complete", start=3.0)), 0.5, "m"),
        ((Step("b/n", "complete", start=0.25, first_content=0.25), Step("a/m", "cancelled")), 0.5, "n"),
        ((Step("a/m", "overloaded", first_content=0.2), Step("b/n", "complete", start=1, first_content=0.5)), 1.5, "n"),
    ],
    ids=["went on", "was late", "held back"],
)
async def test_who_gave_the_first_content(steps: tuple[Step, ...], seconds: float, first: str) -> None:
    """Not who ended the answer, nor who was asked last."""
    found = await grown(guard(), a_call(*steps), Outcome("complete", seconds=4.0, first_content=seconds))
    provider = {"m": "a", "n": "b"}[first]

    name = f'aigateway_first_content_seconds_sum{{model="{first}",provider="{provider}"}}'
    assert {name: seconds} == {key: value for key, value in found.items() if "content_seconds_sum" in key}


def test_copies_are_counted_apart() -> None:
    """What a copy used and cost is in its own figures, and in none of what callers asked for."""
    metrics = guard()
    before = figures(metrics)
    metrics.copied([Step("s/t", "complete", billed="yes", usage=USED, cost=Cost(10**12, "priced"), role="shadow")])
    found = {
        name: value for name, value in figures(metrics).items() if before.get(name) != value and "_created" not in name
    }

    assert all(name.startswith("aigateway_shadow_") for name in found)
    assert 1.0 == found['aigateway_shadow_cost_dollars_total{model="t",provider="s",source="priced"}']
    assert 1.0 == found['aigateway_shadow_attempts_total{model="t",outcome="complete",provider="s"}']
    assert 4.0 == found['aigateway_shadow_tokens_total{kind="output",model="t",provider="s"}']


async def test_what_a_guard_answered() -> None:
    """An answer that was kept is a request, and no attempt, no tokens, no money."""
    call = a_call(Step("a/m", "complete", usage=USED))
    call.reply = Reply({"choices": []}, USED)
    found = await grown(guard(), call, Outcome("complete", USED, seconds=0.01, first_content=0.01))

    assert {"aigateway_requests_total", "aigateway_request_seconds_count", "aigateway_request_seconds_sum"} == {
        name.partition("{")[0] for name in found
    }


async def test_an_unknown_cost_is_no_zero() -> None:
    """What nobody can price is not counted as money."""
    step = Step("a/m", "complete", billed="yes", usage=Usage(), cost=Cost())
    found = await grown(guard(), a_call(step), Outcome("failed", error=RequestError("x")))

    assert not [name for name in found if "cost" in name or "tokens" in name]


async def test_what_was_not_used_is_not_told() -> None:
    """A bucket nothing went into makes no line of its own."""
    step = Step("a/plain", "complete", billed="yes", usage=Usage(7, 0, source="reported"), cost=Cost())
    found = await grown(guard(), a_call(step), Outcome("complete"))

    assert {'aigateway_tokens_total{kind="input",model="plain",provider="a"}'} == {n for n in found if "tokens" in n}


async def test_names_are_bounded() -> None:
    """However many models callers invent, so many are told and the rest as one."""
    metrics, outcome = guard(), Outcome("failed")
    for number in range(MOST_TARGETS + 50):
        call = a_call(Step(f"p/invented-{number}", "model_not_found"))
        await metrics.enter(call)
        await metrics.leave(call, outcome)
    page: Any = figures(metrics)

    assert 50 <= page['aigateway_attempts_total{model="other",outcome="model_not_found",provider="other"}']
    assert MOST_TARGETS >= len([name for name in page if name.startswith("aigateway_attempts_total") and "inv" in name])


def test_http_requests_are_counted() -> None:
    """Requests that never became a call count by their status."""
    metrics = guard()
    before = figures(metrics).get('aigateway_http_requests_total{status="401"}', 0)
    metrics.http(401)

    assert before + 1 == figures(metrics)['aigateway_http_requests_total{status="401"}']


def test_workers_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of several workers answers, its page has the figures of all; one that ended has nothing under way."""
    monkeypatch.setenv(SHARED, str(tmp_path))
    for process in (71, 72):
        for kind, name, value in (("counter", "aigateway_x_total", 3.0), ("gauge_livesum", "aigateway_y", 2.0)):
            written = MmapedDict(str(tmp_path / f"{kind}_{process}.db"))
            written.write_value(mmap_key(name.removesuffix("_total"), name, [], [], "Told."), value, 0.0)
            written.close()
    metrics = guard()
    both = figures(metrics)
    forget(71)
    one = figures(metrics)

    assert (6.0, 4.0) == (both["aigateway_x_total"], both["aigateway_y"])
    assert (6.0, 2.0) == (one["aigateway_x_total"], one["aigateway_y"])


def test_a_process_alone_has_nothing_to_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures are its own: the end of another changes none."""
    monkeypatch.delenv(SHARED, raising=False)
    before = guard().page()
    forget(71)

    assert before == guard().page()
