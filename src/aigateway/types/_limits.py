"""How long, how often: the bounds every layer reads. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._target import Target

__all__ = ["Hedge", "Recovery", "Retries", "Shadow", "Terms", "Timeouts"]

Recovery = Literal["terminate", "hold", "buffer", "continue"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bound one request.

    `connect` covers DNS, TCP and TLS; `first_content` and `silence` count for streams and are
    reset by content only; `answer` is for whole bodies; `total` covers everything.
    """

    connect: float = 5.0
    first_content: float = 60.0
    silence: float = 30.0
    answer: float = 300.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Retries:
    """Bound the attempts of one request.

    `attempts` counts calls that may have been billed, `same_target` how often a transient
    failure is tried once more at the same target, `patience` how long a throttled target is
    waited for (0: go on at once). `wait` waits within the deadline when every target rests.
    """

    attempts: int = 3
    same_target: int = 1
    patience: float = 0.0
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Hedge:
    """Ask a second target when the first is late.

    Late is past this `quantile` of its first-content times; `extra` bounds the added load.
    """

    quantile: float = 0.95
    extra: float = 0.05


@dataclass(frozen=True, slots=True)
class Shadow:
    """Copy a share of the requests to another target, whose answers nobody gets.

    At most `in_flight` copies are under way at a time, each for at most `timeout` seconds.
    """

    target: Target
    share: float = 1.0
    in_flight: int = 4
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How far a route goes for an answer.

    `recovery` says what a stream that breaks becomes; `hold` how many characters are held back
    before the answer is promised, `total` for how long it may take in all (None: as any request).
    """

    retries: Retries = Retries()
    recovery: Recovery = "terminate"
    hold: int = 0
    hedge: Hedge | None = None
    total: float | None = None
    shadow: Shadow | None = None
