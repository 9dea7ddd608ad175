"""OpenAI's Responses API without state: whatever asks it is answered, and nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ...types import Chunk, Reply
from ...types.request._request import _explain
from .._fields import elsewhere
from ._request import chat_fields, native_fields
from ._stream import ResponsesTelling

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Responses"]


class Responses:
    """Translate between the Responses API and chat."""

    operation = "responses"

    @staticmethod
    def schema(references: str) -> dict[str, Any]:
        """Describe the body in JSON Schema; `references` names where its parts will be, with `{model}` for the name."""
        return _adapter().json_schema(ref_template=references)

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the chat body a request means. Raises RequestError naming the caller's own field, or NativeOnly."""
        from pydantic import ValidationError

        if body.get("input") is None:
            elsewhere(body, "input", {"messages": "/v1/chat/completions"})
        try:
            _adapter().validate_python(body)
        except ValidationError as error:
            raise _explain(error) from None
        chat, needs = chat_fields({name: value for name, value in body.items() if value is not None})
        if needs:
            needs[0].chat = chat
            raise needs[0]
        return chat

    def native(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give what a vendor that speaks the Responses API is sent."""
        return native_fields(body)

    def reply(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """Give the response a chat answer is: what a stream of one chunk adds up to."""
        telling = ResponsesTelling(asked, request_id="", model=reply.model)
        choices = [{**choice, "delta": _numbered(choice["message"])} for choice in reply.body["choices"]]
        telling.feed(Chunk({**reply.body, "choices": choices}))
        telling.end(reply.usage)
        return telling.response

    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> ResponsesTelling:
        """Begin to tell a stream."""
        return ResponsesTelling(asked, request_id=request_id, model=model)


def _numbered(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message whose calls are numbered, as those of a stream are."""
    calls = message.get("tool_calls") or ()
    return {**message, "tool_calls": [{**call, "index": at} for at, call in enumerate(calls)]}


@cache
def _adapter() -> TypeAdapter[dict[str, Any]]:
    """Build the checker on first use: importing does nothing."""
    from pydantic import TypeAdapter

    from ._body import ResponsesBody

    return TypeAdapter(ResponsesBody)  # type: ignore[arg-type]  # a TypedDict is a dict at run time
