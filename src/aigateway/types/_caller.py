"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANYONE", "IN_PROCESS", "Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Name a caller and what it may do.

    `name` is safe to log; `key` is the masked key it came with. `tenant` separates what callers
    must never share (caches, limits).
    """

    name: str
    scopes: frozenset[str] = frozenset({"chat"})
    key: str = ""
    tenant: str = ""

    @property
    def is_admin(self) -> bool:
        """Tell whether operator routes are open to it."""
        return "admin" in self.scopes


IN_PROCESS = Caller("in-process", frozenset({"chat", "admin"}))
ANYONE = Caller("anyone", frozenset({"public"}))
