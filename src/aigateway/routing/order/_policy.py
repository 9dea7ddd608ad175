"""In which order targets are tried: pure orderings, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Protocol

from ...types import Call, Candidate

__all__ = ["POLICIES", "Policy", "Priority", "expected_wait"]


class Policy(Protocol):
    """Order candidates; decide on their values alone. What is first is tried first.

    What costs something to work out is only given to one that says so: `needs_cost = True`. One that
    looks at names and weights alone says `needs_facts = False`.
    """

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Give all of the candidates, best first."""


class Priority:
    """Keep the order of the configuration."""

    needs_facts = False

    def __init__(self, random: Random | None = None) -> None:
        """Need nothing."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Give them as they are."""
        return candidates


class Weighted:
    """Let each be first as often as it weighs; after it the others, by weight again."""

    needs_facts = False

    def __init__(self, random: Random) -> None:
        self._random = random

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Draw without replacement (Efraimidis and Spirakis: the largest of u^(1/w))."""
        draws = {id(c): self._random.random() ** (1.0 / c.target.weight) for c in candidates}
        return sorted(candidates, key=lambda candidate: -draws[id(candidate)])


class RoundRobin:
    """Let each be first in turn."""

    needs_facts = False

    def __init__(self, random: Random) -> None:
        self._turn = 0

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Begin with the next."""
        start = self._turn % len(candidates)
        self._turn += 1
        return [*candidates[start:], *candidates[:start]]


class LeastBusy:
    """Prefer the target with the fewest calls under way, per weight."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Sort by load; equals are shuffled, so that they share."""
        shuffled = self._random.sample(candidates, len(candidates))
        return sorted(shuffled, key=lambda c: c.facts.in_flight / c.target.weight)


class Fastest:
    """Prefer the target that has been quickest to its first content lately.

    Of two taken at random the better one goes first, so that a crowd does not fall on one target;
    the time counts more with each call under way. One that is not known yet is tried.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Put the better of two first, the others by their times."""
        ordered = sorted(candidates, key=expected_wait)
        if len(ordered) < 3:
            return ordered
        two = self._random.sample(range(len(ordered)), 2)
        first = ordered[min(two)]
        return [first, *(candidate for candidate in ordered if candidate is not first)]


class Cheapest:
    """Prefer the target whose price for this request is lowest now; unknown prices come last."""

    needs_cost, needs_facts = True, False

    def __init__(self, random: Random) -> None:
        """Need nothing."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Sort by estimated cost; equals keep their order."""
        return sorted(candidates, key=lambda c: (c.cost is None, c.cost or 0))


class Sticky:
    """Keep a conversation at one target, so that its prompt cache stays warm; conversations spread by weight."""

    needs_facts = False

    def __init__(self, random: Random) -> None:
        """Need nothing."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Sort by a hash of conversation and target (weighted rendezvous)."""
        return _rendezvous(call.conversation(), candidates)


class Experiment:
    """Give each user one arm for good: an A/B test, or a canary with a small weight."""

    needs_facts = False

    def __init__(self, random: Random) -> None:
        """Need nothing."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Sort by a hash of user and target; the user is the request's `user`, else the caller."""
        user = str(call.request.body.get("user") or call.caller.tenant or call.caller.name)
        return _rendezvous(user, candidates)


POLICIES: Mapping[str, Callable[[Random], Policy]] = {
    "priority": Priority,
    "weighted": Weighted,
    "round_robin": RoundRobin,
    "fastest": Fastest,
    "cheapest": Cheapest,
    "least_busy": LeastBusy,
    "sticky": Sticky,
    "experiment": Experiment,
}


def expected_wait(candidate: Candidate) -> float:
    """Give the seconds to the first content, as if calls under way had to be waited for; 0 when not known."""
    facts = candidate.facts
    return facts.first_content * (facts.in_flight + 1)


def _rendezvous(name: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Sort so that each name has a first target of its own, each target its share, and few move when one joins."""
    draws = {id(c): _share(f"{name}\0{c.target}") ** (1.0 / c.target.weight) for c in candidates}
    return sorted(candidates, key=lambda candidate: -draws[id(candidate)])


def _share(text: str) -> float:
    """Give a number between 0 and 1 that is always the same for a text."""
    return (int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") + 1) / 2**64
