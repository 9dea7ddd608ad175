"""Chat completions: JSON, or server-sent events."""

from __future__ import annotations

from pydantic_core import to_json

from ..errors import GatewayError, RequestError
from ..exchange import Exchange
from ..surfaces import NativeOnly, Responses
from ..types import ChatRequest, Chunk, read_json
from ._answers import Answers
from ._incoming import Incoming, error_body

__all__ = ["Chat"]

# What a Responses request may hold here besides, in chat's words and in ours.
CHATS_OWN = (
    "extra", "logprobs", "max_completion_tokens", "max_tokens", "messages", "models", "n", "reasoning_effort",
    "response_format", "routing", "stream_options", "verbosity",
)  # fmt: skip  # a list of names
DONE = b"data: [DONE]\n\n"


class Chat(Answers):
    """Answer POST /v1/chat/completions."""

    def read(self, data: bytes) -> ChatRequest:
        """Read a chat request, or one of the Responses API that was sent here. Raises RequestError."""
        try:
            return ChatRequest.parse_json(data)
        except RequestError as error:
            if (error.param, error.code) != ("input", "missing_required_parameter"):
                raise
        return from_responses(data)

    def whole(self, exchange: Exchange) -> bytes:
        """Write a chat completion."""
        return exchange.whole().model_dump_json()

    def tells(self, request: Incoming, exchange: Exchange) -> ChatStream:
        """Begin to write chunks."""
        return ChatStream(request.id, exchange.call.request.wants_usage)


def from_responses(data: bytes) -> ChatRequest:
    """Read a Responses request as the chat it means, which it is answered in. Raises RequestError.

    Some editors (Cursor) send such bodies to chat's address, with a few fields of chat's among them.
    """
    body = read_json(data)
    own = {name: body.pop(name) for name in CHATS_OWN if name in body}
    own.pop("messages", None)  # an empty list, else it were a chat request
    try:
        chat = Responses().chat(body)
    except NativeOnly as error:
        message = f"{error.message} Send it to /v1/responses."
        raise RequestError(message, param=error.param, code=error.code) from None
    return ChatRequest.parse({**chat, **own})


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
