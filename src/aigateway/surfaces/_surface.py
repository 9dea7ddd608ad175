"""What a dialect besides chat has to say: how its requests become chat, and chat's answers its own.

Inside the gateway everything is chat, so routing, guards and estimates know one shape. A provider
that speaks the dialect itself is sent the caller's own body instead, and its answer (NativeReply,
NativeChunk) is passed on as it is: a surface sees only answers that came as chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..errors import GatewayError, RequestError
from ..types import ChatRequest, Chunk, Reply, Usage, read_json, written

__all__ = ["Named", "Surface", "Telling", "parse", "parse_json"]

# Fields every dialect has from us: where a request may go. They are no part of the dialect.
OURS = ("routing", "extra", "models")


class Named(NamedTuple):
    """One event of a stream: its name, and its JSON."""

    name: str
    body: dict[str, Any]


class Telling(Protocol):
    """Tell one chat stream in another dialect, event by event; it knows what it has told."""

    def feed(self, chunk: Chunk) -> list[Named]:
        """Say what a chunk says; the first one is preceded by whatever opens a stream."""

    def end(self, usage: Usage | None) -> list[Named]:
        """Close everything that is open, and say that the answer is complete."""

    def failed(self, error: GatewayError) -> list[Named]:
        """Say that the answer broke off."""


class Surface(Protocol):
    """Translate between one dialect and chat. Without state: one object serves all requests."""

    operation: str

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the chat body a request means. Raises RequestError naming the caller's own field."""

    def reply(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """Give the dialect's object for a chat answer; `asked` is the request's `native`."""

    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> Telling:
        """Begin to tell a stream; `model` is the one that answers."""


def parse_json(surface: Surface, data: bytes) -> ChatRequest:
    """Read a body in the surface's dialect. Raises RequestError naming the caller's own field."""
    body = read_json(data)
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    own = {name: body.pop(name) for name in OURS if name in body}
    return ChatRequest.translated(surface.operation, body, {**surface.chat(body), **own})


def parse(surface: Surface, fields: Mapping[str, Any]) -> ChatRequest:
    """Read a mapping as `parse_json` reads a body; the caller's objects are left alone."""
    return parse_json(surface, written(fields))
