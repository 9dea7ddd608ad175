"""One exchange with one provider: send, timers, stream engine, commit, cancellation, settling."""

from ._chunks import Chunks
from ._exchange import Exchange
from ._io import IO
from ._open import answered, open_exchange
from ._race import race
from ._source import chunks_of
from ._ticks import Ticks
from ._timer import Timer, timer_for

__all__ = ["IO", "Chunks", "Exchange", "Ticks", "Timer", "answered", "chunks_of", "open_exchange", "race", "timer_for"]
