"""With which key: one ring per provider, leases in rotation, no I/O.

`for lease in ring.leases(): with lease: return await ...` tries the next key as far as the last
failure allows (`error.remedy.other_key`). Limits hang on the account at every vendor, so keys
that share a quota group stand and fall together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import Kind, ProviderError, Scope, StreamInterrupted
from ..secrets import Secret
from ..state import Name, Rest, Rests, of_group, of_key
from ..types import Outcome

__all__ = ["Key", "Lease", "Leases", "Ring"]


@dataclass(frozen=True, slots=True)
class Key:
    """One vendor key and the account it draws on; without a secret for a provider that asks for none."""

    secret: Secret | None
    quota_group: str = "default"
    weight: int = 1

    @property
    def id(self) -> str:
        """Name it without showing it."""
        return self.secret.id if self.secret else ""


class Lease:
    """Use one key for one call; an answer in flight keeps it until it is settled."""

    __slots__ = ("_claims", "_leases", "key")

    def __init__(self, leases: Leases, key: Key) -> None:
        self._leases = leases
        self._claims: Sequence[Name] = ()
        self.key = key

    def settle(self, outcome: Outcome) -> None:
        """Give the key back; what its account refused lets it rest."""
        ring = self._leases.ring
        ring.release(self.key)
        self._let_go()
        error = outcome.error.cause if isinstance(outcome.error, StreamInterrupted) else outcome.error
        if isinstance(error, ProviderError):
            ring.note(self.key, self._leases.model, error, self._leases.now())

    def __enter__(self) -> Self:
        ring = self._leases.ring
        ring.take(self.key)
        if ring.rests:
            now = self._leases.now()
            self._claims = [n for n in ring.names(self.key, self._leases.model) if ring.rests.claim(n, now)]
        return self

    def _let_go(self) -> None:
        for name in self._claims:
            self._leases.ring.rests.release(name)
        self._claims = ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            self._let_go()
            self._leases.ring.answered(self.key, self._leases.model, self._leases.now)
            return False
        if not isinstance(error, ProviderError):
            self.settle(Outcome("cancelled"))
            return False
        self.settle(Outcome("failed", error=error))
        return self._leases.may_go_on(self.key, error)


class Leases:
    """Give leases for one attempt at a model, each key at most once; keys that rest are left alone."""

    def __init__(
        self, ring: Ring, model: str, keys: Sequence[Key], now: Callable[[], float], *, forced: bool = False
    ) -> None:
        self.ring = ring
        self.model = model
        self.now = now
        self._keys = keys
        self._forced = forced
        self._error: ProviderError | None = None
        self._spent: set[str] = set()

    def __iter__(self) -> Iterator[Lease]:
        for key in self._keys:
            if key.quota_group in self._spent:
                continue
            if self._forced or not self.ring.rests_now(key, self.model, self.now):
                yield Lease(self, key)

    def may_go_on(self, key: Key, error: ProviderError) -> bool:
        """Note a failure; tell whether another key may be tried."""
        self._error = error
        if error.remedy.other_key == "other_group":
            self._spent.add(key.quota_group)
        return error.remedy.other_key != "no"

    def exhausted(self) -> ProviderError:
        """Give what to raise when no key was kept: the last key's reason."""
        return self._error or ProviderError(Kind.RATE_LIMIT, "every key of this provider rests")


class Ring:
    """Hold the keys of one provider and hand them out round robin."""

    def __init__(self, provider: str, keys: Sequence[Key], rests: Rests) -> None:
        self.provider = provider
        self.keys = tuple(keys) or (Key(None),)
        self.rests = rests
        self.in_use: dict[str, int] = {}
        self._next = 0

    def leases(self, model: str, now: Callable[[], float], *, forced: bool = False) -> Leases:
        """Give leases for a model, beginning with the next key in turn; `forced` goes past rests."""
        start, count = self._next, len(self.keys)
        if count > 1:
            self._next = (start + 1) % count
        return Leases(self, model, self.keys[start:] + self.keys[:start], now, forced=forced)

    def rests_now(self, key: Key, model: str, now: Callable[[], float]) -> bool:
        """Tell whether a key rests; asked anew before each lease, for others use it meanwhile."""
        return bool(self.rests) and self._rest_of(key, model, now()) is not None

    def rest(self, model: str, now: float) -> Rest | None:
        """Give what keeps all keys from being used for a model; the rest that ends first."""
        if not self.rests:
            return None
        rests = [self._rest_of(key, model, now) for key in self.keys]
        known = [rest for rest in rests if rest is not None]
        return min(known) if len(known) == len(rests) else None

    def free(self, model: str, now: float) -> int:
        """Count the keys that could be used for a model."""
        if not self.rests:
            return len(self.keys)
        return sum(self._rest_of(key, model, now) is None for key in self.keys)

    def names(self, key: Key, model: str) -> tuple[Name, ...]:
        """Name what may rest about a key: itself, its account, its account for a model."""
        group, provider = key.quota_group, self.provider
        return of_key(provider, key.id), of_group(provider, group), of_group(provider, group, model)

    def note(self, key: Key, model: str, error: ProviderError, now: float) -> None:
        """Let a key, its account, or its account for one model rest, as the failure says."""
        remedy = error.remedy
        own, account, account_for_model = self.names(key, model)
        if error.kind is Kind.PERMISSION and remedy.rest == "ok":
            self.rests.put(account_for_model, "marked", error.kind, now)
        elif remedy.rest != "ok" and remedy.scope in {Scope.KEY, Scope.QUOTA_GROUP}:
            whole = own if remedy.scope is Scope.KEY else account
            name = account_for_model if error.kind is Kind.RATE_LIMIT and remedy.scope is Scope.QUOTA_GROUP else whole
            self.rests.put(name, remedy.rest, error.kind, now, wait=error.retry_after)

    def answered(self, key: Key, model: str, now: Callable[[], float]) -> None:
        """Note that a key works."""
        if self.rests:
            moment = now()
            for name in self.names(key, model):
                self.rests.answered(name, moment)

    def take(self, key: Key) -> None:
        """Count a call under way."""
        self.in_use[key.id] = self.in_use.get(key.id, 0) + 1

    def release(self, key: Key) -> None:
        """Count it done."""
        self.in_use[key.id] -= 1

    def _rest_of(self, key: Key, model: str, now: float) -> Rest | None:
        found = (self.rests.find(name, now) for name in self.names(key, model))
        return max(filter(None, found), default=None)
