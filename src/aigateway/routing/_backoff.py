"""How long to wait before the same target is tried once more."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tenacity as _t

__all__ = ["backoff"]

SHORTEST, LONGEST = 0.05, 2.0


def backoff(tries: int, random: Random) -> float:
    """Give seconds: full jitter under an exponential from 50 ms to 2 s; `tries` counts from 1."""
    import tenacity as _t

    state = _t.RetryCallState(_t.Retrying(), None, (), {})
    state.attempt_number = tries
    return random.uniform(0.0, _ceiling()(state))


@cache
def _ceiling() -> _t.wait_exponential:
    import tenacity as _t

    return _t.wait_exponential(multiplier=SHORTEST, min=SHORTEST, max=LONGEST)
