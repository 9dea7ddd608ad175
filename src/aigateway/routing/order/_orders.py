"""In which order a tree of targets is tried: each route by its own policy, a route inside it as one candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from random import Random

from ...types import Call, Candidate, Routing, Target
from .._tree import Branch
from ._checked import Checked
from ._policy import POLICIES, Policy, expected_wait

__all__ = ["Orders"]

# Shows a target: with what is known of it, with what the request will cost there.
OURS = frozenset(POLICIES.values())
See = Callable[[Target, bool, bool], Candidate]


class Orders:
    """Order trees by the policies of their routes.

    A policy takes turns among the requests that come to its route first; those that only might come
    to it later take turns of their own, or who is asked first would depend on who is not asked.
    """

    def __init__(self, policies: Mapping[str, Policy], random: Random) -> None:
        self._leading = {name: p if type(p) in OURS else Checked(name, p) for name, p in policies.items()}
        self._following = {name: _copied(policy) for name, policy in self._leading.items()}
        self._random = random

    def order(
        self, call: Call, groups: Sequence[Branch], see: See, *, dry: bool = False, repeats: bool = True
    ) -> list[Candidate]:
        """Give every target once, in the order it is tried; a dry run takes no turn and draws no number."""
        state = self._random.getstate() if dry else None
        try:
            ordered = [c for n, branch in enumerate(groups) for c in Ordering(self, call, see, dry).of(branch, not n)]
        finally:
            if state is not None:
                self._random.setstate(state)
        return _preferred(_unique(ordered) if repeats else ordered, call.request.routing)

    def policy(self, route: str, leads: bool, dry: bool) -> Policy | None:
        """Give the policy of a route; None for the order of the configuration."""
        policy = (self._leading if leads else self._following).get(route)
        return _copied(policy) if dry and policy is not None else policy


class Ordering:
    """Order the trees of one request."""

    __slots__ = ("_call", "_dry", "_firsts", "_orders", "_see")

    def __init__(self, orders: Orders, call: Call, see: See, dry: bool) -> None:
        self._orders = orders
        self._call = call
        self._see = see
        self._dry = dry
        self._firsts: dict[int, Candidate] = {}

    def of(self, branch: Branch, leads: bool) -> Sequence[Candidate]:
        """Order one tree; `leads` tells whether the request comes to it first."""
        sort = self._call.request.routing.sort or branch.sort
        if sort:
            return SORTS[sort]([self._see(target, sort != "price", sort == "price") for target in branch.targets()])
        return self._by_policy(branch, leads, self._dry)

    def _by_policy(self, branch: Branch, leads: bool, dry: bool) -> Sequence[Candidate]:
        policy = self._orders.policy(branch.route, leads, dry)
        members = branch.members
        if policy is not None and len(members) > 1:
            facts, priced = getattr(policy, "needs_facts", True), getattr(policy, "needs_cost", False)
            seen = [
                self._see(m, facts, priced) if isinstance(m, Target) else self._seen(m, facts, priced) for m in members
            ]
            order = policy.order(self._call, seen)
            if not any(isinstance(member, Branch) for member in members):
                return order
            places = {id(candidate.target): member for candidate, member in zip(seen, members, strict=True)}
            members = tuple(places[id(candidate.target)] for candidate in order)
        ordered: list[Candidate] = []
        for number, member in enumerate(members):
            if isinstance(member, Branch):
                ordered += self._by_policy(member, leads and number == 0, dry)
            else:
                ordered.append(self._see(member, False, False))
        return ordered

    def _seen(self, member: Branch, facts: bool, priced: bool) -> Candidate:
        """Show a route to the policy of the route around it: as whom it would ask first, with all of its keys."""
        place = Target("", member.route, member.weight)
        if not facts and not priced:
            return Candidate(place)
        first = self._firsts.get(id(member))
        if first is None:  # once: each route around it would ask again, and each around that one twice
            first = self._firsts[id(member)] = self._by_policy(member, True, True)[0]
        keys = sum(candidate.keys_free for candidate in _unique(self._see(t, True, False) for t in member.targets()))
        known = self._see(first.target, True, priced)
        return Candidate(place, known.info, keys, known.facts, known.cost)


def _copied(policy: Policy) -> Policy:
    """Copy a policy with its turn; a plug-in's that cannot be copied has one turn for all."""
    try:
        return copy(policy)
    except Exception:
        return policy


def _preferred(candidates: list[Candidate], routing: Routing) -> list[Candidate]:
    """Put first what the request names in `order`, in that order."""
    if not routing.order:
        return candidates
    places = {name: place for place, name in reversed([*enumerate(routing.order)])}
    last, models = len(routing.order), any("/" in name for name in routing.order)

    def place(candidate: Candidate) -> int:
        target = candidate.target
        of_provider = places.get(target.provider, last)
        return min(places.get(str(target), last), of_provider) if models else of_provider

    return sorted(candidates, key=place)


def _unique(found: Iterable[Candidate]) -> list[Candidate]:
    seen: dict[tuple[str, str], Candidate] = {}
    for candidate in found:
        seen.setdefault((candidate.target.provider, candidate.target.model), candidate)
    return list(seen.values())


def _cheapest(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda c: (c.cost is None, c.cost or 0))


def _quickest(candidates: list[Candidate]) -> list[Candidate]:
    """Sort by the time to the first content, calls under way counting; who is not known comes last."""
    return sorted(candidates, key=lambda c: (not c.facts.first_content, expected_wait(c)))


def _fluent(candidates: list[Candidate]) -> list[Candidate]:
    """Sort by the tokens a second an answer brings; who is not known comes last, the quicker to begin first."""
    return sorted(candidates, key=lambda c: (-c.facts.speed, not c.facts.first_content, expected_wait(c)))


SORTS: Mapping[str, Callable[[list[Candidate]], list[Candidate]]] = {
    "price": _cheapest,
    "latency": _quickest,
    "throughput": _fluent,
}
