"""What rests, in a file: it survives a restart, and the workers of one machine share it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, get_args

from ..errors import ConfigurationError
from ..secrets import mask
from ._document import Document
from ._rests import Change, Name, Rest, Rests, State

__all__ = ["FileMirror"]

LOG = logging.getLogger("aigateway.state")
# Seconds between two looks at the file; what changes here is written at once, by a thread of its own.
LOOKS = 0.5
# A little more than the day that is the longest wait: what ends later was written by a wrong clock.
LONGEST = 90_000.0
STATES = frozenset[str](get_args(State))


class FileMirror:
    """Write what rests into a document, and learn what other processes wrote.

    Ends are kept in seconds since the epoch. A file that cannot be used is said once, and tried
    again; no request waits for it.
    """

    def __init__(self, document: Document, *, wall: Callable[[], float] = time.time) -> None:
        self._document = document
        self._wall = wall
        self._waiting: dict[Name, Rest | None] = {}
        self._seen: dict[Name, float] = {}
        self._learned: Mapping[str, Any] | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._fault = ""

    def start(self, rests: Rests) -> None:
        """Learn what the file says, and begin to write."""
        if self._thread is not None:
            return
        self._closing = False
        rests.tell = self._tell
        self._step(rests)
        self._thread = threading.Thread(target=self._run, args=(rests,), name="aigateway-state", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and stop."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def fault(self) -> str:
        """Say why the file cannot be used; empty while it can."""
        return self._fault

    def _tell(self, change: Change) -> None:
        if change.what not in {"rest", "clear"}:
            return  # claims last for moments
        rest = change.rest
        self._waiting[change.name] = rest and rest._replace(until=self._wall() + rest.until)
        self._wake.set()

    def _run(self, rests: Rests) -> None:
        while not self._closing:
            self._wake.wait(LOOKS)
            self._wake.clear()
            self._step(rests)
        if self._waiting:  # it came while the last step was made
            self._step(rests)

    def _step(self, rests: Rests) -> None:
        taken: dict[Name, Rest | None] = {}
        try:
            while self._waiting:
                name, rest = self._waiting.popitem()
                taken[name] = rest
            if taken:
                self._document.change(lambda data: self._write(data, taken))
                taken = {}
            self._learn(rests)
        except ConfigurationError as error:
            for name, rest in taken.items():  # for the next time; what was told since is newer
                self._waiting.setdefault(name, rest)
            if not self._fault:
                LOG.warning("%s What rests is known to this process only.", error.message)
            self._fault = error.message
        else:
            self._fault = ""

    def _write(self, data: dict[str, Any], changes: Mapping[Name, Rest | None]) -> None:
        kept = {name: rest for name, rest in _read(data).items() if 0 < rest.until - self._wall() <= LONGEST}
        for name, rest in changes.items():
            before = kept.pop(name, None)
            if rest is not None and rest.until > self._wall():
                kept[name] = rest = before if before and before.until > rest.until else rest
                self._seen[name] = rest.until
            else:
                self._seen.pop(name, None)
        data.clear()
        data.update(version=1, rests=[{"name": list(name), **rest._asdict()} for name, rest in kept.items()])

    def _learn(self, rests: Rests) -> None:
        data = self._document.read()
        if data is self._learned:
            return
        self._learned, found = data, _read(data)
        for name, rest in found.items():
            left = rest.until - self._wall()
            if 0 < left <= LONGEST and self._seen.get(name) != rest.until:
                rests.learn(Change(name, "rest", rest._replace(until=left)))
        for name, until in self._seen.items():
            if name not in found and until > self._wall():  # else it was not cleared: it is over
                rests.learn(Change(name, "clear"))
        self._seen = {name: rest.until for name, rest in found.items()}


def _read(data: Mapping[str, Any]) -> dict[Name, Rest]:
    """Take what makes sense of a file that others write, too."""
    found: dict[Name, Rest] = {}
    rows = data.get("rests")
    for row in rows if isinstance(rows, list) else ():
        try:
            rest = Rest(
                float(row["until"]),
                row["state"],
                mask(str(row["kind"]), limit=64),
                int(row["times"]),
                int(row["proofs"]),
            )
            name = tuple(str(part)[:256] for part in row["name"])
            sane = isfinite(rest.until) and 0 <= rest.proofs <= 10 and 1 <= rest.times <= 100
            if name and rest.state in STATES and sane:
                found[name] = rest
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return found
