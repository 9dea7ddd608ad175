"""Try rows beside each other: one gateway for all that come in by the same way."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import anyio

from aigateway import Gateway
from aigateway.config import parse
from aigateway.transport import TransportKind, open_transport

from .ask import InProcess, Served
from .leaks import TaskOwners, all_closed, nothing_left, nothing_left_by, owning
from .serving import serving
from .settings import Tables, merged, to_toml
from .wall import DOORS, Case, Stage, Verdict, listened, staged

__all__ = ["run_all"]

HERE = Path(__file__).parent
# Rows at once: few enough that none is late because of the others.
AT_ONCE = 12
# Ways in at once: they share one interpreter, and a row that keeps it busy makes the others' late.
WAYS_AT_ONCE = 2
LONGEST = 150.0
# What is imported when it is first needed: not in the middle of the first rows.
SLOW_TO_IMPORT = ("aiohttp", "httpx2", "openai.resources.chat", "tenacity", "trio")


def run_all(cases: Sequence[Case], scale: float) -> dict[Case, Verdict]:
    """Try cases, each way in on an event loop and a thread of its own."""
    for module in SLOW_TO_IMPORT:
        import_module(module)
    anyio.run(_warm_up)
    groups = {door: [case for case in cases if case.door == door] for door in DOORS}
    with listened(), ThreadPoolExecutor(WAYS_AT_ONCE, thread_name_prefix="wall") as threads:
        runs = [threads.submit(_run_on, door, group, scale) for door, group in groups.items() if group]
        return {case: verdict for run in runs for case, verdict in run.result().items()}


def _run_on(door: str, cases: Sequence[Case], scale: float) -> dict[Case, Verdict]:
    return anyio.run(run, cases, door, scale, backend="trio" if door == "trio" else "asyncio")


async def _warm_up() -> None:
    """Do once what every first request does: not in the middle of the first rows."""
    settings = {"providers": {"echo": {}}, "routes": {"smart": {"targets": ["echo/echo"]}}}
    async with Gateway(parse(settings)) as gateway:
        for stream in (True, False):
            await InProcess(gateway).ask("smart", stream=stream)


async def run(cases: Sequence[Case], door: str, scale: float) -> dict[Case, Verdict]:
    """Try all cases of one way in."""
    verdicts: dict[Case, Verdict] = {}
    async with staged(cases, scale) as stages:
        if door == "served":
            await _run_served(stages, verdicts)
        else:
            await _run_here(stages, verdicts)
    return verdicts


async def _run_here(stages: Sequence[Stage], verdicts: dict[Case, Verdict]) -> None:
    """Ask one gateway of this process; when it is closed, no vendor may be left with a connection."""
    async with TaskOwners():
        async with _gateway(stages) as gateway:
            for stage in stages:
                stage.gateway, stage.way = gateway, InProcess(gateway)
            await _each(stages, verdicts, AT_ONCE)
        for stage in stages:
            await _afterwards([stage], verdicts, all_closed(stage.vendors.values()))


async def _run_served(stages: Sequence[Stage], verdicts: dict[Case, Verdict]) -> None:
    alone = [stage for stage in stages if stage.row.alone]
    together = [stage for stage in stages if not stage.row.alone]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_each, alone, verdicts, len(alone))
        if together:
            tasks.start_soon(_afterwards, together, verdicts, _serve(together, verdicts))


async def _serve(stages: Sequence[Stage], verdicts: dict[Case, Verdict]) -> None:
    """Serve these rows with one process, and look at the end what it has left open."""
    async with serving(_configuration(stages)) as server:
        async with Served(server.url) as way:
            before = server.descriptors
            for stage in stages:
                stage.server, stage.way = server, way
            await _each(stages, verdicts, AT_ONCE)
        await nothing_left(server, before, [vendor for stage in stages for vendor in stage.vendors.values()])
        code = await server.stop()
        if code or "Traceback" in server.log:
            raise AssertionError(f"the server ended with {code}: {server.log}")


async def _afterwards(stages: Iterable[Stage], verdicts: dict[Case, Verdict], check: Awaitable[None]) -> None:
    """Await what is true of rows when all are over; each of these has missed it if it is not."""
    try:
        await check
    except Exception as error:
        for stage in stages:
            seen, missed, harm = verdicts.get(stage.case, Verdict(""))
            left = harm or f"afterwards: {_explained(error)}"
            verdicts[stage.case] = Verdict(seen, missed or left, left)


async def _each(stages: Iterable[Stage], verdicts: dict[Case, Verdict], at_once: int) -> None:
    limiter = anyio.CapacityLimiter(max(1, at_once))

    async def one(stage: Stage) -> None:
        async with limiter:
            verdicts[stage.case] = await _judge(stage)

    async with anyio.create_task_group() as tasks:
        # The longest first, so that the end is not one row's alone.
        for stage in sorted(stages, key=lambda stage: -stage.row.takes):
            tasks.start_soon(one, stage)


async def _judge(stage: Stage) -> Verdict:
    seen = missed = harm = ""
    try:
        with anyio.fail_after(LONGEST):
            async with _opened(stage):
                with owning() as tasks:
                    try:
                        seen = await stage.row.scenario(stage) or ""
                    except Exception as error:
                        missed = _explained(error)
                await nothing_left_by(stage, tasks)
        if stage.row.by_default and not all(answer.ok for answer in stage.answers):
            harm = "a caller was not answered"
    except Exception as error:
        harm = _explained(error)
    return Verdict(seen or stage.summary(), missed or harm, harm)


@asynccontextmanager
async def _opened(stage: Stage) -> AsyncIterator[None]:
    """Open the row's own server, if it has not a shared gateway."""
    if stage.way is not None:
        yield
        return
    async with serving(_configuration([stage])) as server, Served(server.url) as way:
        stage.server, stage.way = server, way
        yield


def _gateway(stages: Sequence[Stage]) -> Gateway:
    door = stages[0].case.door
    kind: TransportKind = "aiohttp" if door == "aiohttp" else "httpx2"
    backend = "trio" if door == "trio" else "asyncio"
    return Gateway(parse(_tables(stages)), transport=open_transport(kind, backend=backend), seed=1)


def _tables(stages: Iterable[Stage]) -> Tables:
    return merged([stage.names.tables(stage.scale, inherited=stage.case.terms != "plain") for stage in stages])


def _configuration(stages: Iterable[Stage]) -> str:
    return to_toml(_tables(stages))


def _explained(error: BaseException) -> str:
    """Say what was missed: the row's own words, and the line that was not true."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == HERE]
    where = f"{Path(lines[-1].filename).name}:{lines[-1].lineno}: {lines[-1].line}" if lines else ""
    return f"{where} ({type(error).__name__}: {error})"
