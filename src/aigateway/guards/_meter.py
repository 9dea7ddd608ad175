"""How much of a limit is left, for whom: GCRA, without a clock of its own, in bounded memory.

A limit is kept as one moment per identity: until when what was taken takes to come back. What may
be taken in any 60 seconds is then at most the limit, whatever the pattern: `burst` at once, and the
rest evenly over the minute.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf

from ..state import Rule, Taken

__all__ = ["WINDOW", "Meter", "counted", "share"]

WINDOW = 60.0
# Identities that are remembered; one that has been idle for a window is like one never seen.
MOST = 10_000
# Old identities looked at for each new one when the table is full.
LOOKS = 4
# What rounding may do to a sum of seconds: a hundred steps, on a clock that has run for a year.
ROUNDING = 5e-7


def share(rule: Rule, workers: int) -> Rule:
    """Give one worker's part of a limit that nobody shares; together they keep it, down to one each."""
    if workers == 1:
        return rule
    limit = max(1, rule.limit // workers)
    return Rule(limit, min(limit, -(-rule.burst // workers)))


def counted(left: float) -> int:
    """Give whole numbers of what is left, forgiving rounding."""
    return max(0, int(left + 1e-6))


class Bucket:
    """Hold one identity: when all it took is back, and since when some of it has been missing."""

    __slots__ = ("full", "since")

    def __init__(self, full: float) -> None:
        self.full = full
        self.since = full


class Meter:
    """Count what identities take of a limit.

    When the table is full of identities that have taken something within the window, new ones share
    one place in it until there is room: a flood cannot grow it, nor wash away one that is limited.
    """

    def __init__(self, most: int = MOST) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._most = most
        self._others = Bucket(-inf)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, identity: str, amount: float, rule: Rule, now: float) -> Taken:
        """Take, all or nothing; an amount above the burst needs a longer rest, one above the limit never passes."""
        bucket = self._buckets.get(identity)
        if bucket is None:
            bucket = self._new(identity, now)
        else:
            self._buckets.move_to_end(identity)
        step, full = rule.step, bucket.full
        if full < now - WINDOW:
            full = now - WINDOW
        slack = rule.burst * step
        wait = full + amount * step - slack - now
        if wait > ROUNDING:
            missing = full - now if full > now else 0.0
            return Taken(False, rule.burst - missing / step, wait, missing)
        if full <= now:
            full = bucket.since = now
        full += amount * step
        bucket.full = full
        return Taken(True, (slack - full + now) / step, 0.0, full - now, now)

    def correct(self, identity: str, more: float, rule: Rule, taken: Taken, now: float) -> None:
        """Take more, or (negative) give back, of what was taken; what has come back by itself is not given twice."""
        bucket = self._buckets.get(identity, self._others)
        if more > 0:  # at most as if all of the limit had just been taken: an estimate far off locks out for no longer
            bucket.full = min(max(bucket.full, now) + more * rule.step, max(bucket.full, now + rule.limit * rule.step))
        elif bucket.since <= taken.at:
            bucket.full += more * rule.step

    def look(self, identity: str, rule: Rule, now: float, amount: float = 0) -> Taken:
        """Tell how much is left, and when an amount would pass, without taking any."""
        bucket = self._buckets.get(identity)
        full = max(bucket.full, now - WINDOW) if bucket else now - WINDOW
        missing, wait = max(0.0, full - now), full + (amount - rule.burst) * rule.step - now
        return Taken(True, rule.burst - missing / rule.step, max(0.0, wait), missing, now)

    def _new(self, identity: str, now: float) -> Bucket:
        """Find room for an identity, else the place of all who find none."""
        buckets = self._buckets
        if len(buckets) >= self._most:
            for old in [name for name, _ in zip(buckets, range(LOOKS), strict=False)]:
                if buckets[old].full <= now - WINDOW:
                    del buckets[old]
                else:
                    buckets.move_to_end(old)
            if len(buckets) >= self._most:
                return self._others
        # Whoever was among the others may have taken all they took.
        bucket = buckets[identity] = Bucket(self._others.full)
        return bucket
