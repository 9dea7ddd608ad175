"""In which order targets are tried: pure orderings, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..types import Call, Candidate

__all__ = ["Policy", "Priority"]


class Policy(Protocol):
    """Order candidates; decide on their values alone."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Give the candidates, best first."""


class Priority:
    """Keep the order of the configuration."""

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Give them as they are."""
        return candidates
