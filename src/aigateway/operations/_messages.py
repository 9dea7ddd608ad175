"""Anthropic's messages dialect, spoken to vendors that have it (anthropic-sdk-python, types)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ..secrets import Secret
from ..types import NOTHING, ChatRequest, Chunk, NativeChunk, NativeReply, Said, Target, Usage
from ._codec import NativeDecoder, Peer, native_body
from ._reading import WITHHELD, nonsense
from ._usage import read_messages_usage

__all__ = ["MessagesCodec"]

VERSION = "2023-06-01"  # the only one there is (anthropic-sdk-python)
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# Blocks whose opening promises nothing: their words follow.
WORDS = frozenset({"text", "thinking", "redacted_thinking"})


class MessagesCodec:
    """Pass a caller's own messages request on, and the vendor's answer back."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Give the caller's own body, for this target."""
        return native_body(peer, request, target)

    def headers(self, plain: Mapping[str, str | Secret], key: Secret) -> dict[str, str | Secret]:
        """Name the key and the version as this dialect does."""
        kept = {name: value for name, value in plain.items() if not isinstance(value, Secret)}
        return {**kept, "x-api-key": key, "anthropic-version": VERSION}

    def decode(self, peer: Peer, request: ChatRequest, body: dict[str, Any], at: float) -> NativeReply:
        """Read a whole message. Raises ProviderError for what makes no sense."""
        content = body.get("content")
        if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
            raise nonsense("the message has no content")
        usage, finish = read_messages_usage(body.get("usage")), reason(body.get("stop_reason"))
        if finish == "content_filter" and not content:
            raise ProviderError(Kind.CONTENT_POLICY, WITHHELD)
        said = Said(texts(content, "text"), texts(content, "thinking"), finish)
        return NativeReply("messages", body, usage or Usage(), said, provider=peer.name)

    def decoder(self, peer: Peer, request: ChatRequest) -> MessagesDecoder:
        """Start reading a stream."""
        return MessagesDecoder(peer)


class MessagesDecoder(NativeDecoder):
    """Read one stream of a message: it opens, its blocks follow one another, its end is told in two events.

    A body that ends between those two is complete: the answer is, and the last event is added.
    """

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self._finish: str | None = None
        self._counts: dict[str, Any] = {}

    def read(self, name: str, body: dict[str, Any], raw: bytes | None) -> Iterable[NativeChunk]:
        """Pass an event on as it came; what only keeps the connection open is not passed on."""
        if name == "ping":
            return ()
        if name == "message_stop":
            return self._stop(body, raw)
        if name == "message_start":
            message = body.get("message")
            if not isinstance(message, dict):
                raise nonsense("the first event of the stream holds no message")
            self.note_id(message.get("id"))
            self._count(message.get("usage"))
            return (NativeChunk(name, body, raw=raw),)
        if name == "message_delta":
            return (NativeChunk(name, body, self._delta(body), raw=raw),)
        return (NativeChunk(name, body, piece(name, body), raw=raw),)

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body: fine after a stop reason, an interruption before it."""
        if not self.done and self._finish:
            return self._stop({"type": "message_stop"}, None)
        return super().end()

    def _stop(self, body: dict[str, Any], raw: bytes | None) -> Iterable[NativeChunk]:
        if not self._finish:
            raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended without a stop reason")
        self.done = True
        return (NativeChunk("message_stop", body, Said(finish_reason=self._finish), raw=raw, usage=self.usage),)

    def _delta(self, body: Mapping[str, Any]) -> Said:
        delta = body.get("delta")
        self._count(body.get("usage"))
        if not isinstance(delta, dict):
            raise nonsense("a delta is not an object")
        if delta.get("stop_reason") is None:
            return NOTHING
        self._finish = reason(delta["stop_reason"])
        return Said(finish_reason=self._finish)

    def _count(self, usage: object) -> None:
        """Take over what is counted so far; later figures replace earlier ones."""
        if isinstance(usage, dict):
            self._counts.update((name, value) for name, value in usage.items() if value is not None)
            self.usage = read_messages_usage(self._counts) or self.usage


def piece(name: str, body: Mapping[str, Any]) -> Said:
    """Read what the event of a block adds."""
    if name == "content_block_start":
        block = body.get("content_block")
        if not isinstance(block, dict):
            raise nonsense("a content block is not an object")
        return NOTHING if str(block.get("type")) in WORDS else Said()
    if name != "content_block_delta":
        return NOTHING
    delta = body.get("delta")
    if not isinstance(delta, dict):
        raise nonsense("a delta is not an object")
    text, thought = delta.get("text", ""), delta.get("thinking", "")
    if type(text) is not str or type(thought) is not str:
        raise nonsense("a delta is not a text")
    return Said(text, thought, content=bool(text or thought or delta.get("partial_json")))


def reason(value: object) -> str:
    """Give a stop reason in chat's words."""
    return REASONS.get(value, "stop") if isinstance(value, str) else "stop"


def texts(content: list[dict[str, Any]], name: str) -> str:
    """Join what the blocks of one type say; the field is named as the type is."""
    parts = (block.get(name) for block in content if block.get("type") == name)
    return "".join(part for part in parts if isinstance(part, str))
