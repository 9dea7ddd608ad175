"""Anthropic's messages, with their envelope of errors."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from ..catalogue import size_of
from ..surfaces import Messages, anthropic_error, parse_json
from ._incoming import Incoming
from ._responses import Translated
from ._who import Inside

__all__ = ["CountTokens", "CreateMessage"]

SURFACE = Messages()


class CreateMessage(Translated):
    """Answer POST /v1/messages: a message in Anthropic's dialect, from any model."""

    surface = SURFACE
    envelope = staticmethod(anthropic_error)
    dialect_headers = ("anthropic-beta", "anthropic-version")


class CountTokens:
    """Answer POST /v1/messages/count_tokens: our estimate of what a message would count; no vendor is asked."""

    envelope = staticmethod(anthropic_error)

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Estimate for the first target the model stands for; it gets better as answers of that one are counted."""
        asked = parse_json(Counted(), await request.body())
        call = self._gateway.call(asked, caller=request.caller, request_id=request.id)
        target = self._gateway.plan.resolved(call).targets[0]
        counted = self._gateway.parts.estimator.input(target, size_of(asked.body))
        headers = {"x-aigateway-warning": f"estimated for {target}; no vendor was asked"}
        await request.answer(to_json({"input_tokens": counted}), headers=headers)


class Counted(Messages):
    """The same request without a limit, which counting needs none of."""

    def chat(self, body: Any) -> dict[str, Any]:
        """Give the chat body it means."""
        return super().chat({"max_tokens": 1, **body})
