"""OpenAI's responses dialect, spoken to vendors that have it (openai-python 3.3.1, types/responses)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ..secrets import Secret
from ..types import NOTHING, ChatRequest, NativeChunk, NativeReply, Said, Target, Usage, WireFailure
from ._codec import NativeDecoder, Peer, native_body
from ._reading import WITHHELD, nonsense
from ._usage import read_responses_usage

__all__ = ["ResponsesCodec"]

ENDS = frozenset({"response.completed", "response.incomplete"})
TEXTS = frozenset({"response.output_text.delta", "response.refusal.delta"})
THOUGHTS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
# What only opens, or says that the vendor is at work: it promises nothing yet.
OPENING = frozenset({"response.created", "response.queued", "response.in_progress", "response.content_part.added"})
# Items that hold back nothing by being opened: their words follow.
WORDS = frozenset({"message", "reasoning"})
REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesCodec:
    """Pass a caller's own responses request on, and the vendor's answer back."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Give the caller's own body, for this target."""
        return native_body(peer, request, target)

    def headers(self, plain: Mapping[str, str | Secret], key: Secret) -> dict[str, str | Secret]:
        """Send what chat sends."""
        return dict(plain)

    def decode(self, peer: Peer, request: ChatRequest, body: dict[str, Any], at: float) -> NativeReply:
        """Read a whole response. Raises ProviderError, also for one that says it failed."""
        check(peer, body)
        usage = read_responses_usage(body.get("usage"))
        if usage is None:
            body["usage"] = None  # nobody is shown figures we do not believe
        return NativeReply("responses", body, usage or Usage(), said(body), provider=peer.name)

    def decoder(self, peer: Peer, request: ChatRequest) -> ResponsesDecoder:
        """Start reading a stream."""
        return ResponsesDecoder(peer)


class ResponsesDecoder(NativeDecoder):
    """Read one stream of events named `response.*`; it ends with one that holds the whole response."""

    def read(self, name: str, body: dict[str, Any], raw: bytes | None) -> Iterable[NativeChunk]:
        """Pass an event on as it came; what only keeps the connection open is not passed on.

        It would take the room of what opens the answer, which is held back until the first content.
        """
        if name == "keepalive":
            return ()
        response = body.get("response")
        if isinstance(response, dict):
            self.note_id(response.get("id"))
        if name == "response.failed":
            raise self._failed(response)
        if name not in ENDS:
            return (NativeChunk(name, body, piece(name, body), raw=raw),)
        if not isinstance(response, dict):
            raise nonsense("the last event of the stream holds no response")
        check(self.peer, response)
        self.usage = read_responses_usage(response.get("usage"))
        if self.usage is None and response.get("usage") is not None:
            response["usage"], raw = None, None  # nobody is shown figures we do not believe
        self.done = True
        return (NativeChunk(name, body, Said(finish_reason=said(response).finish_reason), raw=raw, usage=self.usage),)

    def _failed(self, response: object) -> ProviderError:
        return self.failure(failed(response if isinstance(response, dict) else {}))


def check(peer: Peer, body: Mapping[str, Any]) -> None:
    """Refuse a response that failed, or has no output. Raises ProviderError."""
    output = body.get("output")
    if body.get("status") in ("failed", "cancelled"):
        raise peer.classify(WireFailure(200, event=failed(body)))
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise nonsense("the response has no output")
    if not output and said(body).finish_reason == "content_filter":
        raise ProviderError(Kind.CONTENT_POLICY, WITHHELD)


def failed(response: Mapping[str, Any]) -> dict[str, Any]:
    """Give the error of a response that says it failed."""
    return {"error": response.get("error") or {"message": "the response failed"}}


def said(body: Mapping[str, Any]) -> Said:
    """Read what a whole response says; nothing in it is trusted to have a shape."""
    output = [item for item in body.get("output") or () if isinstance(item, dict)]
    text = "".join(words(item, "content") for item in output if item.get("type") == "message")
    thoughts = "".join(
        words(item, "content") or words(item, "summary") for item in output if item.get("type") == "reasoning"
    )
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    called = any(item.get("type") == "function_call" for item in output)
    finish = "tool_calls" if called else "stop"
    if body.get("status") == "incomplete":
        finish = REASONS.get(reason, "length") if isinstance(reason, str) else "length"
    return Said(text, thoughts, finish)


def piece(name: str, body: Mapping[str, Any]) -> Said:
    """Read what one event before the last adds."""
    if name in OPENING:
        return NOTHING
    delta = body.get("delta")
    if name in TEXTS or name in THOUGHTS:
        if not isinstance(delta, str):
            raise nonsense("a delta is not a text")
        return Said(delta, content=bool(delta)) if name in TEXTS else Said("", delta, content=bool(delta))
    item = body.get("item")
    if name.startswith("response.output_item.") and isinstance(item, dict) and str(item.get("type")) in WORDS:
        return NOTHING
    return Said() if name.startswith("response.") else NOTHING


def words(item: Mapping[str, Any], name: str) -> str:
    """Join the texts of an item's parts."""
    parts = item.get(name)
    return "".join(_texts(parts)) if isinstance(parts, list) else ""


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text
