"""Who waits for an answer to a key is let in, however whoever was to give it ends."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from aigateway.guards import GuardOptions, Idempotency, _stack
from aigateway.guards._stack import GuardStack
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Outcome, Reply, Usage

pytestmark = pytest.mark.anyio
ANSWER = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}]}


class Stuck:
    """A shared place that hangs in what it is told to hang in, and knows what was claimed."""

    def __init__(self, *hangs: str) -> None:
        self.hangs = set(hangs)
        self.claimed: set[str] = set()

    async def get(self, key: str) -> bytes | None:
        return None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        await self._maybe("put")

    async def claim(self, key: str, seconds: float) -> bool:
        self.claimed.add(key)
        await self._maybe("claim")
        return True

    async def release(self, key: str) -> None:
        await self._maybe("release")
        self.claimed.discard(key)

    async def _maybe(self, name: str) -> None:
        if name in self.hangs:
            await anyio.sleep_forever()


def guarded(place: Stuck) -> Idempotency:
    shared: Any = SimpleNamespace(shelf=place)
    return Idempotency(GuardOptions("it", LoopClock(), Random(0), Idempotency.SETTINGS, shared=shared))


def a_call() -> Call:
    call = Call(ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]}), Caller("a", tenant="a"))
    call.asks, call.deadline = {"idempotency-key": "k"}, LoopClock().now() + 20
    return call


async def test_a_shared_place_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that cannot be kept in time is left behind; the next one with its key does not wait for it."""
    monkeypatch.setattr(_stack, "LEAVING", 0.05)
    place = Stuck("put", "release")
    guard = guarded(place)
    guards, first = GuardStack([guard]), a_call()
    await guards.enter(first)
    await guards.leave(first, Outcome("complete", reply=Reply(dict(ANSWER), Usage())))

    second = a_call()
    with anyio.fail_after(5):
        await guard.enter(second)
    assert second.reply is not None or second.aside


async def test_cancelled_while_it_claims() -> None:
    """A client that leaves while its key is claimed leaves no claim behind, and nobody waiting."""
    place = Stuck("claim")
    guard = guarded(place)
    with anyio.move_on_after(0.05) as scope:
        await guard.enter(a_call())
    assert scope.cancelled_caught
    assert not place.claimed

    place.hangs.clear()
    with anyio.fail_after(5):
        await guard.enter(a_call())
