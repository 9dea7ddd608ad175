"""What all figures share: the stand-in vendor, a served gateway, a gateway behind each door, the books."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from aigateway import Gateway
from aigateway.config import load

from .asking import Answer, Http, InProcess, Question, Way
from .config import Config
from .served import Served, open_files
from .vendor import Asked, Script, Vendor
from .wire import streamed, text_of

__all__ = ["DOORS", "Note", "World", "at_once", "open_world", "through_all", "until"]

DOORS = ("aiohttp", "httpx2")
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Note:
    """One answer a client was given, for the books; `way` names how it was asked for."""

    way: str
    question: Question
    answer: Answer


@dataclass
class World:
    """What a figure measures with."""

    vendor: Vendor
    served: Served
    through: Http
    direct: Http
    doors: list[InProcess]
    random: Random
    notes: list[Note] = field(default_factory=list)

    @property
    def ways(self) -> list[Way]:
        """Give the ways that go through a gateway."""
        return [self.through, *self.doors]

    async def ask(self, way: Way, question: Question) -> Answer:
        """Ask, and keep the answer for the books."""
        answer = await way.ask(question)
        if way is not self.direct:
            self.notes.append(Note(way.name, question, answer))
        return answer

    async def held(self, way: Way) -> dict[str, int]:
        """Count what a way of asking holds when nothing is under way but one kept connection."""
        await until(lambda: not self.vendor.busy, 2.0)
        self.vendor.drop_idle()
        await way.ask(Question("well", stream=False))  # a pool looks at its connections when it is asked for one
        await asyncio.sleep(0.05)
        pid = os.getpid() if isinstance(way, InProcess) else self.served.pid
        return {"file descriptors": open_files(pid), "tasks": len(asyncio.all_tasks()), "upstream": self.vendor.busy}

    async def left_behind(self, way: Way, before: dict[str, int]) -> list[str]:
        """Say what is held now and was not before; what is only late is waited for."""
        leaks = [""]
        end = asyncio.get_running_loop().time() + 5.0
        while leaks and asyncio.get_running_loop().time() < end:
            now = await self.held(way)
            leaks = [f"{now[name] - before[name]} {name}" for name in now if now[name] > before[name]]
        return leaks


def usual(asked: Asked) -> Script:
    """Answer whole."""
    return streamed(asked, text_of(asked.nonce, "well"), Random(asked.nonce))


@asynccontextmanager
async def open_world(folder: Path, prepare: Iterable[Callable[[Config, Vendor], None]]) -> AsyncIterator[World]:
    """Start everything, with the providers and routes the figures need."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(Vendor(usual))
        config = Config(vendor.port)
        for step in prepare:
            step(config, vendor)
        files = {door: folder / f"{door}.toml" for door in DOORS}
        for door, file in files.items():
            file.write_text(config.text(door))
        served = Served(files["aiohttp"])
        stack.callback(served.stop)
        doors = [InProcess(door, Gateway(load(file, environ={}))) for door, file in files.items()]
        for way in doors:
            await stack.enter_async_context(way.gateway)
        await asyncio.to_thread(served.wait_for_port, served.port)
        through, direct = Http("serve", served.port), Http("direct", vendor.port)
        yield World(vendor, served, through, direct, doors, Random(1))


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True


async def through_all(
    ways: Sequence[Way], items: Sequence[T], function: Callable[[Way, T], Awaitable[U]], at_a_time: int = 20
) -> dict[str, list[U]]:
    """Apply a function to all items through every way, beside each other; give the results by way."""
    found = await asyncio.gather(*(at_once(at_a_time, items, partial(function, way)) for way in ways))
    return {way.name: results for way, results in zip(ways, found, strict=True)}


async def at_once(limit: int, items: Iterable[T], function: Callable[[T], Awaitable[U]]) -> list[U]:
    """Apply a function to all items, at most so many at a time; give the results in their order."""
    waiting: Iterator[tuple[int, T]] = iter(enumerate(items))
    results: dict[int, U] = {}

    async def work() -> None:
        for number, item in waiting:
            results[number] = await function(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(work())
    return [results[number] for number in sorted(results)]
