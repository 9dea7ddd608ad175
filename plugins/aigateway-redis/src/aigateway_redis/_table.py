"""What this process knows of what rests, its own and what it heard; the latest word counts."""

from __future__ import annotations

from typing import NamedTuple

from aigateway.state import Change, Name

from ._codec import Said

__all__ = ["Table"]

# How long an end is remembered: a row of rests, and what a process that was away may still claim.
KEPT = 60.0
# Two ends that are as near as this are the same, told twice.
SAME = 0.05


class Entry(NamedTuple):
    """Keep a change with its times on this process's clock."""

    change: Change
    made: float
    ends: float
    is_over: bool
    kept: float

    def said(self, now: float) -> Said:
        """Give it as it is said now."""
        return Said(self.change, now - self.made, 0.0 if self.is_over else self.ends - now)


class Table:
    """Keep the last word on each name; bounded."""

    def __init__(self, limit: int = 4096) -> None:
        self._entries: dict[Name, Entry] = {}
        self._limit = limit

    def take(self, said: Said, now: float) -> bool:
        """Note a change; False where more is known already."""
        name, made, ends = said.change.name, now - said.age, now + said.left
        old = self._entries.get(name)
        if old is not None and not _is_news(said.is_over, made, ends, old):
            return False
        if old is None and len(self._entries) >= self._limit:
            self._make_room(now)
        # What ended a rest is remembered for as long as that rest would have lasted.
        kept = max(now, ends, old.kept - KEPT if old else 0.0) + KEPT
        self._entries[name] = Entry(said.change, made, ends, said.is_over, kept)
        return True

    def all(self, now: float) -> list[Said]:
        """Give every last word that is worth keeping."""
        return [entry.said(now) for entry in self._entries.values() if entry.kept > now]

    def kept(self, name: Name, now: float) -> float:
        """Tell for how long the last word on a name is worth keeping."""
        entry = self._entries.get(name)
        return entry.kept - now if entry else 0.0

    def _make_room(self, now: float) -> None:
        """Forget what is over, else the half that would be forgotten first."""
        kept = {name: entry for name, entry in self._entries.items() if entry.kept > now}
        if len(kept) >= self._limit:
            latest = sorted(kept, key=lambda name: kept[name].kept)[self._limit // 2 :]
            kept = {name: kept[name] for name in latest}
        self._entries = kept


def _is_news(is_over: bool, made: float, ends: float, old: Entry) -> bool:
    """Compare two words on one name: of two rests the later end counts, else who spoke last."""
    if is_over or old.is_over:
        return made >= old.made
    return ends > old.ends + SAME
