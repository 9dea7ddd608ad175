"""One vendor key, and its place in a ring while it is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from ..secrets import Secret

__all__ = ["Key", "Slot", "Source"]

# Gives the secret when it is another one than before; looks again only now and then unless forced.
Source = Callable[[bool], Secret | None]


@dataclass(frozen=True, slots=True)
class Key:
    """Hold one vendor key and the account it draws on.

    There is no secret for a provider that asks for none. `models` lists what it may be used for
    (all, if empty), `ends` is seconds since the epoch, `concurrency` how many calls at a time
    (0: any number).
    """

    secret: Secret | None
    quota_group: str = "default"
    weight: int = 1
    models: tuple[str, ...] = ()
    ends: float = inf
    concurrency: int = 0

    @property
    def id(self) -> str:
        """Name it without showing it."""
        return self.secret.id if self.secret else ""


class Slot:
    """Hold the key in force, the one to follow until a real call has proved it, and the one before for a grace."""

    __slots__ = (
        "_refused",
        "_source",
        "_until",
        "current",
        "grace",
        "heard",
        "in_use",
        "limits",
        "offers",
        "pending",
        "previous",
        "trouble",
        "uses",
    )

    def __init__(self, key: Key, source: Source | None = None, *, grace: float = 300.0) -> None:
        self.current = key
        self.pending: Key | None = None
        self.previous: Key | None = None
        self.grace = grace
        self.in_use = self.uses = 0
        self.offers = 0  # how often a new secret was found
        self.limits: Mapping[str, str] = {}  # the headers of the last answer,
        self.heard = -inf  # and when it came
        self.trouble = ""  # why the last key that was offered was refused
        self._refused: Secret | None = None
        self._source = source
        self._until = -inf

    @property
    def is_watched(self) -> bool:
        """Tell whether its secret can change while we run."""
        return self._source is not None

    @property
    def secrets(self) -> list[Secret]:
        """Give every secret it has to do with, those it put aside too."""
        keys = (self.current, self.pending, self.previous)
        return [secret for secret in (*(key and key.secret for key in keys), self._refused) if secret]

    def look(self, *, now: bool = False) -> bool:
        """Look whether the secret was replaced; what is new has to prove itself. True if there is something to try."""
        secret = self._source(now) if self._source else None
        if secret is None:
            return False
        self.trouble = ""
        self.offers += 1
        if secret == self.current.secret:  # it may have been put back
            self.pending = None
            return False
        if not secret.is_sendable:
            self.pending, self.trouble = None, "the new one is not one word of ASCII"
            return False
        self.pending, self._refused = replace(self.current, secret=secret), None
        return True

    def keys(self, at: float) -> Iterator[Key]:
        """Give the keys that may be used at that moment, best first: the new one proves itself by a real call."""
        if self.pending is not None:
            yield self.pending
        yield self.current
        if self.previous is not None and at < self._until:
            yield self.previous

    def accept(self, key: Key, at: float) -> None:
        """Take a key that has worked into force."""
        if key == self.pending:
            self.previous, self._until = self.current, at + self.grace
            self.current, self.pending = key, None

    def refuse(self, key: Key, reason: str) -> None:
        """Put a new key aside that did not work; the one in force stays."""
        if key == self.pending:
            self.pending, self._refused, self.trouble = None, key.secret, reason

    def was_refused(self, key: Key) -> bool:
        """Tell whether it is the new one that was put aside; several calls may have tried it at once."""
        return key.secret is not None and key.secret == self._refused

    def standing(self, key: Key) -> str:
        """Say what a key is here: pending, current, previous."""
        return "pending" if key is self.pending else "current" if key is self.current else "previous"

    def describe(self, key: Key) -> dict[str, Any]:
        """Tell about a key, without showing it."""
        ends = None if key.ends == inf else key.ends
        return {"id": key.id, "quota_group": key.quota_group, "standing": self.standing(key), "ends": ends}
