"""The models there are, in OpenAI's list shape with what else is known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

from pydantic_core import to_json

from ..catalogue import base_price, provider_rows, visible
from ..errors import UnknownModel
from ..gateway import Gateway
from ..types import IN_PROCESS, Caller, ModelInfo
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Models", "OneModel", "Providers", "Ranking", "model_card", "model_list"]


RATES = ("input", "output", "cached", "cache_write")


class Models:
    """Answer GET /v1/models."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List routes and models."""
        await request.answer(to_json({"object": "list", "data": model_list(self._gateway, request.caller)}))


class OneModel:
    """Answer GET /v1/models/{id}; ids may hold slashes."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Describe one model, by its plain id or as provider/id."""
        name = unquote(str(request.scope["path_params"]["id"]))
        for card in model_list(self._gateway, request.caller):
            if name in {card["id"], f"{card['owned_by']}/{card['id']}"}:
                await request.answer(to_json(card))
                return
        raise UnknownModel(f"the model {name[:128]!r} is not known here. GET /v1/models lists all.", param="model")


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


def model_list(gateway: Gateway, caller: Caller = IN_PROCESS) -> list[dict[str, Any]]:
    """List what a caller can ask for: routes first, then each provider's models."""
    routes = [
        {"id": name, "object": "model", "created": 0, "owned_by": "aigateway", "targets": open_to}
        for name, targets in gateway.parts.names.routes.items()
        if (open_to := [str(t) for t in targets if caller.may_use(name, str(t), t.model)])
    ]
    at, catalogue = gateway.clock.wall(), gateway.parts.catalogue
    return [*routes, *(model_card(info, at, catalogue.is_listed(info)) for info in visible(catalogue, caller, at))]


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
