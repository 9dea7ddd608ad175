"""Clients that leave: how soon the vendor's connection is closed, and what is left behind.

Four phases: waiting for the vendor's head; its head is there and no content; in the middle of a stream (of a body,
for whole answers); in a wait between two attempts, where there is nothing to close but the request to be over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle, islice, product
from typing import NamedTuple, Protocol

from ..plan import percentile
from .asking import Answer, Http, InProcess, Question, Way, request_bytes
from .breaks import fail
from .config import Config
from .report import Row, counted, milliseconds
from .vendor import MARK, Asked, Plan, Script, Step, Vendor, reset
from .wire import ROLE, STREAM_HEAD, chunked, event
from .world import Note, World, at_once

__all__ = ["Leaving"]

FULL, FULL_DOORS, QUICK = 1000, 400, 24
AT_ONCE = 25
BOUND = 1.0
GIVEN_UP, STUCK = 5.0, 40.0
# The wait between attempts: the vendor's own, within the route's patience.
WAIT = 2
PHASES = ("head", "content", "middle", "wait")
SAID = "and so on"
PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


class Run(NamedTuple):
    """One client that leaves, some time after the vendor has got so far."""

    phase: str
    stream: bool
    route: str
    later: float
    abruptly: bool


class Leaving:
    """Ask, leave in one of the phases, and look when the vendor's connection is closed."""

    name = "leaving"

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._patient = ""
        self._waits: list[str] = []

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route; for the waits one of each own provider, since who is throttled rests."""
        self._patient = config.route([f"{config.provider()}/patient"])
        self._waits = [
            config.route([f"{config.provider()}/throttled"], retries="{ patience = 20.0 }")
            for _ in range((QUICK if self._quick else FULL) // len(PHASES) + 1)
        ]

    async def measure(self, world: World) -> list[Row]:
        """Leave through each way; and, for comparison, leave the vendor itself."""
        runs = list(self._runs(world, 3 * AT_ONCE, "wait"))
        alone = await at_once(AT_ONCE, runs, partial(self._leave, world, world.direct))
        baseline = f"p99 {milliseconds(percentile(alone, 0.99))} without a gateway"
        rows, asked = [], len(world.vendor.seen)
        for way in world.ways:
            count = QUICK if self._quick else FULL if way is world.through else FULL_DOORS
            before = await world.held(way)
            runs = list(self._runs(world, count))
            times = await at_once(AT_ONCE, runs, partial(self._leave, world, way))
            leaks = await world.left_behind(way, before)
            rows.append(self._row(way.name, runs, times, baseline))
            rows.append(counted("left behind by clients who left", way.name, leaks, count))
        await asyncio.sleep(WAIT)
        left = list(world.vendor.seen.values())[asked:]
        again = [call.asked.model for calls in left for call in calls[1:]]
        return [*rows, counted("asked again for clients who left", "all", again, len(left))]

    def _runs(self, world: World, count: int, without: str = "") -> Iterator[Run]:
        """Give runs of all phases in turn."""
        kinds = [(phase, stream) for phase, stream in product(PHASES, (True, False)) if phase != without]
        waits = iter(self._waits)
        for phase, stream in islice(cycle(kinds), count):
            route = next(waits) if phase == "wait" else self._patient
            yield Run(phase, stream, route, world.random.uniform(0, 0.08), world.random.random() < 0.5)

    def _row(self, way: str, runs: list[Run], times: list[float], baseline: str) -> Row:
        slow = {
            phase: max(seconds for run, seconds in zip(runs, times, strict=True) if run.phase == phase)
            for phase in PHASES
        }
        p99 = percentile(times, 0.99)
        kept = None if self._quick else p99 <= BOUND
        slowest = ", ".join(f"{phase} {milliseconds(seconds)}" for phase, seconds in slow.items())
        return Row(
            f"client leaves -> upstream closed, {len(runs):,} runs",
            way,
            f"p99 <= {BOUND:g} s",
            f"p99 {milliseconds(p99)}",
            False if max(times) >= GIVEN_UP else kept,
            baseline,
            [f"the slowest by phase: {slowest}"],
        )

    async def _leave(self, world: World, way: Way, run: Run) -> float:
        """Leave; what does not end is given up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK):
                return await self._time(world, way, run)
        return GIVEN_UP

    async def _time(self, world: World, way: Way, run: Run) -> float:
        """Give the seconds from leaving to the upstream's end; in a wait, to the request's own."""
        question, vendor = Question(run.route, stream=run.stream), world.vendor
        vendor.plans[question.nonce] = PLANS[run.phase]
        if way is world.through:
            world.notes.append(Note(way.name, question, Answer("left")))
        client = Program(way, question) if isinstance(way, InProcess) else Remote(world, way, run.abruptly)
        await client.begin(question)
        call = await vendor.called(question.nonce)
        await call.reached.wait()
        if run.phase == "middle" and run.stream:
            await client.reads()
        await asyncio.sleep(run.later)
        loop = asyncio.get_running_loop()
        left = loop.time()
        client.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVEN_UP):
                await (client.over() if run.phase == "wait" else call.closed.wait())
                return (call.closed_at or loop.time()) - left
        return GIVEN_UP


class Client(Protocol):
    """Somebody who asks and leaves."""

    async def begin(self, question: Question) -> None:
        """Ask."""
        ...

    async def reads(self) -> None:
        """Wait for some content."""
        ...

    def leave(self) -> None:
        """Leave."""
        ...

    async def over(self) -> None:
        """Wait until the gateway has done with the request."""
        ...


class Remote:
    """A client over HTTP: it closes its connection, or resets it."""

    def __init__(self, world: World, way: Way, abruptly: bool) -> None:
        self._world = world
        self._port = way.port if isinstance(way, Http) else 0
        self._abruptly = abruptly
        self._nonce = ""

    async def begin(self, question: Question) -> None:
        self._nonce = question.nonce
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request_bytes(question))

    async def reads(self) -> None:
        await self._reader.readuntil(SAID.encode())

    def leave(self) -> None:
        transport = self._writer.transport
        if self._abruptly:
            reset(transport)
        else:
            transport.close()

    async def over(self) -> None:
        await self._world.served.lines.accessed(self._nonce, GIVEN_UP)


class Program:
    """A program that cancels its task."""

    def __init__(self, way: InProcess, question: Question) -> None:
        self._gateway = way.gateway
        self._content = asyncio.Event()
        self._task = asyncio.create_task(self._consume(question))

    async def begin(self, question: Question) -> None:
        """It has begun."""

    async def reads(self) -> None:
        await self._content.wait()

    def leave(self) -> None:
        self._task.cancel()

    async def over(self) -> None:
        with suppress(asyncio.CancelledError):
            await self._task

    async def _consume(self, question: Question) -> None:
        if not question.stream:
            await self._gateway.chat(question.model, question.messages)
            return
        async with self._gateway.stream(question.model, question.messages) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    self._content.set()


# -- what the vendor does in each phase -------------------------------------------------------


def _waits(begun: Callable[[Asked], list[Step]]) -> Plan:
    return lambda asked: Script([*begun(asked), MARK], "hang", breaks=True)


def _first(asked: Asked) -> list[Step]:
    """Send a head, and what is no content."""
    return [STREAM_HEAD, chunked(event(asked, ROLE))] if asked.stream else [PLAIN_HEAD, chunked(b"\n")]


def _goes_on(asked: Asked) -> Iterator[Step]:
    """Talk for ever; half a body, where a whole answer is asked for."""
    yield from _first(asked)
    yield MARK
    if not asked.stream:
        yield chunked(b'{"choices": [{"mess')
    while True:
        if asked.stream:
            yield chunked(event(asked, {"content": SAID}))
        yield 0.01


def _throttles(asked: Asked) -> Script:
    refusal = fail("429", f"retry-after: {WAIT}")
    return Script([*refusal.steps, MARK], breaks=True)


PLANS: dict[str, Plan] = {
    "head": _waits(lambda asked: []),
    "content": _waits(_first),
    "middle": lambda asked: Script(_goes_on(asked), "hang", breaks=True),
    "wait": _throttles,
}
