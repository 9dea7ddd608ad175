"""The models there are, in OpenAI's list shape with what else is known."""

from __future__ import annotations

from urllib.parse import unquote

from pydantic_core import to_json

from ..catalogue import provider_rows, visible
from ..errors import UnknownModel
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Models", "OneModel", "Providers", "Ranking"]


class Models:
    """Answer GET /v1/models."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List routes and models."""
        await request.answer(to_json({"object": "list", "data": self._gateway.models(request.caller)}))


class OneModel:
    """Answer GET /v1/models/{id}; ids may hold slashes."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Describe one model, by its plain id or as provider/id."""
        name = unquote(str(request.scope["path_params"]["id"]))
        for card in self._gateway.models(request.caller):
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
