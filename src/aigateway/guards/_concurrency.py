"""So many calls at once and no more: what comes on top is told at once to come back later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..errors import Refusal
from ..types import Call, Outcome
from ._guard import GuardOptions
from ._settings import count_of

__all__ = ["Concurrency"]

# Seconds after which who was turned away may find room.
AGAIN = 1.0


class Concurrency:
    """Hold a place for every call until its answer has ended, a stream's last chunk included.

    Workers divide the places. Refuses with 503 when none is left; 0 means no limit.
    """

    SETTINGS: Mapping[str, Any] = {"calls": 256, "streams": 2000, "per_caller": 0}
    instant = True

    def __init__(self, options: GuardOptions) -> None:
        calls, streams, own = (-(-count_of(options, name) // options.workers) for name in self.SETTINGS)
        self._most = (calls, streams)
        self._own = own
        self._under_way = [0, 0]
        self._callers: Counter[str] = Counter()

    async def enter(self, call: Call) -> None:
        """Take a place. Raises Refusal where there is none."""
        kind = 1 if call.request.stream else 0
        if self._under_way[kind] >= self._most[kind] > 0:
            what = ("calls", "streams")[kind]
            raise _full(f"{self._most[kind]} {what} are under way, and there is room for no more")
        if self._own:
            name = call.caller.space
            if self._callers[name] >= self._own:
                raise _full(f"{self._own} calls of this caller are under way, and it may have no more")
            self._callers[name] += 1
        self._under_way[kind] += 1

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Give the place back."""
        self._under_way[1 if call.request.stream else 0] -= 1
        if self._own:
            name = call.caller.space
            self._callers[name] -= 1
            if not self._callers[name]:
                del self._callers[name]


def _full(why: str) -> Refusal:
    return Refusal(f"{why}. Try again in a moment.", status=503, code="overloaded", retry_after=AGAIN)
