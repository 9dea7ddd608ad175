"""What this process holds of limits it shares: tokens it was given, and how long it may spend them."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil, inf

from aigateway.state import Rule, Taken

__all__ = ["LIVES", "WINDOW", "Lease", "Leases", "microseconds", "step_of"]

# Seconds tokens may be spent after they were given. What is given within 61 seconds is at most the limit, so what is
# spent within 60 is, too.
LIVES = 1.0
WINDOW = 60.0 + LIVES
# Seconds of its present traffic an identity is given tokens for in advance.
AHEAD = 0.1
MOST_AHEAD = 1000
MOST = 10_000


def step_of(rule: Rule) -> float:
    """Give the seconds in which one comes back, in whole microseconds, as Redis counts them."""
    return microseconds(rule.step * WINDOW / 60.0) / 1e6


class Lease:
    """Hold one identity's tokens, and what Redis said of it last; times are this process's monotonic seconds."""

    __slots__ = ("asked", "at", "began", "ends", "full", "left", "rate", "refused", "rule", "until", "used")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.left = 0  # tokens that are ours until `ends`, given at `at` on the clock of Redis
        self.ends = -inf
        self.at = 0
        self.full = -inf  # when all that was taken is back
        self.refused, self.until = 0, -inf  # how much was refused, and until when that stays so
        self.used, self.began = 0, -inf  # asked for since when
        self.rate = 0.0  # asked for in the second before that
        self.asked = False  # more is on its way

    def spend(self, amount: int, now: float) -> bool:
        """Spend tokens that were given before."""
        if self.left < amount or now >= self.ends:
            return False
        self.left -= amount
        return True

    def note(self, amount: int, now: float) -> None:
        """Count what is asked for, to know what to ask for in advance."""
        if now - self.began > LIVES:
            self.rate = self.used / LIVES if now - self.began < 2 * LIVES else 0.0
            self.used, self.began = 0, now
        self.used += amount

    @property
    def ahead(self) -> int:
        """Give how much to ask for in advance: nothing for who asks now and then, or all at once after a rest."""
        return min(MOST_AHEAD, int(self.rate * AHEAD))

    def expired(self, now: float) -> int:
        """Give the tokens that were not spent in time, and hold them no longer."""
        if now < self.ends or not self.left:
            return 0
        left, self.left = self.left, 0
        return left

    def wait(self, amount: int, now: float) -> float:
        """Tell in how many seconds Redis would let an amount through; below 0, it would already."""
        return self.full - now + (amount - self.rule.burst) * step_of(self.rule)

    def told(self, amount: int, admitted: bool, now: float) -> Taken:
        """Say how it stands."""
        step = step_of(self.rule)
        ours = self.left if now < self.ends else 0  # given, and not spent: as good as there
        missing = max(0.0, self.full - now - ours * step)
        left = self.rule.burst - missing / step
        wait = 0.0 if admitted else max(0.001, self.wait(amount, now))
        return Taken(admitted, left, wait, missing, self.at, True)


class Leases:
    """Keep leases by identity, bounded; those in use longest."""

    def __init__(self) -> None:
        self._leases: OrderedDict[str, Lease] = OrderedDict()
        self._holding: dict[str, Lease] = {}

    def find(self, identity: str, rule: Rule) -> Lease | None:
        """Give the lease of an identity, a new one for a new one; None while there is no room for it."""
        lease = self._leases.get(identity)
        if lease is not None:
            self._leases.move_to_end(identity)
            return lease
        if len(self._leases) >= MOST:
            oldest = next(iter(self._leases))
            if self._leases[oldest].asked or oldest in self._holding:
                return None
            del self._leases[oldest]
        lease = self._leases[identity] = Lease(rule)
        return lease

    def known(self, identity: str) -> Lease | None:
        """Give the lease of an identity that has one."""
        return self._leases.get(identity)

    def given(self, identity: str, lease: Lease, tokens: int, at: int, now: float) -> None:
        """Hold tokens that were given at a moment of Redis's clock, and asked for at one of ours."""
        if not tokens:
            return
        if lease.left:  # what was there before lives no longer for it
            lease.ends, lease.at = min(lease.ends, now + LIVES), min(lease.at, at)
        else:
            lease.ends, lease.at = now + LIVES, at
        lease.left += tokens
        self._holding[identity] = lease

    def returned(self, now: float) -> list[tuple[str, Lease, int]]:
        """Give what was not spent in time."""
        over = [(identity, lease) for identity, lease in self._holding.items() if now >= lease.ends or not lease.left]
        for identity, _ in over:
            del self._holding[identity]
        return [(identity, lease, left) for identity, lease in over if (left := lease.expired(now))]


def microseconds(seconds: float) -> int:
    """Round up, in the limit's favour."""
    return ceil(seconds * 1e6 - 1e-3)
