"""When a target has failed too often to be asked: five in a row, or half of twenty within 10 s."""

from __future__ import annotations

__all__ = ["Breaker"]

IN_A_ROW = 5
SHARE, CALLS, SECONDS = 0.5, 20, 10


class Breaker:
    """Count how calls to one target end, in slots of a second; say when it has to rest.

    It only counts. The rest itself, its probation included, is kept with all others in `state`.
    """

    __slots__ = ("_bad", "_good", "_row", "_when")

    def __init__(self) -> None:
        self._row = 0
        self._good = [0] * SECONDS
        self._bad = [0] * SECONDS
        self._when = [-SECONDS] * SECONDS

    def succeeded(self, now: float) -> None:
        """Count an answer."""
        self._row = 0
        self._good[self._slot(now)] += 1

    def failed(self, now: float) -> bool:
        """Count a failure; tell whether the target has to rest, and begin anew if so."""
        self._row += 1
        self._bad[self._slot(now)] += 1
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
