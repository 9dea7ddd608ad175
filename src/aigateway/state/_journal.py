"""A file of decisions, one line of JSON each, written by a thread of its own: no request waits for a disk."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from ..secrets import without_keys
from ..types import Trace
from ._document import locked

__all__ = ["Journal"]

LOG = logging.getLogger("aigateway.state")
# Calls that may wait for the disk; more are left out of the file, and counted.
WAITING = 10_000
# Seconds between two writes, those another process is waited for, and those `close` waits for the last write.
EVERY, PATIENCE, CLOSING = 0.2, 2.0, 5.0
# Bytes written at once.
BATCH = 1024 * 1024


class Journal:
    """Append records to a file; past `most` bytes it is renamed to NAME.1, and one of that name is replaced.

    Several processes may write the same file, and tools that rotate logs may remove, rename or cut it.
    A disk that is full or gone is said once and tried again; what could not be written meanwhile is
    lost, and `lost` counts it.
    """

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self.lost = 0
        self.fault = ""
        self._most = most
        self._waiting: deque[Trace] = deque()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False

    def add(self, trace: Trace) -> None:
        """Let a record be written soon."""
        if len(self._waiting) >= WAITING:
            self.lost += 1
            return
        self._waiting.append(trace)
        if self._thread is None:
            self._closing = False
            self._thread = threading.Thread(target=self._run, name="aigateway-decisions", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what is left, and stop."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSING)
            self._thread = None
        self._wake.clear()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(EVERY)
            self._step()
        self._step()

    def _step(self) -> None:
        while self._waiting:
            lines = self._taken()
            try:
                self._write(b"".join(lines))
            except Exception as error:  # a disk's, as a rule; the thread goes on whatever it is
                self.lost += len(lines)
                reason = getattr(error, "strerror", None) or type(error).__name__
                if not self.fault:
                    LOG.warning("decisions cannot be written to %s: %s. Requests go on without.", self.path, reason)
                self.fault = reason
            else:
                if self.fault:
                    LOG.warning("decisions are written to %s again; %d are missing", self.path, self.lost)
                self.fault = ""

    def _taken(self) -> list[bytes]:
        """Make lines of what waits, a batch at a time; one that cannot be made harms no other."""
        lines: list[bytes] = []
        size = 0
        while self._waiting and size < BATCH:
            trace = self._waiting.popleft()
            try:
                lines.append(trace.freeze().to_json(without_keys).encode("ascii") + b"\n")
                size += len(lines[-1])
            except Exception:  # a plug-in may have put anything into it
                self.lost += 1
                LOG.exception("the decision of request %r cannot be written", trace.id)
        return lines

    def _write(self, data: bytes) -> None:
        """Append under the lock that whoever renames the file holds, too."""
        with locked(self.path, PATIENCE):
            size = self.path.stat().st_size if self.path.exists() else 0
            if size and size + len(data) > self._most:
                os.replace(self.path, self.path.with_name(f"{self.path.name}.1"))
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                before = os.fstat(handle).st_size
                try:
                    _all(handle, data if _is_whole(handle, before) else b"\n" + data)
                except OSError:
                    with suppress(OSError):  # half a line is no record
                        os.ftruncate(handle, before)
                    raise
            finally:
                os.close(handle)


def _is_whole(handle: int, size: int) -> bool:
    """Tell whether the last line has its end; it has none where its writer died, or somebody cut the file."""
    if not size:
        return True
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1) == b"\n"


def _all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
