"""Who waits for an answer to a key is let in, however whoever was to give it ends."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from aigateway.errors import GatewayError, Kind, NoAnswer, ProviderError, Refusal, StreamInterrupted, UnknownModel
from aigateway.guards import GuardOptions, Idempotency, _stack
from aigateway.guards._stack import GuardStack
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Outcome, Reply, Usage

pytestmark = pytest.mark.anyio
ANSWER: dict[str, Any] = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}]
}


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


class Shared(Stuck):
    """A place several processes share; what is put there stays."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        self.kept[key] = value

    async def claim(self, key: str, seconds: float) -> bool:
        free = key not in self.claimed
        self.claimed.add(key)
        return free


async def answer(guard: Idempotency, call: Call, text: str = "x") -> None:
    body = {"choices": [{**ANSWER["choices"][0], "message": {"role": "assistant", "content": text}}]}
    await guard.leave(call, Outcome("complete", reply=Reply(body, Usage())))


async def test_another_process_answers() -> None:
    """Who comes to a second process with the same key waits for the first, and gets its answer."""
    place, first, second = Shared(), a_call(), a_call()
    one, other = guarded(place), guarded(place)
    await one.enter(first)
    async with anyio.create_task_group() as group:
        group.start_soon(other.enter, second)
        await anyio.wait_all_tasks_blocked()
        assert second.reply is None
        await answer(one, first, "once")

    assert second.reply is not None
    assert ("once", "true") == (second.reply.text, second.headers["idempotent-replayed"])
    assert not place.claimed


async def test_another_process_takes_too_long() -> None:
    """Nobody waits longer than the call may take, and nobody asks a second time meanwhile."""
    place, first, second = Shared(), a_call(), a_call()
    await guarded(place).enter(first)
    second.deadline = LoopClock().now() + 0.15
    with pytest.raises(Refusal) as caught:
        await guarded(place).enter(second)

    assert (409, "idempotency_key_in_use") == (caught.value.status, caught.value.code)
    assert second.reply is None


async def test_another_request_under_a_shared_key() -> None:
    """The second process refuses what the first would: one key is one request."""
    place, first = Shared(), a_call()
    one = guarded(place)
    await one.enter(first)
    await answer(one, first)
    other = a_call()
    other.request = ChatRequest.parse({"messages": [{"role": "user", "content": "something else"}]})
    with pytest.raises(Refusal) as caught:
        await guarded(place).enter(other)

    assert (422, "idempotency_key_reused") == (caught.value.status, caught.value.code)


async def test_what_cannot_be_read_there_is_asked_anew() -> None:
    """Another version of ours may have written it."""
    place, first = Shared(), a_call()
    one = guarded(place)
    await one.enter(first)
    await answer(one, first)
    place.kept = {name: value[:64] + b"{" for name, value in place.kept.items()}
    second = a_call()
    await guarded(place).enter(second)

    assert second.reply is None
    assert second.aside


async def test_a_key_of_a_client_who_sends_none() -> None:
    """Nothing is kept, and nothing is let go of."""
    guard, call = guarded(Shared()), a_call()
    call.asks = {}
    await guard.enter(call)
    await answer(guard, call)

    assert call.reply is None
    assert {} == call.aside


async def test_an_answer_that_is_too_long_is_not_kept() -> None:
    """The next one with its key is asked anew."""
    place = Shared()
    guard, first, second = guarded(place), a_call(), a_call()
    await guard.enter(first)
    await answer(guard, first, "x" * 5 * 1024 * 1024)
    await guard.enter(second)

    assert {} == place.kept
    assert second.reply is None


async def waited(guard: Idempotency, outcome: Outcome, count: int = 50) -> list[Call | GatewayError]:
    """Let so many wait for one call, which ends so; give what became of each."""
    first = a_call()
    await guard.enter(first)
    found: list[Call | GatewayError] = []

    async def wait() -> None:
        call = a_call()
        try:
            await guard.enter(call)
            found.append(call)
            await guard.leave(call, Outcome("complete", reply=call.reply or Reply(dict(ANSWER), Usage())))
        except GatewayError as error:
            found.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await guard.leave(first, outcome)
    return found


def failures() -> list[GatewayError]:
    broke = ProviderError(Kind.OVERLOADED, "too busy", retry_after=2.0).at("a", "m")
    refused = Refusal("no more", retry_after=3.0)
    return [NoAnswer("nobody answered", [broke]), refused, StreamInterrupted(broke), UnknownModel("no such model")]


@pytest.mark.parametrize("error", failures(), ids=lambda error: type(error).__name__)
async def test_a_failure_is_told_to_all_who_waited(error: GatewayError) -> None:
    """Once asked, once failed; each has an error of its own, and whoever comes later tries again."""
    guard = guarded(Shared())
    found = await waited(guard, Outcome("failed", error=error))
    told = [one for one in found if isinstance(one, GatewayError)]

    assert 50 == len(told)
    assert {(type(error), str(error), error.status, error.code)} == {
        (type(one), str(one), one.status, one.code) for one in told
    }
    assert [error.headers] * 50 == [one.headers for one in told]
    assert 51 == len({id(one) for one in [error, *told]})
    later = a_call()
    await guard.enter(later)
    assert later.aside


async def test_a_stream_that_broke_is_not_given_again() -> None:
    """Who waits is told that it broke; half an answer is kept for nobody."""
    place = Shared()
    broke = StreamInterrupted(ProviderError(Kind.SERVER_ERROR, "it broke").at("a", "m"))
    found = await waited(guarded(place), Outcome("interrupted", error=broke), 5)

    assert [StreamInterrupted] * 5 == [type(one) for one in found]
    assert {} == place.kept


async def test_who_waits_for_a_client_that_left() -> None:
    """One of them is asked for all."""
    found = await waited(guarded(Shared()), Outcome("cancelled"))
    calls = [one for one in found if isinstance(one, Call)]

    assert 50 == len(calls)
    assert 1 == sum(call.reply is None for call in calls)


async def test_who_waits_has_an_answer_too_large_to_keep() -> None:
    """It was made for them, too."""
    place = Shared()
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x" * 5 * 1024 * 1024}}
    found = await waited(guarded(place), Outcome("complete", reply=Reply({"choices": [choice]}, Usage())), 5)

    assert [5 * 1024 * 1024] * 5 == [len(one.reply.text) for one in found if isinstance(one, Call) and one.reply]
    assert {} == place.kept
