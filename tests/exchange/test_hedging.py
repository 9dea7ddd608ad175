"""Two targets beside each other: when the second is asked, who is kept, and what becomes of the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.config import parse
from aigateway.errors import Kind, NoAnswer, ProviderError
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.state import of_model
from aigateway.transport import HTTPResponse
from aigateway.types import ChatRequest, HTTPRequest, Target

from .scripted import (
    DONE,
    JSON,
    STOP,
    USAGE,
    WHOLE,
    Answer,
    LoopClock,
    Plain,
    ScriptedResponse,
    ScriptedTransport,
    body,
    says,
    virtually,
)

QUICK, SLOW = 0.1, 5.0


class Hosts:
    """Vendors on a network: each answers after its own time, and notes what became of each call."""

    def __init__(self, **times: Sequence[float]) -> None:
        self.times = {name: list(values) for name, values in times.items()}
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.fails: dict[str, int] = {}
        self.open = ScriptedTransport()

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Wait for that vendor's turn."""
        name = request.url.split("//")[1][0]
        self.asked.append(name)
        times = self.times[name]
        try:
            await anyio.sleep(times.pop(0) if len(times) > 1 else times[0])
        except BaseException:
            self.cancelled.append(name)
            raise
        if name in self.fails:
            answer = Answer([body({"error": {"message": "no"}})], status=self.fails[name], headers=JSON)
        elif json.loads(request.body).get("stream"):
            answer = Answer([says(f"from {name}"), STOP, USAGE, DONE])
        else:
            answer = Answer([body(WHOLE)], headers=JSON)
        return await ScriptedTransport.send(_with(self.open, answer), request, connect=connect)

    async def aclose(self) -> None:
        """Nothing is kept open."""


def _with(transport: ScriptedTransport, answer: Answer) -> ScriptedTransport:
    transport._answers.append(answer)
    return transport


class Vendors:
    """Offer `a` and `b`."""

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer them."""
        return [ProviderRecord(name, Plain, needs_key=False) for name in ("a", "b")]


def gateway(hosts: Hosts, **route: Any) -> Gateway:
    """Make a gateway that has seen twenty quick answers of `a`."""
    registry = Registry(entries=[])
    registry.register(Vendors(), "vendors")
    settings = {
        "providers": {name: {"base_url": f"https://{name}.example.com"} for name in ("a", "b")},
        "routes": {"r": {"targets": ["a/m", "b/m"], "hedge": {}, "retries": {"same_target": 0}, **route}},
    }
    made = Gateway(parse(settings), registry=registry, transport=hosts, clock=LoopClock(), seed=1)
    for _ in range(30):
        made.memory.timed(Target("a", "m"), QUICK, stream=True)
        made.memory.timed(Target("a", "m"), QUICK, stream=False)
    return made


async def ask(made: Gateway, stream: bool) -> tuple[float, Any]:
    """Ask; give the seconds it took and the decision."""
    began = anyio.current_time()
    if stream:
        async with made.stream("r", "hi") as chunks:
            async for _ in chunks:
                pass
        return anyio.current_time() - began, chunks.decision
    reply = await made.chat("r", "hi")
    return anyio.current_time() - began, reply.decision


def steps(decision: Any) -> list[tuple[str, str]]:
    return [(step.target, step.outcome) for step in decision.steps]


def in_flight(made: Gateway) -> int:
    return sum(made.memory.facts(Target(name, "m")).in_flight for name in "ab")


@pytest.mark.parametrize("stream", [False, True])
def test_a_late_first_target_is_overtaken(stream: bool) -> None:
    """Past its usual time a second target is asked; the first to answer is kept, the other is cancelled."""
    hosts = Hosts(a=[SLOW], b=[QUICK])
    made = gateway(hosts)
    took, decision = virtually(lambda: ask(made, stream))

    assert 2 * QUICK == pytest.approx(took, abs=0.01)
    assert [("a/m", "cancelled"), ("b/m", "complete")] == steps(decision)
    assert ["maybe", "yes"] == [step.billed for step in decision.steps]
    assert "b/m" == decision.answered_by
    assert ["a"] == hosts.cancelled
    assert 0 == in_flight(made)


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_can_still_win(stream: bool) -> None:
    """A second target that is slower is cancelled within the same moment."""
    hosts = Hosts(a=[3 * QUICK], b=[SLOW])
    made = gateway(hosts)
    took, decision = virtually(lambda: ask(made, stream))

    assert 3 * QUICK == pytest.approx(took, abs=0.01)
    assert [("b/m", "cancelled"), ("a/m", "complete")] == steps(decision)
    assert 0 == in_flight(made)


def test_a_punctual_first_target_is_alone() -> None:
    """Within its usual time nobody else is asked."""
    hosts = Hosts(a=[QUICK / 2], b=[QUICK])
    virtually(lambda: ask(gateway(hosts), True))

    assert ["a"] == hosts.asked


def test_a_quick_failure_goes_on_as_ever() -> None:
    """When the first fails before it is late the second is asked at once, as without hedging."""
    hosts = Hosts(a=[QUICK / 2], b=[QUICK])
    hosts.fails["a"] = 500
    took, decision = virtually(lambda: ask(gateway(hosts), True))

    assert QUICK * 1.5 == pytest.approx(took, abs=0.01)
    assert [("a/m", "server_error"), ("b/m", "complete")] == steps(decision)


@pytest.mark.parametrize("worse", ["a", "b"])
def test_one_of_two_fails(worse: str) -> None:
    """While both are asked, a failure of one leaves the other's answer."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK])
    hosts.fails[worse] = 503
    made = gateway(hosts)
    _, decision = virtually(lambda: ask(made, True))

    assert ("b/m" if worse == "a" else "a/m") == decision.answered_by
    assert 0 == in_flight(made)


def test_both_fail() -> None:
    """When both fail the caller gets both reasons, each target asked once."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK])
    hosts.fails = {"a": 503, "b": 503}

    async def story() -> NoAnswer:
        with pytest.raises(NoAnswer) as caught:
            await ask(gateway(hosts), True)
        return caught.value

    error = virtually(story)

    assert {"a", "b"} == {reason["provider"] for reason in error.reasons}
    assert ["a", "b"] == hosts.asked


@pytest.mark.parametrize("worse", ["a", "b"])
def test_a_callers_mistake_ends_both(worse: str) -> None:
    """A bad request said by either is the answer."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK if worse == "b" else SLOW])
    hosts.fails[worse] = 400
    made = gateway(hosts)

    async def story() -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await ask(made, True)
        return caught.value

    assert Kind.BAD_REQUEST is virtually(story).kind
    assert 0 == in_flight(made)


def test_a_caller_who_leaves_ends_both() -> None:
    """Cancelled while both are asked, both connections are closed."""
    hosts = Hosts(a=[SLOW], b=[SLOW])
    made = gateway(hosts)

    async def story() -> None:
        with anyio.move_on_after(3 * QUICK):
            await ask(made, True)

    virtually(story)

    assert ["a", "b"] == sorted(hosts.cancelled)
    assert 0 == in_flight(made)


def test_the_extra_load_is_bounded() -> None:
    """Of a thousand late answers about one in twenty is hedged."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK])
    made = gateway(hosts)

    async def story() -> None:
        for _ in range(1000):
            made.memory.timed(Target("a", "m"), QUICK, stream=True)
            await ask(made, True)
            for _ in range(100):
                made.memory.timed(Target("a", "m"), QUICK, stream=True)

    virtually(story)

    assert 50 <= hosts.asked.count("b") <= 56


def test_nobody_is_hedged_before_enough_is_known() -> None:
    """Without twenty measured answers there is no usual time to be late against."""
    hosts = Hosts(a=[SLOW], b=[QUICK])
    made = gateway(hosts)
    made.memory._records.clear()
    virtually(lambda: ask(made, True))

    assert ["a"] == hosts.asked


def test_a_tie_is_no_second_answer() -> None:
    """Both answer in the same moment: one is kept, the other counts as cancelled, and nothing stays open."""
    hosts = Hosts(a=[2 * QUICK], b=[QUICK])
    made = gateway(hosts)
    _, decision = virtually(lambda: ask(made, False))

    assert ["cancelled", "complete"] == sorted(outcome for _, outcome in steps(decision))
    assert hosts.open.is_clean
    assert 0 == in_flight(made)


def test_a_second_target_that_rests_by_then_is_left_alone() -> None:
    """Put to rest between the beginning and the moment it would be asked, it is not asked."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK])
    made = gateway(hosts)

    async def opens() -> None:
        await anyio.sleep(QUICK / 2)
        made.memory.rests.put(of_model("b", "m"), "open", "server_error", made.clock.now())

    async def story() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(opens)
            await ask(made, True)

    virtually(story)

    assert ["a"] == hosts.asked


def test_the_extra_load_of_a_burst_is_bounded() -> None:
    """Two hundred requests that are late in one moment share what is left for hedges."""
    hosts = Hosts(a=[3 * QUICK], b=[QUICK])
    made = gateway(hosts)

    async def story() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(ask, made, True)

    virtually(story)

    assert 0 < hosts.asked.count("b") <= 10
    assert 0 == in_flight(made)


def test_the_winner_does_not_wait_for_the_loser_to_be_drained() -> None:
    """Both have content in one moment and vendors count on: the loser is not read on before the winner is given."""

    class Both(ScriptedResponse):
        async def read(self) -> bytes:
            """Have content in the same turn of the loop as the other, and then take its time."""
            if self.reads:
                return await super().read()
            self.reads += 1
            await hosts.both.wait()
            return says("x")

    class Together(Hosts):
        both: anyio.Event

        async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
            """Open such an answer."""
            self.asked.append(request.url.split("//")[1][0])
            return Both(Answer([10 * SLOW, STOP, DONE]), self.open)

    hosts = Together()
    made = gateway(hosts)
    made.parts.drains.update(a=SLOW, b=SLOW)

    async def let_go() -> None:
        await anyio.sleep(2 * QUICK)
        hosts.both.set()

    async def story() -> float:
        hosts.both, began = anyio.Event(), anyio.current_time()
        request = {"model": "r", "messages": [{"role": "user", "content": "x"}], "stream": True}
        async with anyio.create_task_group() as group:
            group.start_soon(let_go)
            exchange = await made.open(made.call(ChatRequest.parse(request)))
            took = anyio.current_time() - began
            exchange.drain = 0.0
            await exchange.aclose()
        return took

    assert 2 * QUICK == pytest.approx(virtually(story), abs=0.05)
    assert ["a", "b"] == hosts.asked
