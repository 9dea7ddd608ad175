"""SIGHUP, which asks a server to load its configuration again: it never ends one, not while it starts either."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["heeding_hangups", "holding_hangups"]

# Windows has none.
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


@contextmanager
def heeding_hangups(heed: Callable[[], object]) -> Iterator[None]:
    """Call `heed` for each one, also for one that was held before; outside the main thread, for none."""
    if HANGUP is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        heed()

    before = signal.signal(HANGUP, handle)
    held = signal.pthread_sigmask(signal.SIG_UNBLOCK, {HANGUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        signal.signal(HANGUP, before)


@contextmanager
def holding_hangups() -> Iterator[None]:
    """Hold them back until they are heeded, here and in a process that is started meanwhile, instead of ending."""
    if HANGUP is None:
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {HANGUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
