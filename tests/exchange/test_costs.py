"""What calls cost: told where the vendor tells, estimated where it may have counted, nothing where it has not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from aigateway import Gateway
from aigateway.errors import Kind, NoAnswer, ProviderError, StreamInterrupted
from aigateway.exchange._said import said_in, said_in_reply
from aigateway.types import Chunk, Cost, NativeChunk, NativeReply, Reply, Said, Usage

from .parts import Parts, Watch, fails, gateway, reply_of, stream_of

pytestmark = pytest.mark.anyio

PRICED = {f"{name}/{name}-1": {"prices": [{"input": 1, "output": 10}]} for name in "ab"}
ASKED = "x" * 396  # 99 tokens, and 4 for the message
SENT = 103 * 1_000_000


def made(**providers: Any) -> Gateway:
    return gateway(Parts(**providers), models={name: PRICED[name] for name in PRICED if name[0] in providers})


def untold(text: str) -> Reply:
    reply = reply_of(text)
    reply.usage = Usage()
    return reply


async def test_a_reported_answer_is_priced() -> None:
    """What the vendor reports, times the price; nothing is estimated."""
    reply = await made(a=lambda _: "said").chat("smart", ASKED)

    assert (Cost(11_000_000, "priced"), "reported") == (reply.cost, reply.usage.source)


async def test_an_answer_without_usage_is_estimated() -> None:
    """The request and the answer are measured; both figures say that they are estimates."""
    reply = await made(a=lambda _: untold("y" * 80)).chat("smart", ASKED)

    assert Usage(103, 20, source="estimated") == reply.usage
    assert Cost(SENT + 20 * 10_000_000, "estimated") == reply.cost
    assert "usage" not in reply.body


async def test_a_failure_that_may_have_been_billed_is_estimated() -> None:
    """A timeout costs its request, as far as anybody knows; a refused connection costs nothing."""
    reply = await made(a=fails(Kind.TIMEOUT), b=lambda _: "said").chat("smart", ASKED)
    failed, done = reply.decision.steps[0], reply.decision.steps[-1]  # type: ignore[union-attr]  # it has one

    assert ("timeout", Cost(SENT, "estimated")) == (failed.outcome, failed.cost)
    assert Cost(11_000_000, "priced") == done.cost
    assert "estimated" == reply.cost.source

    reply = await made(a=fails(Kind.CONNECT), b=lambda _: "said").chat("smart", ASKED)

    assert Cost() == reply.decision.steps[0].cost  # type: ignore[union-attr]  # as above
    assert Cost(11_000_000, "priced") == reply.cost


async def test_a_broken_stream_is_estimated() -> None:
    """The request, and what had come back when it broke."""
    broke = ProviderError(Kind.STREAM_INTERRUPTED, "gone")
    chunks = made(a=lambda _: stream_of("y" * 40 + " " + "z" * 40, broke)).stream("smart", ASKED)
    async with chunks:
        with pytest.raises(StreamInterrupted) as interrupted:
            async for _ in chunks:
                pass

    assert Usage(103, 20, source="estimated") == chunks.usage == interrupted.value.usage
    assert Cost(SENT + 20 * 10_000_000, "estimated") == chunks.decision.cost  # type: ignore[union-attr]  # it has ended


async def test_a_stream_that_is_left_is_estimated() -> None:
    """What had been read by then."""
    chunks = made(a=lambda _: stream_of("y" * 40 + " " + "z" * 40, wait=0.01)).stream("smart", ASKED)
    async with chunks:
        await anext(chunks)

    assert Usage(103, 10, source="estimated") == chunks.usage


async def test_a_stream_is_told_at_its_end() -> None:
    """Its usage chunk goes before every estimate."""
    chunks = made(a=lambda _: stream_of("one two")).stream("smart", ASKED)
    async with chunks:
        async for _ in chunks:
            pass

    assert Cost(21_000_000, "priced") == chunks.decision.cost  # type: ignore[union-attr]  # it has ended


async def test_a_model_without_a_price_has_an_unknown_cost() -> None:
    """Its usage is known, what that costs is not; never a 0."""
    reply = await gateway(Parts(a=lambda _: "said")).chat("smart", ASKED)

    assert (Cost(None, "unknown"), 1) == (reply.cost, reply.usage.input)


async def test_an_answer_of_a_guard_costs_nothing() -> None:
    """No vendor was asked: that is a known 0, and teaches nothing."""
    kept = reply_of("kept")
    asked = gateway(Parts({"answers": Watch([], kept)}, a=lambda _: "said"), models={"a/a-1": PRICED["a/a-1"]})
    reply = await asked.chat("smart", ASKED)

    assert ("kept", Cost(0, "priced")) == (reply.text, reply.cost)
    assert {} == asked.memory.use() == asked.parts.estimator._models


async def test_estimates_learn_from_what_is_reported() -> None:
    """After some answers, the gateway expects of this model what its vendor counts."""
    asked = made(a=lambda _: Reply(reply_of("x").body, Usage(300, 7, source="reported")))
    for _ in range(20):
        await asked.chat("smart", ASKED)
    target = asked.parts.names.routes["smart"][0]
    from aigateway.catalogue import Size

    assert 290 <= asked.parts.estimator.input(target, Size(396, 0, 1)) <= 310


async def test_nobody_answered_and_some_may_have_counted() -> None:
    """The sum of what failed is estimated, too."""
    asked = made(a=fails(Kind.TIMEOUT), b=fails(Kind.TIMEOUT))
    with pytest.raises(NoAnswer) as failed, suppress(ProviderError):
        await asked.chat("smart", ASKED)
    decision = failed.value.decision

    assert decision is not None
    assert Cost(SENT * len(decision.steps), "estimated") == decision.cost


async def test_use_is_measured_by_attempt() -> None:
    """Who failed and who answered is ranked by it."""
    asked = made(a=fails(Kind.SERVER_ERROR), b=lambda _: "said")
    await asked.chat("smart", ASKED)
    rows = {row["id"]: row for row in asked.ranking()}

    assert (0.0, 1.0) == (rows["a/a-1"]["success_rate"], rows["b/b-1"]["success_rate"])
    assert ["b/b-1", "a/a-1"] == list(rows)


def test_what_is_said_is_counted() -> None:
    """Text, reasoning and calls, in bytes, of every choice; whatever else a delta holds is nothing."""
    call = {"function": {"name": "f", "arguments": "{}"}}
    delta = {
        "content": "é",
        "reasoning_content": "ab",
        "tool_calls": [call, None, {"function": 5}],
        "role": "assistant",
    }
    odd = {"content": 5, "refusal": ["x"]}
    body = {"choices": [{"delta": delta}, {"delta": odd}, {"delta": None}, {}]}

    assert 7 == said_in(Chunk(body))
    assert 7 == said_in_reply(Reply({"choices": [{"message": delta}, {"message": odd}]}, Usage()))
    assert 3 == said_in(NativeChunk("event", {}, Said("ab", "c")))
    assert 3 == said_in_reply(NativeReply("responses", {}, Usage(), Said("ab", "c")))
    assert 0 == said_in_reply(Reply({}, Usage()))
