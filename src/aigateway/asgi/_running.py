"""The requests under way, and the ways to end one early.

A client leaves, a client does not read, the server stops: whoever notices ends the request here.
Its work is cancelled, and what is raised in place of the cancellation says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

import anyio

from ..errors import Refusal
from ..exchange import Ticks
from ._incoming import ClientGone, ClientStuck, Incoming

__all__ = ["Running", "ShuttingDown"]

# Seconds before a client that left is looked for.
UNWATCHED = 0.05
# Seconds a request that is ended may take to be gone.
ENDING = 5.0
Work = Callable[[], Awaitable[None]]


class ShuttingDown(Refusal):
    """The server stops, and this request was still under way (or came too late)."""

    type = "server_error"

    def __init__(self) -> None:
        super().__init__("the gateway is shutting down. Ask again.", status=503, code="shutting_down", retry_after=1.0)


class Watch(Protocol):
    """One request under way."""

    async def over(self, work: Work) -> None:
        """Run `work`. Raises the reason when it was ended early."""

    def end(self, reason: Exception) -> None:
        """Cancel it, unless its answer is out already; the first reason counts."""


class Running:
    """Hold the requests under way; look whether their clients are there, and read."""

    def __init__(self, write_timeout: float) -> None:
        self._write_timeout = write_timeout
        self._ticks = Ticks(quiet=True)
        self._watches: set[Watch] = set()
        self._draining = False
        self._none_left: anyio.Event | None = None

    async def over(self, request: Incoming, work: Work) -> None:
        """Run `work` for a request. Raises ClientGone or ShuttingDown when it was ended early."""
        if self._draining:
            raise ShuttingDown
        watch = self._watch(request)
        self._watches.add(watch)
        try:
            await watch.over(work)
        finally:
            self._watches.discard(watch)
            if self._none_left is not None and not self._watches:
                self._none_left.set()

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, give those under way `seconds` to end, then end the rest."""
        self._draining = True
        await self._wait(seconds)
        for watch in list(self._watches):
            watch.end(ShuttingDown())
        await self._wait(ENDING)

    async def _wait(self, seconds: float) -> None:
        """Wait until no request is under way, at most `seconds`."""
        if self._watches:
            self._none_left = self._none_left or anyio.Event()
            with anyio.move_on_after(seconds):
                await self._none_left.wait()

    def _watch(self, request: Incoming) -> Watch:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return ScopeWatch(request, self._write_timeout)
        return TaskWatch(request, self._write_timeout, self._ticks, loop)


class TaskWatch:
    """Watch in a bare task and by an alarm, on asyncio: a fifth of what a task group costs.

    It begins when work has gone on for a moment; what is answered at once needs none.
    """

    __slots__ = ("_loop", "_reads", "_request", "_step", "_task", "_ticks", "_watcher", "due")

    def __init__(self, request: Incoming, write_timeout: float, ticks: Ticks, loop: asyncio.AbstractEventLoop) -> None:
        self.due = loop.time() + UNWATCHED
        self._request = request
        self._step = write_timeout / 4
        self._reads = Reads(request, write_timeout)
        self._ticks = ticks
        self._loop = loop
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None

    async def over(self, work: Work) -> None:
        """Run `work` in this task, under watch."""
        task = self._task
        self._ticks.add(self, self._loop)
        try:
            await work()
        except (Exception, asyncio.CancelledError):
            if self._taken_back(task) and self._request.reason is not None:
                raise self._request.reason from None
            raise
        else:
            self._taken_back(task)
        finally:
            self._task = None
            self._ticks.discard(self)
            if self._watcher is not None:
                self._watcher.cancel()

    def end(self, reason: Exception) -> None:
        """Cancel the task, once."""
        if self._task is not None and self._request.reason is None and not self._request.complete:
            self._request.reason = reason
            self.due = inf
            self._task.cancel()

    def ring(self) -> None:
        """Begin to watch for a client that leaves, then look now and then whether it reads."""
        now = self._loop.time()
        if not self._request.received:  # the body is being read: who reads it sees the client leave
            self.due = now + UNWATCHED
            return
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._left())
        self.due = now + self._step
        if self._reads.stuck(now):
            self.end(ClientStuck())

    def _taken_back(self, task: asyncio.Task[object] | None) -> bool:
        """Take our cancellation back, whatever became of it; tell whether it was the only one."""
        return self._request.reason is not None and task is not None and task.uncancel() == 0

    async def _left(self) -> None:
        await _disconnected(self._request)
        if not self._request.left():
            self.end(ClientGone())


class ScopeWatch:
    """Watch in a task group, on any event loop."""

    def __init__(self, request: Incoming, write_timeout: float) -> None:
        self._request = request
        self._step = write_timeout / 4
        self._reads = Reads(request, write_timeout)
        self._scope: anyio.CancelScope | None = None

    async def over(self, work: Work) -> None:
        """Run `work` under watch."""
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            tasks.start_soon(self._left)
            tasks.start_soon(self._look)
            try:
                await work()
            except Exception as error:
                failure = error  # raised outside the group, which would wrap it
            self._scope = None
            tasks.cancel_scope.cancel()
        if self._request.reason is not None or failure is not None:
            raise self._request.reason or failure or ClientGone

    def end(self, reason: Exception) -> None:
        """Cancel the scope, once."""
        if self._scope is not None and self._request.reason is None and not self._request.complete:
            self._request.reason = reason
            self._scope.cancel()

    async def _left(self) -> None:
        while not self._request.received:  # noqa: ASYNC110  # an event would cost every request, on asyncio too
            await anyio.sleep(UNWATCHED)
        await _disconnected(self._request)
        if not self._request.left():
            self.end(ClientGone())

    async def _look(self) -> None:
        while True:
            await anyio.sleep(self._step)
            if self._reads.stuck(anyio.current_time()):
                self.end(ClientStuck())


class Reads:
    """Tell whether a client takes what is sent, from counts alone: sending costs no timer."""

    __slots__ = ("_patience", "_request", "_seen", "_since")

    def __init__(self, request: Incoming, patience: float) -> None:
        self._request = request
        self._patience = patience
        self._seen = -1
        self._since = 0.0

    def stuck(self, now: float) -> bool:
        """Tell whether the same message has been on its way out for too long."""
        if self._request.sends != self._seen:
            self._seen, self._since = self._request.sends, now
        return self._seen % 2 == 1 and now - self._since >= self._patience


async def _disconnected(request: Incoming) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
