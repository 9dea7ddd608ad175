"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ANYONE", "IN_PROCESS", "Caller", "Limits"]


class Limits(NamedTuple):
    """Say how much a caller may ask in any minute; 0 where nothing is said of it."""

    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Name a caller and what it may do.

    `name` is safe to log; `key` is the masked key it came with. `tenant` separates what callers
    must never share (caches, limits). `models` are the names it may ask for and the targets it may
    reach, with a `*` at the end at most; none means all. `limits` count instead of those for everybody.
    """

    name: str
    scopes: frozenset[str] = frozenset({"chat"})
    key: str = ""
    tenant: str = ""
    models: tuple[str, ...] = ()
    limits: Limits | None = None

    @property
    def space(self) -> str:
        """Name whom it shares kept answers and limits with: its tenant; without one, callers of its name without one.

        No key can be named like the latter, so what a program asks for itself is never told to a client.
        """
        return self.tenant or f"\0{self.name}"

    @property
    def is_admin(self) -> bool:
        """Tell whether operator routes are open to it."""
        return "admin" in self.scopes

    def may_use(self, *names: str) -> bool:
        """Tell whether the allow-list names one of these."""
        return not self.models or any(_matches(name, pattern) for name in names for pattern in self.models)


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


IN_PROCESS = Caller("in-process", frozenset({"chat", "admin"}))
ANYONE = Caller("anyone", frozenset({"public"}))
