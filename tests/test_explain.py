"""A decision read aloud, and the dry run: what would be asked now, without asking anybody or changing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from aigateway import NoAnswer, RequestError, StreamInterrupted
from aigateway.errors import Kind, ProviderError, UnknownModel, Vendor
from aigateway.types import Caller, ChatRequest, Chunk, Decision, Target

from .exchange.parts import Parts, Watch, fails, gateway, reply_of, stream_of

pytestmark = pytest.mark.anyio
ROUTE: dict[str, Any] = {"targets": ["a/a-1", "b/b-1"], "retries": {"same_target": 0}}
PROMPT = "the words of the caller"


def answers(text: str) -> Callable[[ChatRequest], Any]:
    return lambda request: stream_of(text) if request.stream else reply_of(text)


async def wait(seconds: float, text: str) -> Any:
    await anyio.sleep(seconds)
    return reply_of(text)


def lines(decision: Decision | None) -> list[str]:
    assert decision is not None
    return decision.explain().splitlines()


def routes(**route: Any) -> dict[str, Any]:
    return {"routes": {"smart": {**ROUTE, **route}}}


async def test_a_plain_answer() -> None:
    """One sentence for the name, one for who answered; the record says who asked, when, and what it came to."""
    made = gateway(Parts(a=answers("hi"), b=answers("no")), **routes())
    reply = await made.chat("smart", PROMPT, caller=Caller("editor"))
    decision = reply.decision
    assert decision is not None

    assert "'smart' is the route 'smart', to be tried in this order: a/a-1, b/b-1." == lines(decision)[0]
    assert lines(decision)[1].startswith("a/a-1 answered in ")
    assert 2 == len(lines(decision))
    assert ("editor", "chat", False, 600.0, 1) == (
        decision.caller, decision.operation, decision.stream, decision.timeout, decision.seed
    )  # fmt: skip  # one row
    assert ("complete", 0, "") == (decision.ended.state, decision.ended.status, decision.ended.code)
    assert decision.at > 0
    assert decision == made.decisions.find(decision.id) == Decision.from_json(decision.to_json())
    assert PROMPT not in decision.to_json()


async def test_a_failover_with_a_wait() -> None:
    """Who failed how, how long was waited, who answered, what all of it cost the caller in time."""
    route = routes(targets=["a/a-1"], retries={"same_target": 1, "patience": 1.0})
    turns = iter([ProviderError(Kind.RATE_LIMIT, "slow down", retry_after=0.1), reply_of("hi")])
    reply = await gateway(Parts(a=lambda _: next(turns)), **route).chat("smart", PROMPT)
    told = lines(reply.decision)

    assert told[1].endswith(" with rate_limit: slow down; it said to come back in 0.1 s.")
    assert "(after a wait of 0.10 s)." in told[2]


async def test_everything_rests() -> None:
    """Nobody was asked: who rests, for how long, after what, and what the caller was told."""
    made = gateway(Parts(a=fails(Kind.RATE_LIMIT, retry_after=60.0)), **routes(targets=["a/a-1"]))
    for _ in range(2):
        with pytest.raises(NoAnswer) as caught:
            await made.chat("smart", PROMPT)
    told = lines(caught.value.decision)

    assert told[1].startswith("a/a-1 was not asked: it rests for ")
    assert "Nobody was asked." == told[2]
    assert told[3].startswith("The caller was told 429 (all_targets_limited) after 0.")


async def test_nothing_a_vendor_says_is_in_the_record() -> None:
    """A vendor's words may repeat the prompt: the record has its status and its code, the error has the words."""
    vendor = Vendor(status=400, code="bad_thing")
    odd = Vendor(status=500, code=f"we do not like {PROMPT}")
    parts = Parts(
        a=lambda _: ProviderError(Kind.SERVER_ERROR, f"no: {PROMPT}", vendor=odd),
        b=lambda _: ProviderError(Kind.BAD_REQUEST, f"you said {PROMPT}", vendor=vendor),
    )
    with pytest.raises(ProviderError) as caught:
        await gateway(parts, **routes()).chat("smart", PROMPT)
    decision = caught.value.decision
    assert decision is not None

    assert PROMPT in caught.value.message
    assert PROMPT not in decision.to_json() + decision.explain()
    assert ["status 500", "status 400, bad_thing"] == [step.reason for step in decision.steps]


async def test_a_second_target_beside_a_late_one() -> None:
    """A hedge: who was late, who was asked as well, who was given up."""
    route = routes(hedge={"quantile": 0.5, "extra": 0.5})
    slow = {"seconds": 0.0}
    made = gateway(Parts(a=lambda _: wait(slow["seconds"], "a"), b=answers("b")), **route)
    for _ in range(25):
        await made.chat("smart", PROMPT)
    slow["seconds"] = 30.0
    told = lines((await made.chat("smart", PROMPT)).decision)

    assert told[1].startswith("a/a-1 was given up after ")
    assert told[1].endswith(", because b/b-1 was quicker.")
    assert told[2].startswith("b/b-1, asked as well because a/a-1 was late, answered in ")


async def test_an_answer_that_is_gone_on_with() -> None:
    """Who broke off, and who ended the answer."""

    def broken(_: ChatRequest) -> AsyncIterator[Chunk]:
        return stream_of("one two", ProviderError(Kind.STREAM_INTERRUPTED, "gone"))

    made = gateway(Parts(a=broken, b=answers("three")), **routes(recovery="continue"))
    for provider in made.parts.providers.values():
        provider.continuation = lambda request, text: request  # type: ignore[union-attr]  # an optional method
    async with made.stream("smart", PROMPT) as chunks:
        text = "".join([chunk.text async for chunk in chunks])
    told = lines(chunks.decision)

    assert "onetwothree" == text
    assert "a/a-1 failed after " in told[1]
    assert "it broke off before its end (stream_interrupted)" in told[1]
    assert told[2].startswith("b/b-1, asked to go on where a/a-1 broke off, ended the answer in ")


async def test_a_stream_that_breaks_tells_its_error() -> None:
    """The error has the decision, the caller's part of the story included."""
    made = gateway(
        Parts(a=lambda _: stream_of("one", ProviderError(Kind.SERVER_ERROR, "x"))), **routes(targets=["a/a-1"])
    )
    with pytest.raises(StreamInterrupted) as caught:
        async with made.stream("smart", PROMPT) as chunks:
            [chunk async for chunk in chunks]

    assert "it broke off before its end (server_error)" in lines(caught.value.decision)[1]
    assert "The caller has a part of the answer, and was told that it broke off." == lines(caught.value.decision)[-1]


async def test_a_guard_that_answers_and_one_that_refuses() -> None:
    """Neither asks anybody, and the record says so."""
    cached = gateway(Parts({"answers": Watch([], reply_of("known"))}, a=answers("hi")), **routes(targets=["a/a-1"]))
    told = lines((await cached.chat("smart", PROMPT)).decision)
    full = gateway(
        Parts({"full": Watch([], RequestError("no", code="no"))}, a=answers("hi")), **routes(targets=["a/a-1"])
    )
    with pytest.raises(RequestError) as caught:
        await full.chat("smart", PROMPT)

    assert "A guard answered; nobody was asked." == told[-1]
    assert "Nobody was asked." == lines(caught.value.decision)[1]
    assert lines(caught.value.decision)[2].startswith("The caller was told 400 (no) after 0.")


async def test_a_copy_for_comparison() -> None:
    """A shadow's decision stands beside the request's own, under its id and `-shadow`; what it cost is in no other."""
    route = {"targets": ["a/a-1"], "shadow": {"to": "b/b-1", "share": 1.0}}
    async with gateway(Parts(a=answers("a"), b=answers("b")), routes={"smart": route}) as made:
        reply = await made.chat("smart", PROMPT)
        assert reply.decision is not None
        with anyio.fail_after(30):
            while made.decisions.find(f"{reply.decision.id}-shadow") is None:
                await anyio.sleep(0.01)
        copy = made.decisions.find(f"{reply.decision.id}-shadow")
        told = lines(copy)

    assert copy is not None
    assert f"'smart' is a copy of the request {reply.decision.id}." == told[0]
    assert told[1].startswith("b/b-1, asked for comparison only, answered in ")
    assert "No caller saw that answer." == told[2]
    assert ["a/a-1"] == [step.target for step in reply.decision.steps]
    assert None is copy.answered_by


async def test_a_caller_who_leaves() -> None:
    """Nobody failed: it was given up."""
    made = gateway(Parts(a=lambda _: wait(60.0, "late")), **routes(targets=["a/a-1"]))
    with anyio.move_on_after(0.05):
        await made.chat("smart", PROMPT)
    decision = next(made.decisions.last(1))

    assert "cancelled" == decision.ended.state
    assert lines(decision)[-1].startswith("It was given up after 0.")
    assert "failed" not in decision.explain()


# -- the dry run ------------------------------------------------------------------------------


async def test_a_dry_run_asks_nobody_and_changes_nothing() -> None:
    """It tells the order, takes no turn, draws no number, and is not kept."""
    parts = Parts(a=answers("a"), b=answers("b"))
    made = gateway(parts, **routes(policy="round_robin"))
    twin = gateway(Parts(a=answers("a"), b=answers("b")), **routes(policy="round_robin"))
    dry = [made.explain("smart", PROMPT) for _ in range(3)]
    asked = [(await made.chat("smart", PROMPT)).decision for _ in range(3)]
    alone = [(await twin.chat("smart", PROMPT)).decision for _ in range(3)]

    assert "a/a-1 would be asked first; if that fails, b/b-1." in lines(dry[0])[0]
    assert "This was a dry run: nobody was asked." == lines(dry[0])[-1]
    assert {("a/a-1", "b/b-1")} == {decision.candidates for decision in dry}
    assert [d.answered_by for d in alone if d] == [d.answered_by for d in asked if d]
    assert ("dry", 3) == (dry[0].ended.state, len(list(made.decisions.last(10))))
    assert dry[0] == Decision.from_json(dry[0].to_json())


async def test_a_dry_run_says_what_rests() -> None:
    """On live state: who failed a moment ago would not be asked now."""
    made = gateway(Parts(a=fails(Kind.RATE_LIMIT, retry_after=60.0), b=answers("b")), **routes())
    before = made.explain("smart", PROMPT)
    await made.chat("smart", PROMPT)
    after = made.explain("smart", {"messages": [{"role": "user", "content": PROMPT}]})

    assert () == before.dropped
    assert [("a/a-1", "rest")] == [drop[:2] for drop in after.dropped]
    assert "'smart' is the route 'smart'. b/b-1 would be asked first." == lines(after)[0]
    assert lines(after)[1].startswith("a/a-1 would not be asked: it rests for ")


async def test_a_dry_run_of_what_nobody_can_serve() -> None:
    """Every target is named with what drops it; a name nobody knows is an error."""
    made = gateway(Parts(a=answers("a"), b=answers("b")), **routes())
    dry = made.explain("smart", {"messages": [{"role": "user"}], "routing": {"max_price": {"input": 0.0}}})

    assert [("a/a-1", "max_price"), ("b/b-1", "max_price")] == [drop[:2] for drop in dry.dropped]
    assert "'smart' is the route 'smart'. Nobody would be asked." == lines(dry)[0]
    assert 400 == dry.ended.status
    with pytest.raises(UnknownModel):
        made.explain("smrat", PROMPT)
    with pytest.raises(RequestError):
        made.explain("smart", {"messages": "no list"})


async def test_what_a_policy_saw_is_told() -> None:
    """The values that made the order are in the record, as far as the policy looked."""
    made = gateway(Parts(a=answers("a"), b=answers("b")), **routes(policy="fastest"))
    now = made.clock.now()
    for seconds, name in ((0.5, "a"), (0.1, "b")):
        made.memory.timed(Target(name, f"{name}-1"), seconds, stream=True, now=now)
    decision = made.explain("smart")

    assert ("b/b-1", "a/a-1") == decision.candidates
    assert "b/b-1: first content in 0.1 s" in decision.explain()
    assert [0.1, 0.5] == [seen.first_content for seen in decision.considered]
