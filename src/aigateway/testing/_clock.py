"""The gateway's clock on the running event loop's time, which may be a virtual one."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

__all__ = ["LoopClock"]

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class LoopClock:
    """Tell the running event loop's time; `wall` counts from `start`, on every machine the same."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start.timestamp()

    def now(self) -> float:
        """Give the loop's seconds."""
        return anyio.current_time()

    def wall(self) -> float:
        """Give seconds since the epoch."""
        return self._start + anyio.current_time()

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""
        await anyio.sleep(seconds)
