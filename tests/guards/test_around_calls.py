"""Guards around whole calls of a gateway."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from aigateway.errors import Refusal
from aigateway.types import Call, ChatRequest, Chunk, Outcome, Target

from ..exchange.parts import Parts, Watch, gateway, reply_of

pytestmark = pytest.mark.anyio


async def test_guards_surround_the_call() -> None:
    """Entered before, left after, told how it ended."""
    diary: list[str] = []

    def answers(request: ChatRequest) -> str:
        diary.append("answer")
        return "x"

    made = gateway(Parts({"watch": Watch(diary)}, a=answers))
    await made.chat("smart", "hi")

    assert ["enter", "answer", "leave complete"] == diary


async def test_a_refusing_guard_stops_the_call() -> None:
    """No provider is called, the first guard leaves."""
    diary: list[str] = []
    parts = Parts({"one": Watch(diary), "two": Watch(diary, Refusal("full"))}, a=lambda _: "x")
    with pytest.raises(Refusal):
        await gateway(parts).chat("smart", "hi")

    assert ["enter", "enter", "leave failed"] == diary
    assert [] == parts.calls


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answering_guard_answers(stream: bool) -> None:
    """Whole and streamed, without any provider being called."""
    diary: list[str] = []
    parts = Parts({"answers": Watch(diary, reply_of("cached"))}, a=lambda _: "x")
    made = gateway(parts)
    if stream:
        async with made.stream("smart", "hi") as chunks:
            text = "".join([chunk.text async for chunk in chunks])
    else:
        text = (await made.chat("smart", "hi")).text

    assert "cached" == text
    assert [] == parts.calls
    assert ["enter", "leave complete"] == diary


async def test_an_answer_told_as_a_stream_is_whole() -> None:
    """How likely each token was is part of an answer, also of one that was kept and is streamed now."""
    reply = reply_of("cached")
    reply.body["choices"][0]["logprobs"] = likely = {"content": [{"token": "cached", "logprob": -0.1}]}
    made = gateway(Parts({"answers": Watch([], reply)}, a=lambda _: "x"))
    async with made.stream("smart", "hi") as chunks:
        choices = [choice async for chunk in chunks for choice in chunk.body["choices"]]

    assert [likely] == [choice["logprobs"] for choice in choices if "logprobs" in choice]


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    """The provider is cancelled, the guard told, nobody blamed."""
    diary: list[str] = []
    made = gateway(Parts({"watch": Watch(diary)}, a=lambda _: anyio.sleep(10)))
    with anyio.move_on_after(0.01):
        await made.chat("smart", "hi")

    assert ["enter", "leave cancelled"] == diary
    facts = made.memory.facts(Target("a", "a-1"))
    assert (0, 0) == (facts.in_flight, facts.failed)


class Listener:
    """A guard that asks for all a guard can be given."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.reply = ""
        self.closed = 0

    async def enter(self, call: Call) -> None:
        call.listeners += (self.hear, self.fail)
        self.address = call.address

    def hear(self, batch: Sequence[Chunk]) -> None:
        self.heard += (chunk.text for chunk in batch if chunk.text)

    def fail(self, batch: Sequence[Chunk]) -> None:
        raise RuntimeError("a bug of a guard")

    async def leave(self, call: Call, outcome: Outcome) -> None:
        self.reply = outcome.reply.text if outcome.reply else ""

    async def aclose(self) -> None:
        self.closed += 1
        raise RuntimeError("another one")


async def test_a_guard_sees_what_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """The chunks of a stream as they come, a whole answer at its end; what it does wrong reaches nobody."""
    guard = Listener()
    made = gateway(Parts({"listener": guard}, a=lambda _: reply_of("words")))  # type: ignore[dict-item]  # another sort
    async with made.stream("smart", "hi") as chunks:
        streamed = "".join([chunk.text async for chunk in chunks])
    assert ("words", ["words"], "") == (streamed, guard.heard, guard.reply)

    request = ChatRequest.parse({"model": "smart", "messages": [{"role": "user", "content": "hi"}]})
    exchange = await made.open(made.call(request, address="192.0.2.7"))
    await exchange.aclose()
    assert ("words", "192.0.2.7") == (guard.reply, guard.address)
    assert 1 == caplog.text.count("a guard failed while listening")


async def test_a_guard_is_closed_with_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    """Each time; what it raises is logged."""
    guard = Listener()
    made = gateway(Parts({"listener": guard}, a=lambda _: "x"))  # type: ignore[dict-item]  # another sort
    await made.aclose()
    async with made:
        pass

    assert 2 == guard.closed
    assert "the guard Listener failed while closing" in caplog.text
