"""Put the chunks of a stream together to the whole answer they are, to keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import RequestError
from ...types import Chunk, NativeChunk, NativeReply, Reply, Said, Usage
from ._message import GatheredMessage

__all__ = ["Gathered"]

# Parts of a delta that are pieces of a text; of others nothing is known, so an answer with them is not kept.
TEXTS = frozenset({"content", "reasoning_content", "refusal"})
RESPONSES, LAST = "response.", "response.completed"


class Gathered:
    """Listen to a stream; `reply` is the whole of it, or None where it cannot be told whole again.

    At most `most` characters are held. The last event of Responses holds the whole answer; a message in
    Anthropic's dialect is put together.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._fit = True
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._whole: NativeReply | None = None
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._message = GatheredMessage()

    def __call__(self, batch: Sequence[Chunk]) -> None:
        """Take in what reached the caller."""
        for chunk in batch:
            if not self._fit:
                self._choices, self._text, self._thoughts, self._message = {}, [], [], GatheredMessage()
                return
            if isinstance(chunk, NativeChunk):
                self._native(chunk)
            else:
                self._chat(chunk)

    def reply(self, usage: Usage | None, provider: str) -> Reply | None:
        """Give the whole answer."""
        if not self._fit or (self._whole is None and not self._choices):
            return None
        if self._whole is not None:
            self._whole.usage, self._whole.provider = usage or Usage(), provider
            return self._whole
        body: dict[str, Any] = {**self._head, "object": "chat.completion"}
        body["choices"] = [self._choices[index] for index in sorted(self._choices)]
        if usage is not None and usage.source != "unknown":
            body["usage"] = usage.openai()
        return Reply(body, usage or Usage(), provider=provider)

    def _native(self, chunk: NativeChunk) -> None:
        self._text.append(chunk.text)
        self._thoughts.append(chunk.reasoning)
        body = chunk.body.get("response")
        if chunk.name.startswith(RESPONSES):
            self._spend(len(chunk.text))
            if chunk.name == LAST and isinstance(body, dict):
                self._keep("responses", body, chunk)
            return
        self._spend(len(str(chunk.body)))  # all of it is held, arguments of calls and signatures too
        try:
            self._message.take(chunk.name, chunk.body)
        except (LookupError, TypeError, ValueError, AttributeError, RequestError):
            self._fit = False
        if self._message.body is not None:
            self._keep("messages", self._message.body, chunk)

    def _keep(self, operation: str, body: dict[str, Any], last: NativeChunk) -> None:
        said = Said("".join(self._text), "".join(self._thoughts), last.finish_reason)
        self._whole = NativeReply(operation, body, Usage(), said)

    def _chat(self, chunk: Chunk) -> None:
        body = chunk.body
        self._head.update((name, body[name]) for name in ("id", "created", "model") if name in body)
        for choice in body["choices"]:
            index = choice.get("index", 0)
            kept = self._choices.setdefault(
                index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
            )
            kept["finish_reason"] = choice.get("finish_reason") or kept["finish_reason"]
            self._fit = self._fit and not choice.get("logprobs")
            for name, value in (choice.get("delta") or {}).items():
                if value is not None and name != "role":
                    self._add(kept["message"], name, value)

    def _add(self, message: dict[str, Any], name: str, value: Any) -> None:
        if name == "tool_calls":
            self._calls(message.setdefault("tool_calls", []), value)
        elif name in TEXTS and isinstance(value, str):
            message[name] = (message.get(name) or "") + value
            self._spend(len(value))
        elif value:
            self._fit = False

    def _calls(self, calls: list[dict[str, Any]], pieces: Sequence[Mapping[str, Any]]) -> None:
        for piece in pieces:
            at, function = piece.get("index"), piece.get("function") or {}
            if type(at) is not int or not 0 <= at <= len(calls):
                self._fit = False
                return
            if at == len(calls):
                calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
            call = calls[at]
            call["id"] = call["id"] or piece.get("id") or ""
            call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
            call["function"]["arguments"] += function.get("arguments") or ""
            self._spend(len(function.get("arguments") or ""))

    def _spend(self, size: int) -> None:
        self._left -= size
        self._fit = self._fit and self._left >= 0
