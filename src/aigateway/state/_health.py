"""Which targets can be asked: how calls to them end decides, rests keep the verdict."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from ..errors import Kind, ProviderError, Scope, StreamInterrupted
from ..types import Hedge, Outcome, Target
from ._breaker import Breaker
from ._budget import Budget
from ._memory import Memory
from ._rests import Name, Rest, of_model, of_provider

__all__ = ["Health"]

# What tells that a target is ill. Limits, keys and money rest by themselves; the rest is the caller's doing.
FAULTS = frozenset(
    {Kind.CONNECT, Kind.TIMEOUT, Kind.OVERLOADED, Kind.SERVER_ERROR, Kind.PROTOCOL_ERROR, Kind.STREAM_INTERRUPTED}
)
# Seconds between two calls to a target that rests while there is no other; limits are waited for.
KNOCKS = {"open": 1.0, "suspended": 10.0, "disabled": 10.0, "marked": 10.0}
LIMIT = 4096
# Hedges that may follow each other before the allowed share has to be earned.
HEDGES = 5.0


class Health:
    """Judge targets by how calls to them end.

    Everything is per process; what `memory.rests` learns from other processes counts as our own.
    """

    def __init__(self, memory: Memory, random: Random) -> None:
        self.memory = memory
        self.random = random
        self.budgets: defaultdict[str, Budget] = defaultdict(Budget)
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._knocked: dict[Name, float] = {}
        self._hedges = HEDGES

    def rest(self, target: Target, now: float) -> Rest | None:
        """Give what keeps a target from being asked; of several rests the one that ends last."""
        rests = self.memory.rests
        if not rests:
            return None
        model = rests.find(of_model(target.provider, target.model), now)
        provider = rests.find(of_provider(target.provider), now)
        return max(filter(None, (model, provider)), default=None)

    def knock(self, target: Target, rest: Rest, now: float) -> bool:
        """Tell whether a target that rests may be asked all the same, because there is no other."""
        every = KNOCKS.get(rest.state)
        name = of_model(target.provider, target.model)
        if every is None or now - self._knocked.get(name, -every) < every:
            return False
        if len(self._knocked) >= LIMIT:
            self._knocked.clear()
        self._knocked[name] = now
        return True

    def begin(self, target: Target, now: float) -> bool:
        """Count a call under way; tell whether it is the one a target on probation is given."""
        self.memory.begin(target)
        rests = self.memory.rests
        if not rests:
            return False
        claims = [rests.claim(name, now) for name in _names(target)]
        if any(claims):
            self._knocked[_names(target)[0]] = now
        return any(claims)

    def commit(
        self, target: Target, now: float, *, seconds: float, stream: bool, probe: bool, knocked: bool = False
    ) -> None:
        """Note that an answer has begun, which ends a probation; long before the stream does."""
        self.memory.timed(target, seconds, stream=stream, now=now)
        rests = self.memory.rests
        if rests:
            for name in _names(target):
                if probe:
                    rests.release(name)
                rests.answered(name, now, knocked=knocked)

    def end(
        self,
        target: Target,
        outcome: Outcome,
        now: float,
        *,
        paid: float = 0.0,
        probe: bool = False,
        seconds: float = 0.0,
    ) -> None:
        """Note how a call ended after so many seconds, and let what failed rest."""
        self.memory.end(target, outcome, seconds)
        if outcome.state == "complete":
            if self._breaker(target).succeeded(now):
                self.memory.rests.put(_names(target)[0], "open", Kind.SERVER_ERROR, now)
            self.budgets[target.provider].refund(paid)
            return
        error = outcome.error
        if isinstance(error, StreamInterrupted):
            error = error.cause
        if isinstance(error, ProviderError) and not error.is_blameless:
            self._failed(target, error, now)
        if probe:
            for name in _names(target):
                self.memory.rests.release(name)

    def hedge_after(self, target: Target, hedge: Hedge, *, stream: bool) -> float | None:
        """Say after how many seconds a second target is worth asking; None while it is not."""
        self._hedges = min(HEDGES, self._hedges + hedge.extra)
        if self._hedges < 1.0:
            return None
        return self.memory.usual(target, hedge.quantile, stream=stream)

    def hedged(self) -> bool:
        """Count a call that is made besides another one; False when no share is left."""
        if self._hedges < 1.0:
            return False
        self._hedges -= 1.0
        return True

    def _failed(self, target: Target, error: ProviderError, now: float) -> None:
        remedy, rests = error.remedy, self.memory.rests
        if remedy.rest != "ok" and remedy.scope in {Scope.MODEL, Scope.PROVIDER}:
            name = of_provider(target.provider) if remedy.scope is Scope.PROVIDER else _names(target)[0]
            rests.put(name, remedy.rest, error.kind, now, wait=error.retry_after)
        elif error.kind in FAULTS:
            model, provider = _names(target)
            if self._breaker(target).failed(now) or rests.on_probation(model, now):
                rests.put(model, "open", error.kind, now)
            if rests.on_probation(provider, now):
                rests.put(provider, "open", error.kind, now)

    def _breaker(self, target: Target) -> Breaker:
        name = (target.provider, target.model)
        breaker = self._breakers.get(name)
        if breaker is None:
            if len(self._breakers) >= LIMIT:
                self._breakers.clear()
            breaker = self._breakers[name] = Breaker()
        return breaker


def _names(target: Target) -> tuple[Name, Name]:
    return of_model(target.provider, target.model), of_provider(target.provider)
