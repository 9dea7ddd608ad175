"""The models there are, in OpenAI's list shape with what else is known, or in Anthropic's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic_core import to_json

from ..catalogue import provider_rows, visible
from ..errors import RequestError, UnknownModel
from ..plan import find_card
from ..types import ModelCard
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Models", "OneModel", "Providers", "Ranking"]

# Whoever sends this header reads Anthropic's shapes.
VERSION = "anthropic-version"
RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
# Rows of a page, and the most there may be (anthropic-sdk-python, model_list_params).
USUAL, MOST, LONGEST_QUERY = 20, 1000, 4096


class Models:
    """Answer GET /v1/models."""

    bilingual = True

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List routes and models; to clients of Anthropic's dialect, in theirs."""
        cards = self._gateway.models(request.caller)
        if VERSION in request.headers:
            body = to_json(page(cards, bytes(request.scope.get("query_string", b""))))
        else:
            body = to_json({"object": "list", "data": cards})
        await request.answer(body)


class OneModel(Models):
    """Answer GET /v1/models/{id}; ids may hold slashes."""

    async def __call__(self, request: Incoming) -> None:
        """Describe one model, by its plain id or as provider/id."""
        name = unquote(str(request.scope["path_params"]["id"]))
        card = find_card(self._gateway.parts, request.caller, name, self._gateway.clock.wall())
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


def page(cards: Iterable[ModelCard], query: bytes) -> dict[str, Any]:
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


def in_messages(card: ModelCard) -> dict[str, Any]:
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
