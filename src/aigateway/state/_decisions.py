"""The last decisions, kept in this process until newer ones push them out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from ..types import Decision, Trace
from ._journal import Journal

__all__ = ["Decisions"]

# Bytes all kept records may hold on to, about.
BYTES = 32 * 1024 * 1024


class Decisions:
    """Keep what is known of the last calls; a record is made of it when somebody asks.

    `keep` is how many, 0 none; `journal` writes each into a file, too.
    """

    def __init__(self, keep: int, journal: Journal | None = None) -> None:
        self.keep = keep
        self.journal = journal
        self._kept: deque[tuple[Trace, int]] = deque()
        self._size = 0

    def add(self, trace: Trace) -> None:
        """Take note of a call that has ended."""
        if self.journal is not None:
            self.journal.add(trace)
        if not self.keep:
            return
        size = trace.size
        self._kept.append((trace, size))
        self._size += size
        while self._kept and (len(self._kept) > self.keep or self._size > BYTES):
            self._size -= self._kept.popleft()[1]

    def find(self, request_id: str) -> Decision | None:
        """Give the newest with that request id."""
        found = next((trace for trace, _ in reversed(self._kept) if trace.id == request_id), None)
        return None if found is None else found.freeze()

    def last(self, count: int) -> Iterator[Decision]:
        """Give the last ones, newest first."""
        return (trace.freeze() for trace, _ in islice(reversed(self._kept), count))
