"""In which order keys are tried: pure orderings, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple, Protocol

from ._key import Key

__all__ = ["ROTATIONS", "KeyView", "Rotation", "Turn"]


class KeyView(NamedTuple):
    """Give a rotation all it may decide on; `headroom` is the share of its limit an account has left, 1 if unknown."""

    key: Key
    in_use: int = 0
    uses: int = 0
    headroom: float = 1.0


class Turn(NamedTuple):
    """Say whose turn it is: how many there were before, of which conversation, when (seconds since the epoch)."""

    number: int = 0
    conversation: str = ""
    at: float = 0.0


class Rotation(Protocol):
    """Order keys; what is first is tried first.

    What costs something to know is only given to one that says so: `needs` may hold `headroom`
    and `conversation`.
    """

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Give all of the keys, best first."""


class RoundRobin:
    """Let each key have its turn."""

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Begin with the next."""
        start = turn.number % len(keys)
        return [*keys[start:], *keys[:start]]


class Weighted:
    """Let each key have as many turns as it weighs, spread evenly."""

    def __init__(self) -> None:
        self._owed: dict[str, int] = {}

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Begin with the one that is owed most."""
        owed = {view.key.id: self._owed.get(view.key.id, 0) + view.key.weight for view in keys}
        ordered = sorted(keys, key=lambda view: -owed[view.key.id])
        owed[ordered[0].key.id] -= sum(view.key.weight for view in keys)
        self._owed = owed
        return ordered


class LeastUsed:
    """Prefer the key with the fewest calls under way, then with the fewest in all."""

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Sort by use, per weight."""
        return sorted(keys, key=lambda view: (view.in_use / view.key.weight, view.uses / view.key.weight))


class Headroom:
    """Prefer the account with the most left of its limit, as its last answer said."""

    needs = frozenset({"headroom"})

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Sort by what is left, in tenths, so that near equals take turns."""
        return sorted(RoundRobin().order(keys, turn), key=lambda view: -int(view.headroom * 10))


class Sticky:
    """Keep a conversation on one key, so that the vendor's prompt cache stays warm; without it, take turns."""

    needs = frozenset({"conversation"})

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Sort by a hash of conversation and key: another key joining moves few conversations."""
        if not turn.conversation:
            return RoundRobin().order(keys, turn)
        return sorted(keys, key=lambda view: blake2b(f"{turn.conversation}\0{view.key.id}".encode()).digest())


class Calendar:
    """Use one key a week, in turn: the ISO week in UTC."""

    def order(self, keys: Sequence[KeyView], turn: Turn) -> Sequence[KeyView]:
        """Begin with this week's."""
        week = (datetime.fromtimestamp(turn.at, UTC).date().toordinal() - 1) // 7  # weeks since Monday, year 1
        return RoundRobin().order(keys, Turn(week))


ROTATIONS: Mapping[str, Callable[[], Rotation]] = {
    "round_robin": RoundRobin,
    "weighted": Weighted,
    "least_used": LeastUsed,
    "headroom": Headroom,
    "sticky": Sticky,
    "calendar": Calendar,
}
