"""Bound waits. No scope is held between two of them: a deadline is a number that moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Protocol, TypeVar

import anyio

from ...errors import REMEDIES, Kind, ProviderError, Scope
from ._ticks import Ticks

__all__ = ["Timer", "expired", "timer_for"]

T = TypeVar("T")
# A silent target is not asked again in the same request: the next one is.
SILENT = replace(REMEDIES[Kind.TIMEOUT], again=False)
# The caller's time was up, which may be anybody's fault: the target is not blamed for it.
LATE = replace(SILENT, scope=Scope.REQUEST)


class Timer(Protocol):
    """Bound the waits of one exchange, one at a time, in whichever task is waiting.

    `lost` counts the seconds in which the event loop stood still, as far as they are known.
    """

    @property
    def lost(self) -> float:
        """Give the seconds so far."""

    async def within(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()` for at most `seconds`. Raises TimeoutError."""

    def stop(self) -> None:
        """Forget the last deadline."""


class ScopeTimer:
    """Use a cancel scope per wait; on any event loop."""

    lost = 0.0

    async def within(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()` for at most `seconds`."""
        with anyio.fail_after(seconds):
            return await function()

    def stop(self) -> None:
        """Nothing is left behind by a scope."""


class AlarmTimer:
    """Use one alarm for all waits of an exchange, on asyncio.

    The alarm stays with the ticks of its gateway from the first wait to the last; a wait only moves
    when it is due.
    """

    __slots__ = ("_loop", "_rang", "_task", "_ticks", "due")

    def __init__(self, ticks: Ticks) -> None:
        self.due = inf
        self._ticks = ticks
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._rang = False

    @property
    def lost(self) -> float:
        """Give the seconds the loop stood still."""
        return self._ticks.lost

    async def within(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()` for at most `seconds`."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an exchange is used outside of a task")
        if self.due == inf:
            self._ticks.add(self, self._loop)
        self.due = self._loop.time() + seconds
        self._rang = False
        cancelling = task.cancelling()
        self._task = task
        try:
            result = await function()
        except BaseException as error:
            # Ours alone is a timeout; a cancellation from outside that came with it goes on.
            if self._taken_back(task, cancelling) and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from None
            raise
        self._taken_back(task, cancelling)
        return result

    def stop(self) -> None:
        """Take the alarm away."""
        self.due = inf
        self._ticks.discard(self)

    def ring(self) -> None:
        """Cancel whoever waits, once."""
        if self._task is not None and not self._rang:
            self._rang = True
            self._task.cancel()

    def _taken_back(self, task: asyncio.Task[object], cancelling: int) -> bool:
        """Take our cancellation back, whatever became of it; tell whether it was the only one."""
        self._task = None
        return self._rang and task.uncancel() <= cancelling


def timer_for(backend: str) -> Callable[[], Timer]:
    """Choose by the event loop; timers made by one function share their ticks."""
    return partial(AlarmTimer, Ticks()) if backend == "asyncio" else ScopeTimer


def expired(deadline: float, now: float, what: str, limit: float) -> ProviderError:
    """Say which limit passed: the request's own deadline, or `limit` seconds for `what`."""
    if now >= deadline:
        return ProviderError(Kind.TIMEOUT, f"the request's deadline passed before the {what}", remedy=LATE)
    return ProviderError(Kind.TIMEOUT, f"no {what} within {limit:g} s", remedy=SILENT)
