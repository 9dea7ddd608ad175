"""Anthropic's messages: what its clients ask of any model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .._surface import NativeOnly
from .._translated import Translated
from ._request import chat_fields
from ._stream import PER_TOKEN, MessagesTelling

__all__ = ["Messages"]

# Fields that hold no words: pictures, documents, signatures.
NO_WORDS = frozenset({"data", "url", "signature"})


class Messages(Translated):
    """Translate between Anthropic's messages and chat."""

    operation = "messages"
    said_in = "messages"
    strangers: ClassVar[Mapping[str, str]] = {"input": "/v1/responses", "prompt": "/v1/completions"}

    @staticmethod
    def body() -> type:
        """Give the type of the bodies."""
        from ._body import MessagesBody

        return MessagesBody

    def meaning(self, body: dict[str, Any]) -> tuple[dict[str, Any], list[NativeOnly]]:
        """Give the chat request that says the same, and what of it chat cannot say. Raises RequestError."""
        return chat_fields(body)

    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> MessagesTelling:
        """Begin to tell a stream."""
        return MessagesTelling(model=model, expected=expected_tokens(asked), request_id=request_id)


def expected_tokens(value: object) -> int:
    """Estimate the tokens of a request from the length of its words."""
    return _length(value) // PER_TOKEN + 1


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_length(part) for name, part in value.items() if name not in NO_WORDS)
    return sum(map(_length, value)) if isinstance(value, list) else 0
