"""Where to send it, and where next: names, policies, attempts; no I/O, no sleeping."""

from ._failover import Attempt, Attempts
from ._names import PATTERNS, SORTED, SUFFIXES, Names, Resolved, Rules
from ._screen import Needs, Passed, Screen
from ._space import one_space
from ._tree import Branch
from ._when import When
from .order import POLICIES, Orders, Policy, Priority

__all__ = [
    "PATTERNS", "POLICIES", "SORTED", "SUFFIXES", "Attempt", "Attempts", "Branch", "Names", "Needs", "Orders", "Passed",
    "Policy", "Priority", "Resolved", "Rules", "Screen", "When", "one_space",
]  # fmt: skip  # a list of names
