"""Ring many alarms from one timer of the event loop.

Every request has deadlines and nearly none of them pass. A loop timer for each, armed and taken
away again, costs more than the request's own logic (on uvloop each is a handle to open and to
close), so alarms only note when they are due and one timer looks them through while there are any.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Alarm", "Ticks"]

# Seconds between two looks: how late an alarm may ring.
EVERY = 0.05


class Alarm(Protocol):
    """Something to do at a time; `due` is on the loop's clock and may move."""

    due: float

    def ring(self) -> None:
        """Do it; it is due."""


class Ticks:
    """Hold the alarms of one event loop at a time."""

    __slots__ = ("_alarms", "_handle", "_loop")

    def __init__(self) -> None:
        self._alarms: set[Alarm] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None

    def add(self, alarm: Alarm, loop: asyncio.AbstractEventLoop) -> None:
        """Look after an alarm until it is discarded."""
        if self._loop is not loop:  # another loop took its alarms along
            self._loop, self._handle, self._alarms = loop, None, set()
        self._alarms.add(alarm)
        if self._handle is None:
            self._handle = loop.call_later(EVERY, self._look)

    def discard(self, alarm: Alarm) -> None:
        """Forget an alarm."""
        self._alarms.discard(alarm)

    def _look(self) -> None:
        self._handle = None
        if not self._alarms or self._loop is None:
            return
        now = self._loop.time()
        for alarm in [alarm for alarm in self._alarms if alarm.due <= now]:
            alarm.ring()
        self._handle = self._loop.call_later(EVERY, self._look)
