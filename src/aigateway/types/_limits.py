"""How long, how often: the bounds every layer reads. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Retries", "Timeouts"]


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
    waited for (0: go on at once).
    """

    attempts: int = 3
    same_target: int = 1
    patience: float = 0.0
