"""How far something slow is: one line of a terminal that is written over; nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import typer

__all__ = ["Progress"]

# Seconds between two looks.
EVERY = 0.2
CLEAR = "\r\x1b[2K"


class Progress:
    """Show on stderr, while that is a terminal, how many of `total` (0: nobody knows) are done; clear it at the end."""

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._of = f" of {total:,}" if total else ""
        self._is_seen = sys.stderr.isatty()
        self._next = time.monotonic() + EVERY
        self._shown = False

    def __call__(self, done: int) -> None:
        """Show how many are done, now and then."""
        if not self._is_seen or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        self._shown = True
        typer.echo(f"{CLEAR}{done:,}{self._of} {self._what}", nl=False, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown:
            typer.echo(CLEAR, nl=False, err=True)
