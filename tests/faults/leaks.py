"""What must be left of a row: nothing. No call, no connection, no task, no descriptor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Self
from weakref import WeakSet

import anyio

from .serving import Server
from .vendor import Vendor
from .wall import Stage

__all__ = ["TaskOwners", "all_closed", "all_quiet", "nothing_left", "nothing_left_by", "owning"]

PATIENCE = 5.0
# Descriptors a process may open by itself: a log's rotation, a look at /proc.
SPARE = 2
Tasks = WeakSet[asyncio.Task[Any]]
# The tasks of the row that runs here; every task it makes inherits it.
TASKS: ContextVar[Tasks | None] = ContextVar("tasks", default=None)


async def until(true: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait for a condition, for a while."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what()
        await anyio.sleep(0.01)


async def all_quiet(vendors: Iterable[Vendor]) -> None:
    """Wait until no vendor is asked anything any more: answered, or given up by the gateway."""
    for vendor in vendors:
        await until(partial(_quiet, vendor), partial(_busy, vendor))


async def all_closed(vendors: Iterable[Vendor]) -> None:
    """Wait until no vendor has a connection any more."""
    for vendor in vendors:
        await until(partial(_closed, vendor), partial(_open, vendor))


def _quiet(vendor: Vendor) -> bool:
    return not vendor.busy


def _busy(vendor: Vendor) -> str:
    return f"{vendor.busy} calls to {vendor.name} are still open"


def _closed(vendor: Vendor) -> bool:
    return not vendor.open


def _open(vendor: Vendor) -> str:
    return f"{vendor.open} connections to {vendor.name} are left"


@contextmanager
def owning() -> Iterator[Tasks]:
    """Give the tasks that are made meanwhile, here and in tasks made here."""
    tasks: Tasks = WeakSet()
    token = TASKS.set(tasks)
    try:
        yield tasks
    finally:
        TASKS.reset(token)


async def nothing_left_by(stage: Stage, tasks: Tasks) -> None:
    """See that a row leaves no call that is answered, none in flight, and no task."""
    await all_quiet(stage.vendors.values())
    await until(lambda: not in_flight(stage), lambda: f"{in_flight(stage)} calls are in flight")
    await until(lambda: all(task.done() for task in tasks), lambda: f"tasks are left: {list(tasks)}")


def in_flight(stage: Stage) -> int:
    """Count the calls a gateway takes for under way, and the keys it takes for used; 0 where only the process knows."""
    if stage.gateway is None:
        return 0
    records, rings = stage.gateway.memory._records, stage.gateway.parts.rings
    own = stage.names.mark
    calls = sum(record.in_flight for (provider, _), record in records.items() if provider.endswith(own))
    return calls + sum(sum(ring.in_use.values()) for name, ring in rings.items() if name.endswith(own))


async def nothing_left(server: Server, before: int, vendors: Sequence[Vendor]) -> None:
    """See that a served gateway holds no more descriptors than the connections it keeps for later."""
    await all_quiet(vendors)

    def most() -> int:
        return before + sum(vendor.open for vendor in vendors) + SPARE

    await until(lambda: server.descriptors <= most(), lambda: f"{server.descriptors} descriptors, {most()} expected")


class TaskOwners:
    """Note of each asyncio task which row it was made for; trio's tasks cannot outlive their nursery."""

    async def __aenter__(self) -> Self:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
            return self
        self._before = self._loop.get_task_factory()
        self._loop.set_task_factory(self._make)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._loop is not None:
            self._loop.set_task_factory(self._before)

    def _make(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        context = options.get("context")
        owned = context.get(TASKS) if context is not None else TASKS.get()
        if owned is not None:
            owned.add(task)
        return task
