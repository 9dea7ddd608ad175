"""OpenAI's Responses API without state: whatever asks it is answered, and nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .._surface import NativeOnly
from .._translated import Translated
from ._request import chat_fields, native_fields
from ._stream import ResponsesTelling

__all__ = ["Responses"]


class Responses(Translated):
    """Translate between the Responses API and chat."""

    operation = "responses"
    said_in = "input"
    strangers: ClassVar[Mapping[str, str]] = {"messages": "/v1/chat/completions"}

    @staticmethod
    def body() -> type:
        """Give the type of the bodies."""
        from ._body import ResponsesBody

        return ResponsesBody

    def meaning(self, body: dict[str, Any]) -> tuple[dict[str, Any], list[NativeOnly]]:
        """Give the chat request that says the same, and what of it chat cannot say. Raises RequestError."""
        return chat_fields(body)

    def native(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give what a vendor that speaks the Responses API is sent."""
        return native_fields(body)

    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> ResponsesTelling:
        """Begin to tell a stream."""
        return ResponsesTelling(asked, request_id=request_id, model=model)
