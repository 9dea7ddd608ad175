"""What an exchange works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..transport import Transport
from ..types import Clock, Cost, Target, Timeouts, Usage
from ._timer import Timer

__all__ = ["IO"]


@dataclass(frozen=True, slots=True)
class IO:
    """Hold the network, the clock, what makes timers on this event loop, the default limits, and what things cost."""

    transport: Transport
    clock: Clock
    timer: Callable[[], Timer]
    timeouts: Timeouts = field(default_factory=Timeouts)
    price: Callable[[Target, Usage | None], Cost] = lambda target, usage: Cost()
