"""Something happens at every await of a request: attempts, leases and guards are settled once, nothing is left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from aigateway import Gateway
from aigateway.config import parse
from aigateway.errors import GatewayError, Kind, StreamInterrupted
from aigateway.keys import Lease
from aigateway.plugins import GuardRecord, ProviderRecord, Registry, hookimpl
from aigateway.providers import Dialect
from aigateway.routing import Attempt
from aigateway.state import of_group, of_key, of_model, of_provider
from aigateway.transport import HTTPResponse
from aigateway.types import Call, HTTPRequest, Outcome

from .scripted import DONE, JSON, ROLE, STOP, WHOLE, Answer, LoopClock, Part, Plain, body, follow, says, virtually, wire

LOST = wire(Kind.STREAM_INTERRUPTED)
# A cancellation that comes here is not lost: what was begun is ended first, and nothing is waited for afterwards.
LAST = {"close", "leave"}


class Odd(Exception):
    """Be what nobody expects."""


class Points:
    """Count what is waited for; at number `at`, let something happen."""

    def __init__(self, at: int = -1, happens: Callable[[str], BaseException | None] = lambda _: None) -> None:
        self.at, self.happens = at, happens
        self.names: list[str] = []

    async def __call__(self, name: str) -> None:
        """Be one of them."""
        self.names.append(name)
        if len(self.names) - 1 == self.at and (error := self.happens(name)):
            raise error
        await anyio.lowlevel.checkpoint()


class Response:
    """One open response, which counts how often it was closed."""

    def __init__(self, answer: Answer, point: Points) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.closed = 0
        self._parts, self._point = list(answer.parts), point

    async def read(self) -> bytes:
        """Follow the script."""
        await self._point("read")
        while self._parts:
            part = self._parts.pop(0)
            if isinstance(part, bytes):
                return part
            await follow(part)
        return b""

    async def aclose(self, *, reusable: bool = False) -> None:
        """Note it."""
        self.closed += 1
        await self._point("close")


class Vendors:
    """Be a network, a plug-in with `a` and `b` that can go on after a prefix, and a guard."""

    instant = False

    def __init__(self, answers: dict[str, Sequence[Answer]], point: Points) -> None:
        self.answers = {name: list(several) for name, several in answers.items()}
        self.point = point
        self.opened: list[Response] = []
        self.entered = self.left = 0

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Give that vendor's next answer; the last one again and again."""
        await self.point("send")
        several = self.answers[request.url.split("//")[1][0]]
        answer = several.pop(0) if len(several) > 1 else several[0]
        for part in answer.head:
            await follow(part)
        self.opened.append(Response(answer, self.point))
        return self.opened[-1]

    async def aclose(self) -> None:
        """Nothing is kept open."""

    async def enter(self, call: Call) -> None:
        """Count it."""
        await self.point("enter")
        self.entered += 1

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Count it."""
        self.left += 1
        await self.point("leave")

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer two vendors who count on after a client has left."""
        dialect = Dialect(base_url="https://api.example.com", prefill=True)
        able = type("Able", (Plain,), {"dialect": dialect, "cancel_stops_billing": False})
        return [ProviderRecord(name, able, needs_key=False) for name in "ab"]

    @hookimpl
    def aigateway_guards(self) -> list[GuardRecord]:
        """Offer itself."""
        return [GuardRecord("watch", lambda options: self)]


class QuickClock(LoopClock):
    """Jump to the end of every sleep; two who race still do."""

    def __init__(self, point: Points) -> None:
        self.point, self.skew = point, 0.0

    def now(self) -> float:
        """Count what was slept as well."""
        return super().now() + self.skew

    async def sleep(self, seconds: float, /) -> None:
        """Wait for no time."""
        await self.point("sleep")
        self.skew += seconds


@dataclass(frozen=True)
class Story:
    """What two vendors answer, and how it is asked."""

    a: Sequence[Answer]
    b: Sequence[Answer] = ()
    stream: bool = True
    route: dict[str, Any] = field(default_factory=dict)
    drain: float = 0.0
    leaves: bool = False
    rested: bool = False


def failing(status: int, **headers: str) -> Answer:
    return Answer([b"{}"], status=status, headers={**JSON, **headers})


def broken(*parts: Part) -> Answer:
    return Answer([ROLE, *parts, LOST])


OK = Answer([ROLE, says("one "), says("two"), STOP, DONE])
SLOW = Answer([ROLE, 0.001, says("slow"), STOP, DONE], head=[0.001])
WHOLE_ANSWER = Answer([body(WHOLE)], headers=JSON)
GOES_ON = {"recovery": "continue"}
STORIES = {
    "whole": Story([WHOLE_ANSWER], stream=False),
    "next key, next target": Story([failing(401), failing(429)], [WHOLE_ANSWER], stream=False),
    "waits": Story(
        [failing(429, **{"retry-after-ms": "30"}), WHOLE_ANSWER],
        [failing(429, **{"retry-after-ms": "50"}), WHOLE_ANSWER],
        stream=False,
        route={"retries": {"wait": True}},
    ),
    "stream": Story([OK]),
    "same again": Story([failing(503), OK], [OK]),
    "fails before content": Story([broken()], [OK]),
    "breaks": Story([broken(says("one "))], [OK]),
    "goes on": Story([broken(says("one "))], [OK], route=GOES_ON),
    "cannot go on": Story([broken(says("one "))], [failing(500)], route=GOES_ON),
    "buffer": Story([broken(says("one "))], [OK], route={"recovery": "buffer"}),
    "hedge": Story([SLOW], [OK], route={"hedge": {}}),
    "hedge, drained": Story([SLOW], [SLOW], route={"hedge": {}}, drain=1.0),
    "probe": Story([OK], [OK], rested=True),
    "leaves": Story([OK], leaves=True),
    "leaves, drained": Story([OK], leaves=True, drain=1.0),
}


@dataclass
class Ran:
    """What one run of a story left behind."""

    result: str
    error: BaseException | None
    faults: list[str]


class Counted:
    """Count how often each attempt and lease that was entered is settled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: Counter[Any] = Counter()
        self.entered: list[Any] = []
        for kind in (Attempt, Lease):
            self._watch(kind, monkeypatch)

    def _watch(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        enters, settles = kind.__enter__, kind.settle

        def enter(one: Any) -> Any:
            self.entered.append(one)
            return enters(one)

        def settle(one: Any, outcome: Any) -> Any:
            self.times[one] += 1
            return settles(one, outcome)

        monkeypatch.setattr(kind, "__enter__", enter)
        monkeypatch.setattr(kind, "settle", settle)

    def faults(self) -> list[str]:
        """Name who was not settled once, and begin anew."""
        found = [f"{type(one).__name__} was settled {self.times[one]} times" for one in self.entered]
        self.times.clear()
        self.entered.clear()
        return [fault for fault in found if not fault.endswith(" 1 times")]


def made_of(story: Story, vendors: Vendors) -> Gateway:
    """Make a gateway with two keys per vendor."""
    registry = Registry(entries=[])
    registry.register(vendors, "vendors")
    keys = [{"secret": f"sk-{n}-0123456789", "quota_group": f"g{n}", "allow_literal": True} for n in range(2)]
    settings = {
        "providers": {n: {"base_url": f"https://{n}.example.com", "keys": keys, "drain": story.drain} for n in "ab"},
        "routes": {"r": {"targets": ["a/m", "b/m"], **story.route}},
        "guards": [{"use": "watch"}],
    }
    clock = QuickClock(vendors.point)
    made = Gateway(parse(settings), registry=registry, transport=vendors, clock=clock, seed=1)
    if "hedge" in story.route:
        made.health.hedge_after = lambda target, hedge, *, stream: 0.001  # type: ignore[method-assign]
    if story.rested:  # and is on probation in every way there is
        rests, then = made.memory.rests, made.clock.now() - 100
        rests.put(of_model("a", "m"), "open", "server_error", then, wait=1)
        rests.put(of_provider("a"), "suspended", "server_error", then, wait=1)
        for key in made.parts.rings["a"].keys:
            rests.put(of_key("a", key.id), "disabled", "auth", then, wait=1)
            rests.put(of_group("a", key.quota_group), "suspended", "insufficient_funds", then, wait=1)
    return made


async def tell(made: Gateway, story: Story) -> str:
    """Ask as the story says."""
    if not story.stream:
        return (await made.chat("r", "hi")).text
    text = ""
    async with made.stream("r", "hi") as chunks:
        async for chunk in chunks:
            text += chunk.text
            if story.leaves:
                break
    return text


def left_over(made: Gateway, vendors: Vendors) -> list[str]:
    """Name what should have been given back."""
    rings = made.parts.rings.values()
    timer = next(iter(made._io.values())).timer
    alarms = getattr(timer, "args", [None])[0]
    things = {
        "guards": vendors.entered - vendors.left,
        "calls in flight": sum(record.in_flight for record in made.memory._records.values()),
        "keys in use": sum(slot.in_use for ring in rings for slot in ring.slots),
        "claims": len(made.memory.rests._claims) + len(made.memory.rests._ours),
        "open responses": sum(not response.closed for response in vendors.opened),
        "alarms": len(getattr(alarms, "_alarms", ())),
    }
    return [f"{count} {name}" for name, count in things.items() if count]


class Runner:
    """Run one story again and again, and look at what it left."""

    def __init__(self, story: Story, counted: Counted, native: bool) -> None:
        self.story, self.counted, self.native = story, counted, native
        self.cancel: Callable[[], object] = lambda: None

    async def run(self, point: Points) -> Ran:
        """Run it once."""
        vendors = Vendors({"a": self.story.a, "b": self.story.b or [OK]}, point)
        made = made_of(self.story, vendors)
        result, error = "", None
        try:
            result = await (self._in_a_task(made) if self.native else self._in_a_scope(made))
        except asyncio.CancelledError:
            result = "cancelled"
        except BaseException as raised:
            result, error = "raised", raised
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return Ran(result, error, self.counted.faults() + left_over(made, vendors))

    async def _in_a_task(self, made: Gateway) -> str:
        task = asyncio.ensure_future(tell(made, self.story))
        self.cancel = task.cancel
        return await task

    async def _in_a_scope(self, made: Gateway) -> str:
        with anyio.CancelScope() as scope:
            self.cancel = scope.cancel
            return await tell(made, self.story)
        return "cancelled"

    def happenings(self) -> dict[str, Callable[[str], BaseException | None]]:
        """Name what may happen at a point."""

        def cancelled(_: str) -> None:
            self.cancel()

        if self.native:
            return {"cancelled": cancelled}
        return {
            "cancelled": cancelled,
            "lost": lambda name: LOST if name in {"send", "read"} else None,
            "odd": lambda name: Odd("x") if name != "sleep" else None,
        }

    async def everywhere(self) -> list[str]:
        """Let everything happen at every point; give what was wrong afterwards."""
        plain = Points()
        first = await self.run(plain)
        wrong = [f"nothing happened: {fault}" for fault in first.faults]
        for what, happens in self.happenings().items():
            for at in range(len(plain.names) + 4):  # what happens may lead to more points
                point = Points(at, happens)
                ran = await self.run(point)
                name = point.names[at] if at < len(point.names) else "nowhere"
                wrong += [f"{what} at {at} ({name}): {fault}" for fault in [*ran.faults, *odd_end(ran, what, name)]]
        return wrong


def odd_end(ran: Ran, what: str, name: str) -> list[str]:
    """Say what is wrong about how a caller's request ended."""
    allowed = (GatewayError, Odd) if what == "odd" else GatewayError
    if ran.error is not None and not isinstance(ran.error, allowed):
        return [f"raised {ran.error!r}"]
    if what == "cancelled" and name not in LAST | {"nowhere"} and ran.result != "cancelled":
        return [f"the cancellation was lost: {ran}"]
    return []


@pytest.mark.parametrize("way", ["asyncio", "asyncio, its own cancel", "trio"])
@pytest.mark.parametrize("name", STORIES)
def test_whatever_happens_wherever(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled, cut off, or hit by somebody's bug at any await: settled once, closed, and nothing stays claimed."""
    runner = Runner(STORIES[name], Counted(monkeypatch), way.endswith("cancel"))
    run: Callable[[Callable[[], Coroutine[Any, Any, list[str]]]], list[str]]
    run = virtually if way == "trio" else lambda story: asyncio.run(story())

    assert [] == run(runner.everywhere)


@pytest.mark.parametrize("name", STORIES)
def test_the_stories_are_what_they_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undisturbed each ends as it should, so the points above are those of real answers."""
    ran = asyncio.run(Runner(STORIES[name], Counted(monkeypatch), False).run(Points()))
    breaks = name in {"breaks", "cannot go on"}

    assert breaks == isinstance(ran.error, StreamInterrupted)
    assert breaks or ran.error is None
    with suppress(KeyError):
        assert {"waits": "Hi", "goes on": "one one two", "buffer": "one two", "leaves": ""}[name] == ran.result
