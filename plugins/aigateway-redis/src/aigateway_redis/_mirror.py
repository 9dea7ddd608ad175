"""What the gateway sees: start, close, and what is wrong."""

from __future__ import annotations

import logging
import os
from threading import Lock, Thread

from aigateway.state import Rests

from ._limits import RedisLimits
from ._place import Place
from ._sharing import Sharing
from ._shelf import RedisShelf

__all__ = ["RedisMirror"]

LOG = logging.getLogger("aigateway.redis")
# Seconds the thread is waited for when the gateway closes.
LEAVING = 0.9


class RedisMirror:
    """Share what rests through Redis, from a daemon thread that requests never wait for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._limits: RedisLimits | None = None
        self.shelf = RedisShelf(place)
        self._process = os.getpid()
        self._lock = Lock()
        self._sharing: Sharing | None = None
        self._thread: Thread | None = None
        self._inherited: list[Sharing | None] = []

    @property
    def limits(self) -> RedisLimits:
        """Give limits that all processes share; who never asks for it has no connection for it."""
        if self._limits is None:
            self._limits = RedisLimits(self._place)
        return self._limits

    def start(self, rests: Rests) -> None:
        """Begin sharing, unless that has begun; again after `close`, and in a process that was forked."""
        if self._process != os.getpid():
            self._forget()
        with self._lock:
            if self._sharing is None:
                try:
                    self._begin(rests)
                except (OSError, RuntimeError) as error:  # no thread, or no file to be had: the gateway goes on
                    LOG.warning("What rests is not shared: %s", error)

    def _begin(self, rests: Rests) -> None:
        sharing = Sharing(self._place, rests, self._limits, self.shelf)
        thread = Thread(target=sharing.run, name="aigateway-redis", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            sharing.abandon()
            raise
        self._sharing, self._thread, rests.tell = sharing, thread, sharing.tell

    def close(self) -> None:
        """Say the last changes and stop, within a second; what does not end by then ends by itself."""
        with self._lock:
            sharing, thread = self._sharing, self._thread
            self._sharing = self._thread = None
        if sharing is None or thread is None or self._process != os.getpid():
            return
        sharing.stop()
        thread.join(LEAVING)

    def fault(self) -> str:
        """Say what is wrong with Redis; empty while nothing is, and before `start`."""
        sharing = self._sharing
        return sharing.fault if sharing is not None else ""

    def _forget(self) -> None:
        """Begin anew after a fork: threads stay behind, and a lock may have come along held.

        The parent's loop is kept, unused: collecting it would close what the parent still waits on.
        """
        self._inherited.append(self._sharing)
        self._process, self._lock = os.getpid(), Lock()
        if self._limits is not None:
            self._limits.forget()
        self.shelf.forget()
        self._sharing = self._thread = None
