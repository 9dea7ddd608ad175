"""Weekly keys: derived from a root and the ISO week, so nothing is stored and no clock has to tick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..secrets import Secret, derive
from ..types import Caller
from ._grants import Grant
from ._words import well_spelled, with_checksum

__all__ = ["Hand", "WeeklyKeys"]

PREFIX = "sk-"
PREFIXES = frozenset({PREFIX})
WEEKS = 3  # the last, this, the next
Week = tuple[int, int]


class Hand(NamedTuple):
    """How a key is handed over: seconds the last one lives on, and seconds clocks may differ."""

    grace: float = 0.0
    skew: float = 0.0


class WeeklyKeys:
    """Know the key of each client for the week it is, in UTC.

    Exactly one key per client is valid at a time, unless `hand` lets the last one live on. The
    week is `date.isocalendar()`'s: it begins on Monday, and 2026 has 53.
    """

    def __init__(self, root: Secret, clients: Iterable[str] = ("weekly",), *, hand: Hand = Hand()) -> None:  # noqa: B008  # immutable
        self._root = root
        self._clients = tuple(clients)
        self._hand = hand
        self._known: dict[Week, Mapping[Secret, Grant]] = {}

    @property
    def clients(self) -> tuple[str, ...]:
        """List who has a key."""
        return self._clients

    def is_root(self, value: str) -> bool:
        """Tell whether somebody knows the root; in constant time."""
        return self._root.matches(value)

    def key(self, client: str, at: float) -> Secret:
        """Give a client's key for the week of `at`, in seconds since the epoch."""
        year, week = _week(at)
        return Secret(with_checksum(PREFIX, derive(self._root, "weekly", f"{client}\0{year}-W{week:02}".encode())))

    def ends(self, at: float) -> datetime:
        """Say when the week of `at` is over."""
        moment = datetime.fromtimestamp(at, UTC)
        monday = moment.date() - timedelta(days=moment.weekday())
        return datetime.combine(monday + timedelta(days=7), datetime.min.time(), UTC)

    def days_left(self, at: float) -> int:
        """Count the days the key of `at` is valid for, the last one too."""
        return -int((at - self.ends(at).timestamp()) // 86_400)

    def claims(self, key: str) -> bool:
        """Tell whether a key is written like one of these."""
        return well_spelled(key, PREFIXES)

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a key allows at that moment."""
        secret = Secret(key)  # looked up by its digest, compared in constant time
        for moment in dict.fromkeys((at, at - max(self._hand), at + self._hand.skew)):
            grant = self._of(_week(moment), moment).get(secret)
            if grant is not None:
                return grant
        return None

    def _of(self, week: Week, at: float) -> Mapping[Secret, Grant]:
        """Derive the keys of a week once."""
        known = self._known.get(week)
        if known is None:
            while len(self._known) >= WEEKS:  # the oldest first
                del self._known[next(iter(self._known))]
            keys = {client: self.key(client, at) for client in self._clients}
            known = {key: Grant(Caller(client, key=key.id, tenant=f"weekly:{client}")) for client, key in keys.items()}
            self._known[week] = known
        return known


def _week(at: float) -> Week:
    year, week, _ = datetime.fromtimestamp(at, UTC).isocalendar()
    return year, week
