"""A route as a tree: targets, and the routes inside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..types import Target
from ._when import When

__all__ = ["Branch", "pruned", "replanted", "without_repeats"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A route, or a place in one: its members in order; weight and condition are those of its entry.

    `route` is "" for a place that is no route: a target with a condition, a model that was named.
    `sort` goes before every policy in it.
    """

    route: str
    members: tuple[Target | Branch, ...]
    weight: int = 1
    when: When | None = None
    sort: str = ""

    def targets(self) -> Iterator[Target]:
        """Give every target, in the order of the configuration."""
        for member in self.members:
            if isinstance(member, Branch):
                yield from member.targets()
            else:
                yield member

    def branches(self) -> Iterator[Branch]:
        """Give this and every branch inside of it."""
        yield self
        for member in self.members:
            if isinstance(member, Branch):
                yield from member.branches()

    def holding(self, members: list[Target | Branch]) -> Branch:
        """Give the same place with other members."""
        return Branch(self.route, tuple(members), self.weight, self.when, self.sort)


def replanted(branch: Branch, change: Callable[[Target], Target]) -> Branch:
    """Put another target in each one's place."""
    return branch.holding([replanted(m, change) if isinstance(m, Branch) else change(m) for m in branch.members])


def pruned(branch: Branch, keep: Callable[[Target, tuple[str, ...]], bool], above: tuple[str, ...] = ()) -> Branch:
    """Leave out targets; `keep` is told the routes they are in. What is empty then is left out, too."""
    path = (*above, branch.route) if branch.route else above
    members: list[Target | Branch] = []
    for member in branch.members:
        if isinstance(member, Branch):
            rest = pruned(member, keep, path)
            if rest.members:
                members.append(rest)
        elif keep(member, path):
            members.append(member)
    return branch.holding(members)


def without_repeats(branch: Branch, seen: set[tuple[str, str]]) -> Branch:
    """Leave out what stands in `seen`; what is in the branch twice stays, for a policy to choose by."""
    return pruned(branch, lambda target, _: (target.provider, target.model) not in seen) if seen else branch
