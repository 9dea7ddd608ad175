"""What can be asked for, one card each: what the list of models shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import chain

from ..catalogue import base_price, lives, visible
from ..parts import Parts
from ..routing import Names
from ..types import Caller, ModelCard, ModelInfo

__all__ = ["find_card", "model_cards"]

RATES = ("input", "output", "cached", "cache_write")


def model_cards(parts: Parts, caller: Caller, at: float) -> Iterator[ModelCard]:
    """List what a caller can ask for, each by a name that leads to it: routes first, then each provider's models."""
    names, catalogue = parts.names, parts.catalogue
    for name in names.routes:
        card = _route(parts, caller, name, at)
        if card is not None:
            yield card
    several = {id_ for id_, count in Counter(chain(names.routes, *catalogue.values())).items() if count > 1}
    for info in visible(catalogue, caller, at):
        card = _model(info, at, catalogue.is_listed(info))
        yield {**card, "id": _name(names, info)} if "/" in info.id or info.id in several else card


def find_card(parts: Parts, caller: Caller, name: str, at: float) -> ModelCard | None:
    """Describe what a caller means by a name; None where that is nothing, or not for them."""
    names, catalogue = parts.names, parts.catalogue
    if name in names.routes:
        return _route(parts, caller, name, at)
    provider, _, rest = name.partition("/")
    info = catalogue.info(provider, rest) or catalogue.info(names.owner(name), name)
    if info is None or not lives(info, _day(at)) or not caller.may_use(info.id, f"{info.provider}/{info.id}"):
        return None
    return {**_model(info, at, catalogue.is_listed(info)), "id": _name(names, info)}


def _route(parts: Parts, caller: Caller, name: str, at: float) -> ModelCard | None:
    """Describe a route by what a caller may reach by it; None where that is nothing."""
    targets = parts.names.reachable(name, today=_day(at), caller=caller)
    if not targets:
        return None
    shown = list(map(str, targets))
    return {"id": name, "object": "model", "created": 0, "owned_by": "aigateway", "targets": shown}


def _model(info: ModelInfo, at: float, listed: bool | None) -> ModelCard:
    """Describe a model: what nobody knows of it is left out. `pricing` is per million tokens, at any hour and size."""
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
    price = base_price(info, at) if info.prices else None
    if price is not None:
        card["pricing"] = {name: _dollars(rate) for name in RATES if (rate := getattr(price, name)) is not None}
    if listed is not None:
        card["listed"] = listed
    return card


def _dollars(picodollars_per_token: int) -> float:
    return picodollars_per_token / 1_000_000


def _seconds(day: date | None) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else 0


def _name(names: Names, info: ModelInfo) -> str:
    """Give the name that leads to a model: its id, unless that alone is a route's or another provider's."""
    provider, _, rest = info.id.partition("/")
    taken = info.id in names.routes or rest in names.catalogue.get(provider, ())
    return f"{info.provider}/{info.id}" if taken or names.owner(info.id) != info.provider else info.id


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
