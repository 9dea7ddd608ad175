"""Stop working for a client that left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import anyio

from ..exchange import Ticks
from ._incoming import ClientGone, Receive

__all__ = ["while_connected"]

# Seconds before a client that left is looked for.
UNWATCHED = 0.05
Work = Callable[[], Awaitable[None]]


async def while_connected(receive: Receive, work: Work, ticks: Ticks) -> None:
    """Run `work`; cancel it as soon as the client disconnects. Raises ClientGone then."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await _in_a_task_group(receive, work)
    else:
        await Watch(loop, receive).over(work, ticks)


class Watch:
    """Watch a connection in a bare task: a fifth of what a task group costs.

    It begins when work has gone on for a moment; what is answered at once needs none.
    """

    __slots__ = ("_gone", "_loop", "_receive", "_task", "_watcher", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        self.due = loop.time() + UNWATCHED
        self._loop = loop
        self._receive = receive
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False

    async def over(self, work: Work, ticks: Ticks) -> None:
        """Run `work` under watch."""
        task = self._task
        ticks.add(self, self._loop)
        try:
            await work()
        except asyncio.CancelledError:
            if self._gone and task is not None and task.uncancel() == 0:
                raise ClientGone from None
            raise
        finally:
            self._task = None
            ticks.discard(self)
            if self._watcher is not None:
                self._watcher.cancel()

    def ring(self) -> None:
        """Begin to watch."""
        self.due = inf
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        await _disconnected(self._receive)
        if self._task is not None:
            self._gone = True
            self._task.cancel()


async def _in_a_task_group(receive: Receive, work: Work) -> None:
    gone = False
    failure: Exception | None = None

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal gone
        await _disconnected(receive)
        gone = True
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            await work()
        except Exception as error:
            failure = error  # raised outside the group, which would wrap it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if gone:
        raise ClientGone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
