"""What processes know of each other."""

from __future__ import annotations

from typing import Protocol

from ._rests import Rests

__all__ = ["Mirror"]


class Mirror(Protocol):
    """Share what rests between processes, within a second and beside the requests.

    It sets `rests.tell` and calls `rests.learn`; no request ever waits for it, and a place that
    cannot be reached is tried again without anybody noticing but the log.
    """

    def start(self, rests: Rests) -> None:
        """Begin sharing; again after `close`. Returns at once."""

    def close(self) -> None:
        """Stop sharing, within a second; blocks."""

    def fault(self) -> str:
        """Say in a sentence what is wrong with the place, without secrets; empty while nothing is."""
