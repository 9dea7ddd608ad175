"""How waits are bounded: a deadline that moves, and one tick for all that are due."""

from ._ticks import Ticks
from ._timer import Timer, expired, timer_for

__all__ = ["Ticks", "Timer", "expired", "timer_for"]
