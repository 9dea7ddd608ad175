"""Where a request can go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._limits import Terms, Timeouts
from ._models import ModelInfo

__all__ = ["Candidate", "Facts", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Name one model at one configured provider.

    `timeouts` None means the gateway's own, and so does `terms`: those of the route it was found in.
    `params` are sent unless the caller set them (what a retired name meant, say).
    """

    provider: str
    model: str
    weight: int = 1
    timeouts: Timeouts | None = None
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    terms: Terms | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Facts(NamedTuple):
    """What is remembered about a target: calls under way, answers, failures in a row.

    `first_content` is its recent time to the first content in seconds, slow ones counting at once; 0
    while it is not known, or was not asked for a while. `speed` is the tokens of answers per second, as vendors
    counted them; 0 while nobody did.
    """

    in_flight: int = 0
    answered: int = 0
    failed: int = 0
    failing: int = 0
    last_kind: str = ""
    first_content: float = 0.0
    speed: float = 0.0


class Candidate(NamedTuple):
    """Give routing all it may decide on, as plain values; `cost` is an estimate in picodollars, where a policy asks."""

    target: Target
    info: ModelInfo | None = None
    keys_free: int = 1
    facts: Facts = Facts()
    cost: int | None = None
