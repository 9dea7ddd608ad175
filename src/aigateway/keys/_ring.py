"""With which key: one ring per provider, leases in rotation, no I/O.

`for lease in ring.leases(): with lease: return await ...` tries the next key as far as the last
failure allows (`error.remedy.other_key`). Limits hang on the account at every vendor, so keys
that share a quota group stand and fall together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ..errors import Kind, ProviderError, Scope, StreamInterrupted
from ..state import Name, Rest, Rests, of_group, of_key
from ..types import Outcome
from ._headroom import headroom
from ._key import Key, Slot
from ._rotations import KeyView, Rotation, RoundRobin, Turn

__all__ = ["Lease", "Leases", "Ring", "Wanted"]

LOG = logging.getLogger("aigateway.keys")
# Seconds between two looks at secrets that can change while we run.
LOOKS = 1.0
# How long the limits an answer named are believed.
HEARD = 60.0
# Seconds a caller is told to stay away where only a change of the configuration helps.
LONG = 3600.0


class Wanted:
    """Say what a lease is for: a model, and the conversation it belongs to, worked out only where it counts."""

    __slots__ = ("conversation", "forced", "model")

    def __init__(self, model: str, conversation: Callable[[], str] = str, *, forced: bool = False) -> None:
        self.model = model
        self.conversation = conversation
        self.forced = forced


class Lease:
    """Use one key for one call; an answer in flight keeps it until it is settled."""

    __slots__ = ("_claims", "_leases", "key", "slot")

    def __init__(self, leases: Leases, slot: Slot, key: Key) -> None:
        self._leases = leases
        self._claims: Sequence[Name] = ()
        self.slot = slot
        self.key = key

    def hear(self, limits: Mapping[str, str]) -> None:
        """Note the headers of an answer: they say what is left of the account's limits."""
        self.slot.limits, self.slot.heard = limits, self._leases.ring.now()

    def settle(self, outcome: Outcome) -> None:
        """Give the key back; what its account refused lets it rest."""
        self.slot.in_use -= 1
        self._let_go()
        error = outcome.error.cause if isinstance(outcome.error, StreamInterrupted) else outcome.error
        if isinstance(error, ProviderError):
            self._leases.ring.note(self.slot, self.key, self._leases.wanted.model, error)

    def __enter__(self) -> Self:
        ring = self._leases.ring
        self.slot.in_use += 1
        self.slot.uses += 1
        if ring.rests:
            now = ring.now()
            self._claims = [
                name for name in ring.names(self.key, self._leases.wanted.model) if ring.rests.claim(name, now)
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:  # content is in hand: the key works
            self._let_go()
            self._leases.ring.answered(self.slot, self.key, self._leases.wanted)
            return False
        if not isinstance(error, ProviderError):
            self.settle(Outcome("cancelled"))
            return False
        self.settle(Outcome("failed", error=error))
        goes_on = self._leases.may_go_on(self.slot, self.key, error)
        if goes_on:
            error.forget_frames()
        return goes_on

    def _let_go(self) -> None:
        for name in self._claims:
            self._leases.ring.rests.release(name)
        self._claims = ()


class Leases:
    """Give leases for one attempt, each key at most once; keys that rest are left alone."""

    def __init__(self, ring: Ring, slots: Sequence[Slot], wanted: Wanted) -> None:
        self.ring = ring
        self.wanted = wanted
        self._slots = slots
        self._error: ProviderError | None = None
        self._spent: set[str] = set()
        self._tried: set[str] = set()

    def __iter__(self) -> Iterator[Lease]:
        for slot in self._slots:
            while (key := self._next(slot)) is not None:
                self._tried.add(key.id)
                yield Lease(self, slot, key)

    @property
    def has_failed(self) -> bool:
        """Tell whether a key was tried and failed."""
        return self._error is not None

    def may_go_on(self, slot: Slot, key: Key, error: ProviderError) -> bool:
        """Note a failure; tell whether another key may be tried."""
        self._error = error
        if error.remedy.other_key == "other_group" and key == slot.current:  # a new key may be another account's
            self._spent.add(key.quota_group)
        return error.remedy.other_key != "no"

    def exhausted(self) -> ProviderError:
        """Give what to raise when no key was kept: the last key's reason."""
        if self._error is not None:
            return self._error
        keys = [key for slot in self._slots for key in slot.keys(self.ring.wall())]
        if all(self.ring.barred(key, self.wanted.model) for key in keys):
            none = ProviderError(Kind.PERMISSION, "no key of this provider may be used for this model")
        else:
            none = ProviderError(Kind.RATE_LIMIT, "every key of this provider is resting or in use")
        return none.at(self.ring.provider, self.wanted.model)

    def _next(self, slot: Slot) -> Key | None:
        """Find the best key of a slot that was not tried yet; a new one may have come in meanwhile."""
        for key in slot.keys(self.ring.wall()):
            if key.id in self._tried or key.quota_group in self._spent:
                continue
            if self.ring.why_not(slot, key, self.wanted.model, forced=self.wanted.forced) is None:
                return key
        return None


class Ring:
    """Hold the keys of one provider and hand them out.

    `now` and `wall` are the gateway's clock; only what is written with dates uses `wall`.
    """

    def __init__(
        self,
        provider: str,
        slots: Sequence[Slot],
        rests: Rests,
        *,
        rotation: Rotation | None = None,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.provider = provider
        self.slots = tuple(slots) or (Slot(Key(None)),)
        self.rests = rests
        self.now = now
        self.wall = wall
        self._rotation = rotation or RoundRobin()
        self._needs = getattr(self._rotation, "needs", frozenset[str]())
        self._count = 0
        self._fails = False
        self._plain = all(
            not s.is_watched and s.current == Key(s.current.secret, s.current.quota_group) for s in self.slots
        )
        self._watched = any(slot.is_watched for slot in self.slots)
        self._looked = 0.0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Give the keys in force."""
        return tuple(slot.current for slot in self.slots)

    @property
    def rotation(self) -> Rotation:
        """Give what decides on the order."""
        return self._rotation

    @property
    def in_use(self) -> dict[str, int]:
        """Count the calls under way, by the id of the key in force."""
        return {slot.current.id: slot.in_use for slot in self.slots}

    def leases(self, wanted: Wanted) -> Leases:
        """Give leases, in the order of the rotation."""
        self._watch()
        return Leases(self, self.slots if len(self.slots) == 1 else self._ordered(wanted), wanted)

    def look(self, *, now: bool = False) -> int:
        """Look for secrets that were replaced; give how many were."""
        self._looked = self.now()
        return sum(slot.look(now=now) for slot in self.slots)

    def rest(self, model: str) -> Rest | None:
        """Give what keeps all keys from being used for a model; the rest that ends first."""
        self._watch()  # a key that was refused may have been replaced since
        if not self.rests and self._plain:
            return None
        found = [self._rest_of(slot, model) for slot in self.slots]
        known = [rest for rest in found if rest is not None]
        return min(known) if len(known) == len(self.slots) else None

    def free(self, model: str) -> int:
        """Count the keys that could be used for a model."""
        if not self.rests and self._plain:
            return len(self.slots)
        return sum(self._rest_of(slot, model) is None for slot in self.slots)

    def _watch(self) -> None:
        if self._watched and self.now() - self._looked >= LOOKS:
            self.look()

    def _rest_of(self, slot: Slot, model: str) -> Rest | None:
        """Give what keeps every key of a slot from being used; a new one and the one before may do."""
        found = [self.why_not(slot, key, model) for key in slot.keys(self.wall())]
        known = [rest for rest in found if rest is not None]
        return min(known) if len(known) == len(found) else None

    def names(self, key: Key, model: str) -> tuple[Name, ...]:
        """Name what may rest about a key: itself, its account, its account for a model."""
        group, provider = key.quota_group, self.provider
        return of_key(provider, key.id), of_group(provider, group), of_group(provider, group, model)

    def barred(self, key: Key, model: str) -> Kind | None:
        """Say why a key can never be used for a model, whatever is tried: it is for others, or has expired."""
        if key.models and not any(_matches(model, pattern) for pattern in key.models):
            return Kind.PERMISSION
        return Kind.AUTH if key.ends <= self.wall() else None

    def why_not(self, slot: Slot, key: Key, model: str, *, forced: bool = False) -> Rest | None:
        """Give what keeps a key from being used for a model now; `forced` asks of its limits only, not its rests."""
        if kind := self.barred(key, model):
            return Rest(self.now() + LONG, "disabled", kind)
        if key.concurrency and slot.in_use >= key.concurrency:
            return Rest(self.now() + 0.1, "cooldown", Kind.RATE_LIMIT)
        if forced or not self.rests:
            return None
        now = self.now()
        found = (self.rests.find(name, now) for name in self.names(key, model))
        return max(filter(None, found), default=None)

    def note(self, slot: Slot, key: Key, model: str, error: ProviderError) -> None:
        """Let a key, its account, or its account for one model rest, as the failure says."""
        remedy, now = error.remedy, self.now()
        own, account, account_for_model = self.names(key, model)
        says = self.provider, error.kind
        if error.kind in {Kind.AUTH, Kind.PERMISSION}:
            if key == slot.pending:
                LOG.warning("the new key %s of %s was refused (%s); the one before goes on", key.id, *says)
                slot.refuse(key, error.kind)
                return
            if slot.was_refused(key):
                return
            if key == slot.current:
                slot.look(now=True)  # perhaps it was replaced a moment ago
        if error.kind is Kind.PERMISSION and remedy.rest == "ok":
            self.rests.put(account_for_model if key == slot.current else own, "marked", error.kind, now)
        elif remedy.rest != "ok" and remedy.scope in {Scope.KEY, Scope.QUOTA_GROUP}:
            # Only the key in force speaks for the account: the one to follow may belong to another.
            whole = own if remedy.scope is Scope.KEY or key != slot.current else account
            name = account_for_model if error.kind is Kind.RATE_LIMIT and whole is account else whole
            self.rests.put(name, remedy.rest, error.kind, now, wait=error.retry_after)

    def answered(self, slot: Slot, key: Key, wanted: Wanted) -> None:
        """Note that a key works."""
        if key == slot.pending:
            LOG.info("the new key %s of %s works and is in force", key.id, self.provider)
            slot.accept(key, self.wall())
        if self.rests:
            now = self.now()
            for name in self.names(key, wanted.model):
                self.rests.answered(name, now, knocked=wanted.forced)

    def listing(self) -> list[dict[str, Any]]:
        """Tell about every key: what it is, whether it rests, how much it is used; no secret shows."""
        return [
            {
                **slot.describe(key),
                **self._condition(slot, key),
                "uses": slot.uses,
                "in_use": slot.in_use,
                "headroom": headroom(slot.limits),
                "trouble": slot.trouble,
            }
            for slot in self.slots
            for key in slot.keys(self.wall())
        ]

    def _condition(self, slot: Slot, key: Key) -> Mapping[str, Any]:
        now = self.now()
        found = (self.rests.find(name, now) for name in self.names(key, ""))
        rest = max(filter(None, found), default=None)
        if rest is None:
            return {"state": "expired" if key.ends <= self.wall() else "ok", "until": None, "reason": ""}
        return {"state": rest.state, "until": self.wall() + rest.until - now, "reason": rest.kind}

    def _ordered(self, wanted: Wanted) -> Sequence[Slot]:
        self._count += 1
        needs = self._needs
        turn = Turn(self._count - 1, wanted.conversation() if "conversation" in needs else "", self.wall())
        views = [
            KeyView(s.current, s.in_use, s.uses, self._headroom(s) if "headroom" in needs else 1.0) for s in self.slots
        ]
        try:
            order = [view.key for view in self._rotation.order(views, turn)]
        except Exception as error:  # somebody's plug-in; no request is lost for it
            if not self._fails:
                LOG.warning("the rotation of %s failed (%s); its keys take turns", self.provider, type(error).__name__)
            self._fails = True
            order = [view.key for view in RoundRobin().order(views, turn)]
        place = {id(key): at for at, key in enumerate(reversed(order))}  # what it left out comes last
        return sorted(self.slots, key=lambda slot: -place.get(id(slot.current), -1))

    def _headroom(self, slot: Slot) -> float:
        """Give what is left as far as it was heard within the last minute."""
        left = headroom(slot.limits) if self.now() - slot.heard < HEARD else None
        return 1.0 if left is None else left


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
