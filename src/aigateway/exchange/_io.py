"""What an exchange works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..transport import Transport
from ..types import Clock, Timeouts
from ._timer import Within

__all__ = ["IO"]


@dataclass(frozen=True, slots=True)
class IO:
    """Hold the network, the clock, the timer of this event loop, and the default limits."""

    transport: Transport
    clock: Clock
    within: Within = field(default_factory=Within)
    timeouts: Timeouts = field(default_factory=Timeouts)
