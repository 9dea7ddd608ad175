"""What an exchange works with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from ..catalogue import Bill
from ..transport import Transport
from ..types import Clock, Target, Timeouts
from .timers import Timer

__all__ = ["IO", "running_loop"]


@dataclass(frozen=True, slots=True)
class IO:
    """Hold the network, the clock, what makes timers on this event loop, the default limits, and what opens bills."""

    transport: Transport
    clock: Clock
    timer: Callable[[], Timer]
    timeouts: Timeouts = field(default_factory=Timeouts)
    bill: Callable[[Target], Bill] = Bill


def running_loop() -> object:
    """Give asyncio's running loop, else the token of trio's run."""
    asyncio = sys.modules.get("asyncio")
    try:
        if asyncio:
            return asyncio.get_running_loop()
    except RuntimeError:
        pass
    return sys.modules["trio"].lowlevel.current_trio_token()
