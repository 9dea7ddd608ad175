"""The models there are, in OpenAI's list shape with what else is known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

from pydantic_core import to_json

from ..errors import UnknownModel
from ..gateway import Gateway
from ..types import IN_PROCESS, Caller, ModelInfo
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Models", "OneModel", "model_card", "model_list"]


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


def model_list(gateway: Gateway, caller: Caller = IN_PROCESS) -> list[dict[str, Any]]:
    """List what a caller can ask for: routes first, then each provider's models."""
    routes = [
        {"id": name, "object": "model", "created": 0, "owned_by": "aigateway", "targets": open_to}
        for name, targets in gateway.parts.names.routes.items()
        if (open_to := [str(t) for t in targets if caller.may_use(name, str(t), t.model)])
    ]
    living = gateway.parts.catalogue.living(datetime.fromtimestamp(gateway.clock.wall(), UTC).date())
    return [*routes, *(model_card(i) for i in living if caller.may_use(i.id, f"{i.provider}/{i.id}"))]


def model_card(info: ModelInfo) -> dict[str, Any]:
    """Describe a model."""
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
    return card


def _seconds(day: date | None) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else 0
