"""C. Retry, breaker, overload: never a storm upstream, never longer away than needed."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import anyio

from .ask import Answer
from .judging import begin, whole
from .scripts import answers, refuses, silent
from .settings import provider, route, routes
from .vendor import Script, Turn
from .wall import SERVED, Stage, row

THREE = provider("primary") + provider("fallback") + provider("third")


def flapping() -> Script:
    """Fail every other time."""
    calls = 0

    async def play(turn: Turn) -> None:
        nonlocal calls
        calls += 1
        await (refuses(503) if calls % 2 else answers())(turn)

    return play


@row("35", takes=35)
async def test_row_35_flapping(stage: Stage) -> str:
    """flapping provider (50% errors, alternate) → breaker opens within 20 calls; each return is later than the one
    before, up to 25 s: a few calls in 30 s
    """
    begin(stage, flapping())
    while (await stage.ask()).provider == "primary":
        assert len(stage.primary.asked) <= 22
    opened, before = time.monotonic(), len(stage.primary.asked)
    while time.monotonic() - opened < max(stage.seconds(30), 6):
        assert whole(await stage.ask(), stage, "primary", "fallback")
        await anyio.sleep(0.2)
    probes = len(stage.primary.asked) - before
    rests = [gap for gap in stage.primary.gaps[before - 1 :] if gap > 2]

    assert before <= 20
    assert probes <= 6
    assert sorted(rests) == rests
    rested = ", ".join(f"{rest:.1f}" for rest in rests)
    return f"open after {before} calls; {probes} more in {time.monotonic() - opened:.0f} s, after rests of {rested} s"


@row("36", takes=12)
async def test_row_36_half_open(stage: Stage) -> str:
    """half-open, 200 waiting requests → exactly 1 probe"""
    begin(stage, refuses(503))
    while len(stage.primary.asked) < 5:
        await stage.ask()
    stage.primary.plays(answers(late=4))
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(30):
            while len(stage.primary.asked) <= 5:
                tasks.start_soon(stage.ask)
                await anyio.sleep(0.2)
        for _ in range(200):
            tasks.start_soon(partial(stage.ask, stream=False))
    probe = stage.primary.asked[5]
    meanwhile = [call for call in stage.primary.asked[5:] if call.at < probe.at + 3.5]

    assert all(whole(answer, stage, "primary", "fallback") for answer in stage.answers)
    assert 1 == len(meanwhile)
    return f"{len(meanwhile)} call on probation, {len(stage.answers)} of {len(stage.answers)} served"


LATE = routes(late="primary/a fallback/b") + "timeouts = { total = 30.0 }"


@row("37", route(LATE), takes=32)
async def test_row_37_slow_without_errors(stage: Stage) -> str:
    """provider latency times ten without errors → hedging off by default; deadline respected"""
    begin(stage, answers(late=0.05), answers(late=0.5), answers(late=0.5))
    for _ in range(3):
        assert whole(await stage.ask(), stage, "primary")
    assert not stage.fallback.asked
    stage.primary.plays(answers(pace=stage.seconds(1)))
    late = await stage.ask("late")

    assert "stream_interrupted" == late.error
    assert late.seconds <= stage.within(31)
    return f"slow: answered by the primary alone; slower than the deadline of 30 s: {late}"


@row("38", route("hedge = { quantile = 0.9, extra = 0.5 }"), takes=4)
async def test_row_38_hedging(stage: Stage) -> str:
    """hedging on: both would succeed → one result, loser cancelled < 1 s, each call recorded once"""
    begin(stage, answers())
    for _ in range(20):  # so many times are known before a quantile counts
        await stage.ask()
    stage.primary.plays(answers(late=8))
    answer = await stage.ask()
    won = time.monotonic()
    loser = stage.primary.asked[-1]
    with anyio.fail_after(5):
        while not loser.closed:
            await anyio.sleep(0.01)

    assert whole(answer, stage, "fallback")
    assert (loser.closed_at or 0) - won < 1
    assert 1 == len(stage.fallback.asked)
    if answer.decision is not None:
        steps = [(stage.names.plain(step.target), step.outcome, step.billed) for step in answer.decision.steps]
        assert [("fallback/model-b", "complete", "yes"), ("primary/model-a", "cancelled", "maybe")] == sorted(steps)
    return f"{answer}; the loser was closed {max(0.0, (loser.closed_at or 0) - won):.2f} s later"


@row("39", provider("primary") + routes(smart="primary/a"), takes=12)
async def test_row_39_single_provider(stage: Stage) -> str:
    """single provider configured → while the breaker is open one call a second is let through all the same"""
    stage.primary.plays(refuses(503))
    for _ in range(10):
        assert 503 == (await stage.ask()).status
    calls = len(stage.primary.asked)
    stage.primary.plays(answers())
    healed = time.monotonic()
    while not (answer := await stage.ask()).ok:
        await anyio.sleep(0.1)
    away = time.monotonic() - healed

    assert whole(answer, stage, "primary")
    assert away < 3.5  # the breaker alone would take 4 to 5
    assert calls <= 10
    return f"10 failures cost {calls} calls; answered again {away:.1f} s after the healing"


DEADLINE = "timeouts = { total = 20.0 }"


@row("41", THREE + routes(smart="primary/a fallback/b third/c") + DEADLINE, takes=21)
async def test_row_41_deadline(stage: Stage) -> str:
    """deadline given by caller or route → kept over all attempts and sleeps, give or take 5 %"""
    stage.primary.plays(refuses(503), silent())
    for name in ("fallback", "third"):
        stage.vendors[name].plays(silent())
    own: dict[str, Any] = {} if stage.served else {"timeout": stage.seconds(20)}
    answer = await stage.ask(**own)

    calls = [call for vendor in stage.vendors.values() for call in vendor.asked]
    took = max(call.closed_at or call.at for call in calls) - min(call.at for call in calls)

    assert answer.status in {503, 504}
    assert not stage.fallback.asked  # its time is up with the primary's
    assert took <= stage.within(21)
    assert answer.seconds <= stage.within(25)
    return f"deadline of 20 s: {answer}; {took:.1f} s from the first call to the end of the last"


@row("42", THREE + routes(smart="primary/a fallback/b third/c"), takes=2)
async def test_row_42_order(stage: Stage) -> str:
    """failover order honoured under concurrency → every request in the order of the configuration"""
    for vendor in stage.vendors.values():
        vendor.plays(answers())
    well = await many(stage, 50)
    stage.primary.plays(refuses(503))
    ill = await many(stage, 50)

    assert ["primary"] * 50 == [answer.provider for answer in well]
    assert ["fallback"] * 50 == [answer.provider for answer in ill]
    assert not stage.vendors["third"].asked
    return "50 at once: all by the first; the first down: all by the second, none by the third"


async def many(stage: Stage, count: int) -> list[Answer]:
    """Ask at once."""
    before = len(stage.answers)
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(partial(stage.ask, stream=False))
    return stage.answers[before:]


@row("43", doors=SERVED)
async def test_row_43_nested_retries(stage: Stage) -> str:
    """two nested retry layers (OpenAI's SDK in front, with 2 retries) → upstream attempts within our bound (3),
    not 9
    """
    stage.primary.plays(refuses(503))
    stage.fallback.plays(refuses(503))
    answer = await stage.ask(retries=2)
    calls = len(stage.primary.asked) + len(stage.fallback.asked)

    assert (503, "false") == (answer.status, answer.headers["x-should-retry"])
    assert calls <= 3
    return f"{answer}; {calls} calls upstream"
