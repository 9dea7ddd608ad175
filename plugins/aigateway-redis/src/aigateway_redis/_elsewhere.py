"""Between the event loop a request runs on, asyncio's or trio's, and the thread that talks to Redis."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

__all__ = ["from_elsewhere"]


def from_elsewhere(function: Callable[[], object]) -> Callable[[], object]:
    """Give what calls a function of the running event loop from another thread, and never waits for it."""
    try:
        call = asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        call = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon

    def tell() -> None:
        with suppress(Exception):  # that loop has ended
            call(function)

    return tell
