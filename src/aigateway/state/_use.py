"""How a target did so far, in this process: what rankings are made of."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Mean", "Use"]


class Mean:
    """Average what came last: each new value counts a sixteenth at least."""

    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0

    def add(self, value: float) -> None:
        """Take a value in."""
        count = self.count = self.count + 1
        self.value += (value - self.value) / (min(16, count))

    @property
    def known(self) -> float | None:
        """Give the average; None before the first value."""
        return self.value if self.count else None


class Use(NamedTuple):
    """Count calls that ended; `complete` and `failed` are the target's doing, the others are not.

    `first_content` is in seconds, of streams; both averages are None while nothing is measured.
    """

    requests: int = 0
    complete: int = 0
    failed: int = 0
    first_content: float | None = None
    tokens_per_s: float | None = None

    @property
    def success_rate(self) -> float | None:
        """Give complete answers as a share of those and failures."""
        counted = self.complete + self.failed
        return self.complete / counted if counted else None
