"""Code that blocks the event loop is nobody's silence: what came meanwhile is read before deadlines are looked at."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from aigateway import Gateway, Settings
from aigateway.exchange import Ticks
from aigateway.testing.sandbox import Sandbox

Switch = Callable[[str, str], None]
LIMITS = {"connect": 5.0, "first_content": 1.0, "silence": 1.0, "answer": 1.0, "total": 30.0}
BLOCK = 2.0
# What is awaited while the loop is blocked: the vendor's head, its first content, or more of it.
CASES = {
    "plain, no head yet": ("hang", False),
    "plain, half an answer": ("stall", False),
    "stream, no head yet": ("hang", True),
    "stream, in the middle": ("stall:3", True),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a scope per wait, on trio, is trio's own


async def ask(gateway: Gateway, stream: bool, told: list[str], begun: anyio.Event) -> None:
    if not stream:
        told.append((await gateway.chat("smart", "hi")).text)
        return
    async with gateway.stream("smart", "hi") as chunks:
        async for chunk in chunks:
            begun.set()
            told.append(chunk.text)


@pytest.mark.anyio
@pytest.mark.parametrize("door", ["aiohttp", "httpx2"])
@pytest.mark.parametrize("case", CASES)
async def test_what_came_meanwhile_counts(
    configure: Callable[..., Settings],
    switch: Switch,
    standins: Sandbox,
    case: str,
    door: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The vendor spoke in time and nobody could listen: its answer is taken, nobody else is asked or blamed."""
    fault, stream = CASES[case]
    switch("deepseek", fault)
    told: list[str] = []
    begun = anyio.Event()
    async with Gateway(configure(timeouts=LIMITS, transport={"kind": door})) as gateway:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, gateway, stream, told, begun)
            with anyio.fail_after(10):
                while not standins.vendors["deepseek"].requests:
                    await anyio.sleep(0.01)
                if fault == "stall:3":
                    await begun.wait()
            await anyio.sleep(0.1)
            mended = threading.Timer(0.2, switch, ["deepseek", "none"])
            mended.start()
            time.sleep(BLOCK)  # noqa: ASYNC251  # the bad plug-in
            mended.join()
        health = gateway.memory.health("deepseek")

    assert "Hello from the DeepSeek stand-in. You said: hi" == "".join(told)
    assert (1, 0) == (len(standins.vendors["deepseek"].requests), len(standins.vendors["minimax"].requests))
    assert "healthy" == health
    assert ["aigateway.exchange"] == [record.name for record in caplog.records if "was blocked for" in record.message]


@pytest.mark.anyio
async def test_silence_is_still_silence(configure: Callable[..., Settings], switch: Switch, standins: Sandbox) -> None:
    """A vendor that said nothing, blocked loop or not, is left for the next one."""
    switch("deepseek", "hang")
    told: list[str] = []
    async with Gateway(configure(timeouts=LIMITS)) as gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, gateway, False, told, anyio.Event())
        await anyio.sleep(0.1)
        time.sleep(BLOCK)  # noqa: ASYNC251  # the bad plug-in

    assert "MiniMax" in told[0]
    assert 1 == len(standins.vendors["minimax"].requests)


class SlowLoop:
    """An event loop whose every turn takes as long as the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.next: tuple[float, Callable[[], None]] | None = None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, function: Callable[[], None]) -> object:
        self.next = (when, function)
        return object()

    def turn(self, late: float) -> None:
        assert self.next is not None
        when, function = self.next
        self.now = when + late
        function()


class Bell:
    def __init__(self, due: float) -> None:
        self.due = due
        self.rang: list[float] = []

    def ring(self) -> None:
        self.rang.append(self.due)


@pytest.mark.parametrize(("late", "turns"), [([0.0], 1), ([0.4], 1), ([3.0], 0), ([3.0, 3.0], 1), ([3.0, 0.0], 1)])
def test_one_look_is_spared(late: list[float], turns: int) -> None:
    """A look that comes late rings nothing; the next one rings, late or not."""
    loop: Any = SlowLoop()
    ticks, bell = Ticks(), Bell(0.01)
    ticks.add(bell, cast("asyncio.AbstractEventLoop", loop))
    for seconds in late:
        loop.turn(seconds)

    assert turns == len(bell.rang)


@pytest.mark.parametrize("quiet", [False, True])
def test_it_is_said_once(caplog: pytest.LogCaptureFixture, quiet: bool) -> None:
    """The log says for how long, once per standstill; whoever looks after others' alarms keeps quiet."""
    loop: Any = SlowLoop()
    ticks = Ticks(quiet=quiet)
    ticks.add(Bell(100.0), cast("asyncio.AbstractEventLoop", loop))
    with caplog.at_level(logging.WARNING):
        for seconds in (0.0, 5.0, 0.0, 0.0):
            loop.turn(seconds)

    assert ([] if quiet else ["5.0 s"]) == [
        "5.0 s" for record in caplog.records if "blocked for 5.0 s" in record.message
    ]
    assert (0 if quiet else 1) == len(caplog.records)
