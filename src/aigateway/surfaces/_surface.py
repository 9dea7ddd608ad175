"""What a dialect besides chat has to say: how its requests become chat, and chat's answers its own.

Inside the gateway everything is chat, so routing, guards and estimates know one shape. A provider
that speaks the dialect itself is sent the caller's own body instead, and its answer (NativeReply,
NativeChunk) is passed on as it is: a surface translates only answers that came as chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..errors import GatewayError, RequestError
from ..types import ChatRequest, Chunk, NativeChunk, NativeReply, Reply, Said, Usage, read_json, written

__all__ = ["Named", "NativeOnly", "Surface", "Telling", "parse", "parse_json", "spoken"]

# Fields every dialect has from us: where a request may go. They are no part of the dialect.
OURS = ("routing", "extra", "models")


class Named(NamedTuple):
    """One event of a stream: its name, and its JSON."""

    name: str
    body: dict[str, Any]


class NativeOnly(RequestError):
    """Chat has no word for something asked; a provider that speaks the dialect itself may know it.

    `chat` is the request without it, for whoever looks at requests on their way.
    """

    code = "needs_native"
    chat: Mapping[str, Any]


class Telling(Protocol):
    """Tell one chat stream in another dialect, event by event; it knows what it has told."""

    def note(self, chunk: NativeChunk) -> None:
        """Take note of an event that is passed on as it came, so that `failed` can follow it."""

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
        """Give the chat body a request means. Raises RequestError naming the caller's own field, or NativeOnly."""

    def native(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give what a provider that speaks the dialect is sent: the request, without what only we understand."""

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
    chat, needs = _meant(surface, body)
    request = ChatRequest.translated(surface.operation, surface.native(body), {**chat, **own})
    request.needs = needs
    return request


def parse(surface: Surface, fields: Mapping[str, Any]) -> ChatRequest:
    """Read a mapping as `parse_json` reads a body; the caller's objects are left alone."""
    return parse_json(surface, written(fields))


def spoken(surface: Surface, request: ChatRequest, reply: Reply) -> NativeReply:
    """Give an answer in the dialect it was asked in, whichever it came in."""
    if isinstance(reply, NativeReply):
        return reply
    said = Said(reply.text, reply.reasoning, reply.finish_reason)
    body = surface.reply(request.native or {}, reply)
    found = NativeReply(surface.operation, body, reply.usage, said, provider=reply.provider)
    found.trace = reply.trace
    return found


def _meant(surface: Surface, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], NativeOnly | None]:
    """Give the chat a request means, and what in it chat cannot say."""
    try:
        return surface.chat(body), None
    except NativeOnly as error:
        return error.chat, error
