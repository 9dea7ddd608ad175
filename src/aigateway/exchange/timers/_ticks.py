"""Ring many alarms from one timer of the event loop.

Every request has deadlines and nearly none of them pass. A loop timer for each, armed and taken
away again, costs more than the request's own logic (on uvloop each is a handle to open and to
close), so alarms only note when they are due and one timer looks them through while there are any.

A loop that was blocked looks late, and finds deadlines passed that nobody could have kept: what
came meanwhile lies unread in the sockets. So that look rings nothing, and who waits reads first;
`lost` counts the seconds that were nobody's silence.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

__all__ = ["Alarm", "Ticks"]

# Seconds between two looks: how late an alarm may ring.
EVERY = 0.05
# Seconds a look may be late before the loop counts as blocked.
BLOCKED = 0.5
logger = logging.getLogger("aigateway.exchange")


class Alarm(Protocol):
    """Something to do at a time; `due` is on the loop's clock and may move."""

    due: float

    def ring(self) -> None:
        """Do it; it is due."""


class Ticks:
    """Hold the alarms of one event loop at a time; `quiet` leaves it to others to say that it was blocked."""

    __slots__ = ("_alarms", "_handle", "_loop", "_next", "_quiet", "_spared", "lost")

    def __init__(self, *, quiet: bool = False) -> None:
        self._alarms: set[Alarm] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._spared = False
        self._quiet = quiet
        self.lost = 0.0

    def add(self, alarm: Alarm, loop: asyncio.AbstractEventLoop) -> None:
        """Look after an alarm until it is discarded."""
        if self._loop is not loop:  # another loop took its alarms along
            self._loop, self._handle, self._alarms = loop, None, set()
        self._alarms.add(alarm)
        if self._handle is None:
            self._look_later(loop, loop.time())

    def discard(self, alarm: Alarm) -> None:
        """Forget an alarm."""
        self._alarms.discard(alarm)

    def _look(self) -> None:
        self._handle = None
        if not self._alarms or self._loop is None:
            return
        now = self._loop.time()
        if not self._spare(now - self._next):
            for alarm in [alarm for alarm in self._alarms if alarm.due <= now]:
                alarm.ring()
        self._look_later(self._loop, now)

    def _spare(self, late: float) -> bool:
        """Tell whether to ring nothing this time; never twice in a row, or a slow loop had no deadlines."""
        if late > BLOCKED:
            self.lost += late
        self._spared = late > BLOCKED and not self._spared
        if self._spared and not self._quiet:
            logger.warning("the event loop was blocked for %.1f s; its deadlines are looked at a moment later", late)
        return self._spared

    def _look_later(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._next = now + EVERY
        self._handle = loop.call_at(self._next, self._look)
