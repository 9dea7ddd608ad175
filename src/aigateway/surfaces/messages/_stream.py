"""A chat stream as the events of Anthropic's messages (anthropic-sdk-python 2.11, raw_message_stream_event)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from secrets import token_hex
from typing import Any

from ...errors import GatewayError, RequestError
from ...types import Chunk, NativeChunk, Usage, read_json
from .._surface import Named

__all__ = ["PER_TOKEN", "MessagesTelling", "error_body"]

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use"}
# Anthropic's types of errors by status (its documentation, "Errors"); 529 is its own for an overloaded service.
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Characters a token has on average, where nobody counts.
PER_TOKEN = 4
# What a delta may bring, in the order in which a model says it: field, kind of block, kind of delta, its field.
SAID = (
    ("reasoning_content", "thinking", "thinking_delta", "thinking"),
    ("content", "text", "text_delta", "text"),
    ("refusal", "text", "text_delta", "text"),
)


class Calling:
    """One call to a tool: what is known of it, and what was said of its arguments before it is told."""

    def __init__(self, call_id: str) -> None:
        self.block: dict[str, Any] = {"type": "tool_use", "id": call_id, "name": "", "input": {}}
        self.pieces: list[str] = []
        self.told = False


class MessagesTelling:
    """Tell one answer as events. What is told adds up to `whole`, the whole answer.

    One block is open at a time, as clients expect. The first call is told as it comes; pieces of others
    may come in turns with it, so they are told at the end, as is what is said in the midst of a call.
    """

    def __init__(self, *, model: str, expected: int, request_id: str = "") -> None:
        self._model = model
        self._expected = expected
        self._request_id = request_id
        self._events: list[Named] = []
        self._open: dict[str, Any] | None = None
        self._said: list[str] = []
        self._size = 0
        self._calls: dict[object, Calling] = {}
        self._call: Calling | None = None  # the one whose block is open
        self._last: object = None
        self._later: list[tuple[str, str, str, str]] = []  # was said while a call was open
        self._finish: str | None = None
        self.whole: dict[str, Any] = {}

    def note(self, chunk: NativeChunk) -> None:
        """Note nothing: an error may follow any event."""

    def feed(self, chunk: Chunk) -> list[Named]:
        """Say what a chunk says."""
        if not self.whole:
            self._begin(chunk.body)
        for choice in chunk.body["choices"]:
            if choice.get("index", 0) == 0:
                self._read(choice.get("delta") or {})
                self._finish = choice.get("finish_reason") or self._finish
        return self._taken()

    def end(self, usage: Usage | None) -> list[Named]:
        """Close what is open, say why it ended and what it used."""
        if not self.whole:
            self._begin({})
        self._close()
        for said in self._later:
            self._speak(*said)
        self._close()
        for call in self._calls.values():
            if not call.told:
                self._tell(call)
                self._close()
        self.whole["stop_reason"] = self._reason()
        self.whole["usage"] = usage_object(usage, self._expected, self._size // PER_TOKEN)
        delta = {"stop_reason": self.whole["stop_reason"], "stop_sequence": None}
        self._say("message_delta", delta=delta, usage=self.whole["usage"])
        self._say("message_stop")
        return self._taken()

    def failed(self, error: GatewayError) -> list[Named]:
        """Say that the answer broke off."""
        return [Named("error", error_body(error, self._request_id))]

    def _reason(self) -> str:
        """Say why it ended; a call that was asked for by name ends with `stop` in chat, and is a tool's turn here."""
        if self._finish == "content_filter":
            return "refusal"
        finish = self._finish or "stop"
        return "tool_use" if finish == "stop" and self._calls else REASONS.get(finish, "end_turn")

    # -- what is said -----------------------------------------------------------------------

    def _begin(self, head: Mapping[str, Any]) -> None:
        self.whole = {
            "id": f"msg_{_stem(head.get('id'))}",
            "type": "message",
            "role": "assistant",
            "model": str(head.get("model") or self._model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._expected, "output_tokens": 0},
        }
        self._say("message_start", message={**self.whole, "content": []})

    def _read(self, delta: Mapping[str, Any]) -> None:
        for field, kind, way, name in SAID:
            if delta.get(field):
                said = kind, way, name, delta[field]
                if self._later or (self._call is not None and _read("".join(self._said)) is None):
                    self._later.append(said)
                else:
                    self._speak(*said)
        for piece in delta.get("tool_calls") or ():
            self._piece(piece)

    def _speak(self, kind: str, way: str, name: str, text: str) -> None:
        if self._open is None or self._open["type"] != kind:
            self._close()
            empty = {"signature": ""} if kind == "thinking" else {}
            self._begin_block({"type": kind, name: "", **empty})
        self._add(way, name, text)

    def _piece(self, piece: Mapping[str, Any]) -> None:
        function, call = piece.get("function") or {}, self._calling(piece)
        given = function.get("arguments") or ""
        call.block["name"] = call.block["name"] or function.get("name") or ""
        if call is self._call:
            self._add("input_json_delta", "partial_json", given)
        elif not call.told:
            call.pieces.append(given)
            if call.block["name"] and len(self._calls) == 1:
                self._tell(call)

    def _calling(self, piece: Mapping[str, Any]) -> Calling:
        """Find the call a piece belongs to: by its index; where there is none, a new id is a new call."""
        index, named = piece.get("index"), piece.get("id")
        key = self._last = index if index is not None else named or self._last
        if key not in self._calls:
            stem = self.whole["id"].removeprefix("msg_")
            self._calls[key] = Calling(named or f"toolu_{stem}_{len(self._calls)}")
        return self._calls[key]

    def _tell(self, call: Calling) -> None:
        self._close()
        self._begin_block(call.block)
        self._call, call.told = call, True
        self._add("input_json_delta", "partial_json", "".join(call.pieces))

    def _begin_block(self, block: dict[str, Any]) -> None:
        self._open, self._said = block, []
        self.whole["content"].append(block)
        self._say("content_block_start", index=len(self.whole["content"]) - 1, content_block=dict(block))

    def _add(self, way: str, name: str, text: str) -> None:
        if text:
            self._said.append(text)
            self._size += len(text)
            self._say("content_block_delta", index=len(self.whole["content"]) - 1, delta={"type": way, name: text})

    def _close(self) -> None:
        block, self._open, self._call = self._open, None, None
        if block is None:
            return
        said = "".join(self._said)
        if block["type"] == "tool_use":
            block["input"] = _arguments(said)
        else:
            block[block["type"]] = said
        self._say("content_block_stop", index=len(self.whole["content"]) - 1)

    def _say(self, name: str, **fields: Any) -> None:
        self._events.append(Named(name, {"type": name, **fields}))

    def _taken(self) -> list[Named]:
        events, self._events = self._events, []
        return events


def usage_object(usage: Usage | None, expected: int, said: int) -> dict[str, Any]:
    """Give usage in this dialect, which has no word for unknown: then both figures are our estimates."""
    if usage is None or usage.source == "unknown":
        return {"input_tokens": expected, "output_tokens": said}
    return {
        "input_tokens": usage.uncached,
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
    }


def error_body(error: GatewayError, request_id: str) -> dict[str, Any]:
    """Give this dialect's envelope of errors."""
    kind = TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id}


def _arguments(said: str) -> dict[str, Any]:
    """Read the arguments of a call; what is no JSON object is kept as it was said, for the tool to complain about."""
    found = _read(said) if said else {}
    return {"arguments": said} if found is None else found


def _read(said: str) -> dict[str, Any] | None:
    """Read an object; None for what is none, or none yet."""
    try:
        found = read_json(said.encode())
    except (RequestError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _stem(named: object) -> str:
    if not isinstance(named, str) or not named:
        return token_hex(16)
    return blake2b(named.encode("utf-8", "replace"), digest_size=12).hexdigest()
