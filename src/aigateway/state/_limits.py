"""What a limit is, and how processes take from one together."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Rule", "SharedLimits", "Taken"]


class Rule:
    """Allow `limit` in any 60 seconds, `burst` of them at once; one comes back every `step` seconds.

    `name` begins the name of what is counted by it: whoever has two rules is counted by each apart.
    """

    __slots__ = ("burst", "limit", "name", "shown", "step")

    def __init__(self, limit: int, burst: int) -> None:
        self.limit = limit
        self.burst = burst
        # With the burst taken at once, the others are spread over what is left of the window.
        self.step = 60.0 / max(1, limit - burst)
        self.shown = str(limit)
        self.name = f"{limit}/{burst}/"


class Taken(NamedTuple):
    """Say whether something was taken, and what is left: how much now, and in how many seconds all of it is back.

    `wait` is in how many seconds it would pass, `at` when it was taken; `shared` tells whether from
    what all processes share.
    """

    admitted: bool
    left: float
    wait: float
    full: float
    at: float = 0.0
    shared: bool = False


class SharedLimits(Protocol):
    """Take from one limit in several processes; a `Mirror` that can do it has it as `limits`.

    An identity is a name that says which limit it is of, too, and by which rule.
    """

    async def take(self, identity: str, amount: int, rule: Rule) -> Taken | None:
        """Take, all or nothing; None at once while the place cannot be reached: count alone then."""

    def correct(self, identity: str, more: int, rule: Rule, taken: Taken) -> None:
        """Take more, or (negative) give back, of what was taken; returns at once."""

    def look(self, identity: str, rule: Rule, amount: int = 0) -> Taken | None:
        """Tell how much is left, and when an amount would pass, as far as this process knows; None for nothing."""
