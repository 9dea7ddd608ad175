"""From a call to the candidates it is tried at: resolve the name, price, order; the trace is told why.

A dry run and a real call take the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from .catalogue import cost_of, expected_usage
from .errors import RequestError
from .operations import speaks
from .parts import Parts
from .routing import Resolved
from .state import Memory
from .types import Call, Candidate, Clock, Cost, Drop, Target, Terms, Usage

__all__ = ["Plan"]


class Plan:
    """Find where a call can go, and in which order, from what is known this moment."""

    def __init__(self, parts: Parts, memory: Memory, clock: Clock, terms: Terms) -> None:
        self.parts = parts
        self._memory = memory
        self._clock = clock
        self._terms = terms

    def resolve(self, call: Call) -> Resolved:
        """Find the targets a request stands for, and note it in the trace."""
        resolved = self.resolved(call)
        call.trace.resolved = resolved.how
        call.trace.warnings += resolved.warnings
        call.terms = resolved.terms or self._terms
        return resolved

    def candidates(self, call: Call) -> Sequence[Candidate]:
        """Order the targets of each route by its policy, the routes as the name stands for them."""
        ordered: list[Candidate] = []
        for route, all_targets in self.resolve(call).groups:
            targets = [target for target in all_targets if self._can(call, target)]
            policy = self.parts.policies.get(route)
            if policy is None or len(targets) <= 1:
                ordered += (Candidate(t, self.parts.catalogue.info(t.provider, t.model)) for t in targets)
                continue
            candidates = [self.candidate(target) for target in targets]
            if getattr(policy, "needs_cost", False):
                candidates = [self._priced(candidate, call) for candidate in candidates]
            ordered += policy.order(call, candidates)
        if call.request.needs is not None and not ordered:
            raise self._nobody(call.request.needs, call.request.operation)
        call.trace.candidates += ordered
        return ordered

    def candidate(self, target: Target) -> Candidate:
        """Gather what is known of a target."""
        ring, info = self.parts.rings[target.provider], self.parts.catalogue.info(target.provider, target.model)
        return Candidate(target, info, ring.free(target.model), self._memory.facts(target, self._clock.now()))

    def resolved(self, call: Call) -> Resolved:
        """Find the targets a request stands for."""
        asked, today = call.request, datetime.fromtimestamp(self._clock.wall(), UTC).date()
        return self.parts.names.resolve(asked.model, asked.routing, today=today, caller=call.caller)

    def price(self, target: Target, usage: Usage | None) -> Cost:
        """Price what was used at a target, now."""
        info = self.parts.catalogue.info(target.provider, target.model)
        return cost_of(usage, info, self._clock.wall())

    def _can(self, call: Call, target: Target) -> bool:
        """Tell whether a target can be asked what chat cannot say, if that is asked; note one that cannot."""
        request = call.request
        if request.needs is None or speaks(request, self.parts.providers[target.provider].operations, target):
            return True
        call.trace.dropped.append(Drop(str(target), "dialect", f"it is asked as chat: {request.needs.message}"))
        return False

    def _nobody(self, needs: RequestError, operation: str) -> RequestError:
        """Say that no target can be asked, and which providers could."""
        able = sorted(name for name, provider in self.parts.providers.items() if operation in provider.operations)
        who = f"Ask a model of {', '.join(able)}, or leave it out." if able else "No provider here does; leave it out."
        return RequestError(f"{needs.message} None of those asked does. {who}", param=needs.param, code=needs.code)

    def _priced(self, candidate: Candidate, call: Call) -> Candidate:
        """Estimate what a request will cost at a target."""
        return candidate._replace(cost=self.price(candidate.target, expected_usage(call.request.body)).amount)
