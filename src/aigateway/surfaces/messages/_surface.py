"""Anthropic's messages: what its clients ask of any model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ...types import Chunk, Reply
from ...types.request._request import _explain
from .._fields import elsewhere
from ._request import chat_fields
from ._stream import PER_TOKEN, MessagesTelling

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Messages"]

# Fields that hold no words: pictures, documents, signatures.
NO_WORDS = frozenset({"data", "url", "signature"})


class Messages:
    """Translate between Anthropic's messages and chat."""

    operation = "messages"

    @staticmethod
    def schema(references: str) -> dict[str, Any]:
        """Describe the body in JSON Schema; `references` names where its parts will be, with `{model}` for the name."""
        return _adapter().json_schema(ref_template=references)

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the chat body a request means. Raises RequestError naming the caller's own field, or NativeOnly."""
        from pydantic import ValidationError

        if not body.get("messages"):
            elsewhere(body, "messages", {"input": "/v1/responses", "prompt": "/v1/completions"})
        try:
            _adapter().validate_python(body)
        except ValidationError as error:
            raise _explain(error) from None
        chat, needs = chat_fields({name: value for name, value in body.items() if value is not None})
        if needs:
            needs[0].chat = chat
            raise needs[0]
        return chat

    def native(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give what a vendor that speaks this dialect is sent."""
        return body

    def reply(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """Give the message a chat answer is: what a stream of one chunk adds up to."""
        telling = MessagesTelling(model=reply.model, expected=expected_tokens(asked))
        telling.feed(Chunk({**reply.body, "choices": [_as_delta(choice) for choice in reply.body["choices"]]}))
        telling.end(reply.usage)
        return telling.message

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


def _as_delta(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Give a choice as a piece of a stream; its calls are numbered, as those are."""
    message = choice["message"]
    calls = [{**call, "index": at} for at, call in enumerate(message.get("tool_calls") or ())]
    return {**choice, "delta": {**message, "tool_calls": calls}}


@cache
def _adapter() -> TypeAdapter[dict[str, Any]]:
    """Build the checker on first use: importing does nothing."""
    from pydantic import TypeAdapter

    from ._body import MessagesBody

    return TypeAdapter(MessagesBody)  # type: ignore[arg-type]  # a TypedDict is a dict at run time
