"""What can be asked for, one card each, in OpenAI's shape with what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import NotRequired, TypedDict

from ..types import Caller, ModelInfo
from ._ranking import base_price, visible
from ._table import Catalogue

__all__ = ["ModelCard", "cards"]

RATES = ("input", "output", "cached", "cache_write")


class ModelCard(TypedDict):
    """Describe a route or a model: what nobody knows of it is left out.

    A route is `owned_by` "aigateway" and has `targets`; a model has a `provider`. `created` is in seconds since the
    epoch, 0 where nobody knows; `pricing` in US dollars per million tokens, at any hour and size; `listed` tells
    whether the vendor's own list names it.
    """

    id: str
    object: str
    created: int
    owned_by: str
    targets: NotRequired[list[str]]
    provider: NotRequired[str]
    capabilities: NotRequired[list[str]]
    context_length: NotRequired[int]
    max_output_tokens: NotRequired[int]
    shutdown_date: NotRequired[str]
    pricing: NotRequired[dict[str, float]]
    listed: NotRequired[bool]


def cards(routes: Mapping[str, list[str]], catalogue: Catalogue, caller: Caller, at: float) -> list[ModelCard]:
    """List what a caller can ask for at a moment: routes, with the targets open to it, then the living models."""
    found: list[ModelCard] = [
        {"id": name, "object": "model", "created": 0, "owned_by": "aigateway", "targets": targets}
        for name, targets in routes.items()
    ]
    return [*found, *(_card(info, at, catalogue.is_listed(info)) for info in visible(catalogue, caller, at))]


def _card(info: ModelInfo, at: float, listed: bool | None) -> ModelCard:
    card: ModelCard = {
        "id": info.id,
        "object": "model",
        "created": _seconds(info.released),
        "owned_by": info.provider,
        "provider": info.provider,
        "capabilities": sorted(info.abilities),
    }
    if info.window:
        card["context_length"] = info.window
    if info.max_output:
        card["max_output_tokens"] = info.max_output
    if info.shutdown:
        card["shutdown_date"] = info.shutdown.isoformat()
    price = base_price(info, at)
    if price is not None:
        card["pricing"] = {name: _dollars(rate) for name in RATES if (rate := getattr(price, name)) is not None}
    if listed is not None:
        card["listed"] = listed
    return card


def _dollars(picodollars_per_token: int) -> float:
    return picodollars_per_token / 1_000_000


def _seconds(day: date | None) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else 0
