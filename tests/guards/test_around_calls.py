"""Guards around whole calls of a gateway."""

from __future__ import annotations

import anyio
import pytest

from aigateway.errors import Refusal
from aigateway.types import ChatRequest, Target

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
    parts = Parts({"cache": Watch(diary, reply_of("cached"))}, a=lambda _: "x")
    made = gateway(parts)
    if stream:
        async with made.stream("smart", "hi") as chunks:
            text = "".join([chunk.text async for chunk in chunks])
    else:
        text = (await made.chat("smart", "hi")).text

    assert "cached" == text
    assert [] == parts.calls
    assert ["enter", "leave complete"] == diary


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    """The provider is cancelled, the guard told, nobody blamed."""
    diary: list[str] = []
    made = gateway(Parts({"watch": Watch(diary)}, a=lambda _: anyio.sleep(10)))
    with anyio.move_on_after(0.01):
        await made.chat("smart", "hi")

    assert ["enter", "leave cancelled"] == diary
    facts = made.memory.facts(Target("a", "a-1"))
    assert (0, 0) == (facts.in_flight, facts.failed)
