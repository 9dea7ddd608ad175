"""Thousands of requests cancelled at random moments: nobody is given a byte that belongs to somebody else.

Each request carries a nonce that the vendor puts into every chunk, twice. Connections are kept and used again, so a
connection that is given back too early brings its next user the rest of another's answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from .asking import Http, InProcess, Question, Way, request_bytes
from .config import Config
from .report import Row, counted
from .vendor import NONCE, Asked, Plan, Script, Vendor
from .wire import STREAM_HEAD, chunked, event, finish, last, whole, whole_body
from .world import World

__all__ = ["Crossing"]

# Cancellations: in this process, half through each door; and over HTTP.
FULL, FULL_SERVED, QUICK = 10_000, 1_000, 150
AT_ONCE = 50
AFTERWARDS = 100
# The share of requests that are let end: they tell how long that takes, and their connections are used again.
LET_END = 0.15
WORDS = 8
# Of a hundred requests, so many are reset by the vendor before it answers, so that failover is cancelled too.
RESETS = 4


@dataclass
class Tally:
    """What came of the requests through one way."""

    wanted: int
    usual: float = 0.0  # seconds a whole answer takes
    cancelled: int = 0
    partial: int = 0  # cancelled when some of the answer was there
    asked: int = 0
    crossed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, question: Question, data: str) -> None:
        """Look whose an answer, or what is there of it, is."""
        found = set(NONCE.findall(data)) - {question.nonce}
        self.crossed += [f"{nonce} instead of {question.nonce}" for nonce in found]

    def answered(self, seconds: float) -> None:
        """Learn how long a whole answer takes."""
        self.usual += (seconds - self.usual) / (10 if self.usual else 1)


class Crossing:
    """Cancel many requests at random moments, and read what they were given until then."""

    name = "crossing"

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._route = ""

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route of two targets."""
        self._route = config.route([f"{config.provider()}/echo", f"{config.provider()}/echo"])

    async def measure(self, world: World) -> list[Row]:
        """Cancel through each way."""
        rows = []
        for way in world.ways:
            whole = FULL_SERVED if way is world.through else FULL // 2
            tally = Tally(min(whole, QUICK) if self._quick else whole)
            before = await world.held(way)
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(self._work(world, way, tally, Random(number)))
            await self._afterwards(world, way, tally)
            leaks = await world.left_behind(way, before)
            baseline = f"{tally.partial:,} of them in the middle"
            crossed = "cancelled, given what is another's"
            rows.append(counted(crossed, way.name, tally.crossed, tally.cancelled, baseline))
            others = tally.asked - tally.cancelled + AFTERWARDS
            rows.append(counted("asked beside and after them, not answered", way.name, tally.wrong, others))
            rows.append(counted("left behind by the cancelled", way.name, leaks, tally.cancelled))
        return rows

    async def _work(self, world: World, way: Way, tally: Tally, random: Random) -> None:
        """Ask and cancel, until enough were cancelled."""
        loop = asyncio.get_running_loop()
        while tally.cancelled < tally.wanted:
            tally.asked += 1
            question = Question(self._route, stream=random.random() < 0.7)
            world.vendor.plans[question.nonce] = _plan(Random(question.nonce))
            ends = tally.asked <= AT_ONCE or random.random() < LET_END
            wait = None if ends else random.uniform(0, 0.9) * tally.usual
            given: list[str] = []
            start = loop.time()
            asking = asyncio.create_task(_ask(way, question, given))
            done, _ = await asyncio.wait([asking], timeout=wait)
            asking.cancel()
            await asyncio.wait([asking])
            if not done:
                tally.cancelled += 1
                tally.partial += bool(given)
            elif ends:
                tally.answered(loop.time() - start)
            tally.take(question, "".join(given))
            if not asking.cancelled() and (error := asking.exception()):
                tally.wrong.append(f"{type(error).__name__}: {error}")
            world.vendor.forget(question.nonce)

    async def _afterwards(self, world: World, way: Way, tally: Tally) -> None:
        """Ask as many as were at once before, and let them end: every connection that was kept is used."""

        async def ask() -> None:
            question = Question(self._route)
            world.vendor.plans[question.nonce] = lambda asked: _echo(asked, Random(asked.nonce))
            answer = await way.ask(question)
            if not answer.is_whole or answer.text != f"{question.nonce} " * WORDS or answer.nonces != {question.nonce}:
                tally.wrong.append(f"{answer.ended} {answer.status} {answer.error}")

        async with asyncio.TaskGroup() as group:
            for _ in range(AFTERWARDS):
                group.create_task(ask())


async def _ask(way: Way, question: Question, given: list[str]) -> None:
    """Ask, and keep what is given, piece by piece."""
    if isinstance(way, InProcess) and question.stream:
        async with way.gateway.stream(question.model, question.messages) as chunks:
            async for chunk in chunks:
                given.append(chunk.to_json().decode())  # noqa: PERF401  # looked at when it is cancelled, too
    elif isinstance(way, InProcess):
        reply = await way.gateway.chat(question.model, question.messages)
        given.append(reply.model_dump_json().decode())
    elif isinstance(way, Http):
        await _ask_http(way, question, given)


async def _ask_http(way: Http, question: Question, given: list[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    try:
        writer.write(request_bytes(question))
        while data := await reader.read(65536):
            given.append(data.decode("utf-8", "replace"))
    finally:
        writer.close()


# -- what the vendor does ---------------------------------------------------------------------


def _plan(random: Random) -> Plan:
    """Answer; now and then, break before the answer at whichever target is asked first."""
    calls: list[Asked] = []

    def plan(asked: Asked) -> Script:
        calls.append(asked)
        if len(calls) == 1 and random.randrange(100) < RESETS:
            return Script([random.uniform(0, 0.005)], "reset", breaks=True)
        return _echo(asked, random)

    return plan


def _echo(asked: Asked, random: Random) -> Script:
    """Say the nonce in every chunk, with small pauses."""
    if not asked.stream:
        return Script([random.uniform(0, 0.02), *whole("200 OK", whole_body(asked, f"{asked.nonce} " * WORDS))])
    steps: list[bytes | float | None] = [random.uniform(0, 0.005), STREAM_HEAD]
    for _ in range(WORDS):
        steps += [chunked(event(asked, {"content": f"{asked.nonce} "})), random.uniform(0, 0.003)]
    return Script([*steps, chunked(finish(asked)) + last()])
