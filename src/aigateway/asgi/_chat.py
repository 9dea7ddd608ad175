"""Chat completions: JSON, or server-sent events."""

from __future__ import annotations

from pydantic_core import to_json

from ..errors import GatewayError
from ..exchange import Exchange
from ..types import ChatRequest, Chunk
from ._answers import Answers
from ._incoming import Incoming, error_body

__all__ = ["Chat"]

DONE = b"data: [DONE]\n\n"


class Chat(Answers):
    """Answer POST /v1/chat/completions."""

    def read(self, data: bytes) -> ChatRequest:
        """Read a chat request. Raises RequestError."""
        return ChatRequest.parse_json(data)

    def whole(self, exchange: Exchange) -> bytes:
        """Write a chat completion."""
        return exchange.whole().model_dump_json()

    def tells(self, request: Incoming, exchange: Exchange) -> ChatStream:
        """Begin to write chunks."""
        return ChatStream(request.id, exchange.call.request.wants_usage)


class ChatStream:
    """Write chunks as they came, usage only for who asked for it."""

    def __init__(self, request_id: str, wants_usage: bool) -> None:
        self._request_id = request_id
        self._wants_usage = wants_usage

    def say(self, batch: list[Chunk]) -> bytes:
        """Write chunks."""
        wanted = self._wants_usage
        return b"".join(b"data: " + chunk.to_json() + b"\n\n" for chunk in batch if wanted or not chunk.is_usage)

    def end(self) -> bytes:
        """Say that it is complete."""
        return DONE

    def failed(self, error: GatewayError) -> bytes:
        """Say that it broke off: an error, and nothing after it."""
        return b"data: " + to_json(error_body(error, self._request_id)) + b"\n\n"
