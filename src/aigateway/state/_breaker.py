"""When a target has failed too often to be asked: five in a row, or half of twenty within 10 s."""

from __future__ import annotations

from math import inf

__all__ = ["Breaker"]

IN_A_ROW = 5
SHARE, CALLS, SECONDS = 0.5, 20, 10


class Breaker:
    """Count how calls to one target end, in slots of a second; say when it has to rest.

    It only counts. The rest itself, its probation included, is kept with all others in `Rests`.
    """

    __slots__ = ("_bad", "_failed", "_good", "_row", "_when")

    def __init__(self) -> None:
        self._row = 0
        self._failed = -inf
        self._good = [0] * SECONDS
        self._bad = [0] * SECONDS
        self._when = [-SECONDS] * SECONDS

    def succeeded(self, now: float) -> bool:
        """Count an answer; tell whether the target has to rest: it may be the twentieth call of which half failed."""
        self._row = 0
        self._good[self._slot(now)] += 1
        return now - self._failed < SECONDS and self._has_to_rest(now)

    def failed(self, now: float) -> bool:
        """Count a failure; tell whether the target has to rest, and begin anew if so."""
        self._row += 1
        self._failed = now
        self._bad[self._slot(now)] += 1
        return self._has_to_rest(now)

    def _has_to_rest(self, now: float) -> bool:
        if self._row >= IN_A_ROW or self._too_many(now):
            self.__init__()  # type: ignore[misc]  # what led to a rest does not count again after it
            return True
        return False

    def _too_many(self, now: float) -> bool:
        recent = [slot for slot in range(SECONDS) if self._when[slot] > int(now) - SECONDS]
        bad = sum(self._bad[slot] for slot in recent)
        calls = bad + sum(self._good[slot] for slot in recent)
        return calls >= CALLS and bad >= calls * SHARE

    def _slot(self, now: float) -> int:
        second = int(now)
        slot = second % SECONDS
        if self._when[slot] != second:
            self._when[slot], self._good[slot], self._bad[slot] = second, 0, 0
        return slot
