"""The models there are, in OpenAI's list shape with what else is known, or in Anthropic's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic_core import to_json

from ..catalogue import base_price, lives, provider_rows, visible
from ..errors import RequestError, UnknownModel
from ..gateway import Gateway
from ..routing import Names
from ..types import IN_PROCESS, Caller, ModelInfo
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Models", "OneModel", "Providers", "Ranking", "model_card", "model_cards"]

# Whoever sends this header reads Anthropic's shapes.
VERSION = "anthropic-version"
RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
# Rows of a page, and the most there may be (anthropic-sdk-python, model_list_params).
USUAL, MOST, LONGEST_QUERY = 20, 1000, 4096
RATES = ("input", "output", "cached", "cache_write")


class Models:
    """Answer GET /v1/models."""

    bilingual = True

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List routes and models; to clients of Anthropic's dialect, in theirs."""
        cards = model_cards(self._gateway, request.caller)
        if VERSION in request.headers:
            body = to_json(page(cards, bytes(request.scope.get("query_string", b""))))
        else:
            body = to_json({"object": "list", "data": list(cards)})
        await request.answer(body)


class OneModel(Models):
    """Answer GET /v1/models/{id}; ids may hold slashes."""

    async def __call__(self, request: Incoming) -> None:
        """Describe one model, by its plain id or as provider/id."""
        name = unquote(str(request.scope["path_params"]["id"]))
        card = find_card(self._gateway, request.caller, name)
        if card is None:
            raise UnknownModel(f"the model {name[:128]!r} is not known here. GET /v1/models lists all.", param="model")
        await request.answer(to_json(in_messages(card) if VERSION in request.headers else card))


class Providers:
    """Answer GET /models/providers."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Sum use up by provider, over what the caller may ask for."""
        gateway = self._gateway
        models = visible(gateway.parts.catalogue, request.caller, gateway.clock.wall())
        healthy = {name: gateway.memory.health(name) == "healthy" for name in gateway.parts.providers}
        rows = provider_rows(gateway.parts.providers, models, gateway.memory.use(), healthy)
        await request.answer(to_json({"data": rows}))


class Ranking:
    """Answer GET /ranking/models."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Rank what the caller may ask for."""
        await request.answer(to_json({"data": self._gateway.ranking(request.caller)}))


def model_cards(gateway: Gateway, caller: Caller = IN_PROCESS) -> Iterator[dict[str, Any]]:
    """List what a caller can ask for, each by a name that leads to it: routes first, then each provider's models."""
    names, catalogue, at = gateway.parts.names, gateway.parts.catalogue, gateway.clock.wall()
    for name in names.routes:
        card = route_card(gateway, caller, name, at)
        if card is not None:
            yield card
    several = {id_ for id_, count in Counter(chain(names.routes, *catalogue.values())).items() if count > 1}
    for info in visible(catalogue, caller, at):
        card = model_card(info, at, catalogue.is_listed(info))
        yield {**card, "id": _name(names, info)} if info.id in several else card


def find_card(gateway: Gateway, caller: Caller, name: str) -> dict[str, Any] | None:
    """Describe what a caller means by a name; None where that is nothing, or not for them."""
    names, catalogue, at = gateway.parts.names, gateway.parts.catalogue, gateway.clock.wall()
    if name in names.routes:
        return route_card(gateway, caller, name, at)
    provider, _, rest = name.partition("/")
    info = catalogue.info(provider, rest) or catalogue.info(names.owner(name), name)
    if info is None or not lives(info, _day(at)) or not caller.may_use(info.id, f"{info.provider}/{info.id}"):
        return None
    return {**model_card(info, at, catalogue.is_listed(info)), "id": _name(names, info)}


def route_card(gateway: Gateway, caller: Caller, name: str, at: float) -> dict[str, Any] | None:
    """Describe a route by what a caller may reach by it; None where that is nothing."""
    targets = gateway.parts.names.reachable(name, today=_day(at), caller=caller)
    if not targets:
        return None
    shown = list(map(str, targets))
    return {"id": name, "object": "model", "created": 0, "owned_by": "aigateway", "targets": shown}


def page(cards: Iterable[dict[str, Any]], query: bytes) -> dict[str, Any]:
    """Give one page in Anthropic's list shape. Raises RequestError for bounds that make no sense."""
    asked = dict(parse_qsl(query[:LONGEST_QUERY].decode("latin-1")))
    limit = asked.get("limit", str(USUAL))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MOST):
        raise RequestError(f"'limit' must be 1 to {MOST}", param="limit")
    rows = list(map(in_messages, cards))
    after, before = asked.get("after_id"), asked.get("before_id")
    ids = [row["id"] for row in rows]
    for name, value in (("after_id", after), ("before_id", before)):
        if value is not None and value not in ids:
            raise RequestError(f"{name!r} names {value[:128]!r}, which is not in the list", param=name)
    start = ids.index(after) + 1 if after is not None else 0
    end = ids.index(before) if before is not None else len(rows)
    if before is not None and after is None:  # the page that ends before it
        start, more = max(0, end - int(limit)), end > int(limit)
    else:
        end, more = min(end, start + int(limit)), start + int(limit) < end
    shown = rows[start:end]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": shown, "has_more": more, "first_id": first, "last_id": last}


def in_messages(card: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a model as Anthropic's clients read it (anthropic-sdk-python 2.11, types/model_info)."""
    created = datetime.fromtimestamp(card["created"], UTC).strftime(RFC3339)
    ends = card.get("shutdown_date")
    return {
        "type": "model",
        "id": card["id"],
        "display_name": card["id"],
        "created_at": created,
        "lifecycle": "deprecated" if ends else "active",
        "retires_at": f"{ends}T00:00:00Z" if ends else None,
        "max_input_tokens": card.get("context_length"),
        "max_tokens": card.get("max_output_tokens"),
    }


def model_card(info: ModelInfo, at: float, listed: bool | None = None) -> dict[str, Any]:
    """Describe a model: what nobody knows of it is left out. `pricing` is per million tokens, at any hour and size."""
    card: dict[str, Any] = {
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
    alone = info.id not in names.routes and names.owner(info.id) == info.provider
    return info.id if alone else f"{info.provider}/{info.id}"


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
