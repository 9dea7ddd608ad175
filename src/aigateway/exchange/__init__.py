"""One exchange with one provider: send, timers, stream engine, commit, cancellation, settling."""

from ._chunks import Chunks
from ._exchange import Exchange
from ._io import IO, running_loop
from ._open import NO_KEY, answered, open_exchange
from ._probe import fetch, probe, relist
from ._race import race
from ._source import chunks_of
from .timers import Ticks, Timer, timer_for

__all__ = [
    "IO", "NO_KEY", "Chunks", "Exchange", "Ticks", "Timer", "answered", "chunks_of", "fetch", "open_exchange", "probe",
    "race", "relist", "running_loop", "timer_for",
]  # fmt: skip  # a list of names
