"""What a model is: window, abilities, dated prices, and who follows it when it retires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

__all__ = ["ABILITIES", "ModelInfo", "Price"]

# What a model may be able to do, in the words plug-ins and configurations use.
ABILITIES = frozenset(
    {"chat", "tools", "vision", "reasoning", "json_schema", "embeddings", "images", "audio", "video", "speech"}
    | {"transcription", "moderation", "rerank"}
)


@dataclass(frozen=True, slots=True)
class Price:
    """Price tokens from a day on, in picodollars per token (= microdollars per million).

    `above_tokens` limits a row to requests whose input is larger. `hours` limits it to hours of
    the week in UTC, written `Mon-Fri 01:00-04:00`, `not_on` takes days out (holidays); `label` names
    such a row for people. `until` is the first day it does not hold any more. `tier` limits it to a
    vendor's service tier, such as priority; a row without one is the usual tier's. `image_input` and
    `image_output` price the tokens of images where they differ from those of text, `per_image` each
    image that is made. `None` means the vendor states no price for that bucket.
    """

    since: date
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    per_image: int | None = None
    above_tokens: int = 0
    hours: tuple[str, ...] = ()
    label: str = ""
    image_input: int | None = None
    image_output: int | None = None
    until: date | None = None
    not_on: tuple[date, ...] = ()
    tier: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Describe one model of one provider.

    `window` and `max_output` are tokens, 0 when unknown. `abilities` holds words of `ABILITIES`; none
    means that nothing is known of what it can do. A retired id has a `successor` in
    the same catalogue and `successor_params`, which keep its behaviour; `shutdown` is the day it
    is switched off.
    """

    id: str
    provider: str
    window: int = 0
    max_output: int = 0
    abilities: frozenset[str] = frozenset({"chat"})
    prices: tuple[Price, ...] = ()
    released: date | None = None
    shutdown: date | None = None
    successor: str | None = None
    successor_params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_described(self) -> bool:
        """Tell whether anything is known of it beside its name."""
        return bool(self.window or self.abilities or self.prices or self.released or self.shutdown or self.successor)
