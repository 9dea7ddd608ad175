"""Events to chunks, for OpenAI's chat streams and their dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import from_json

from ..errors import Kind, ProviderError
from ..types import Chunk, Event, Usage, WireFailure
from ._dialect import Dialect
from ._shape import check_finish, check_message
from ._usage import read_usage

__all__ = ["ChatDecoder"]


class ChatDecoder:
    """Read one chat stream.

    Usage is taken wherever the vendor puts it and given once, in OpenAI's way: as an extra last
    chunk without choices. Chunks that need no change keep the vendor's bytes. A subclass says
    what else its vendor does in `fix_delta`.
    """

    def __init__(self, dialect: Dialect, classify: Callable[[WireFailure], ProviderError]) -> None:
        self.dialect = dialect
        self.classify = classify
        self.done = False
        self._choices: dict[int, bool] = {}  # index -> has it a finish reason?
        self.usage: Usage | None = None
        self._usage_body: dict[str, Any] | None = None
        self._last: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        """Tell whether every choice that began has ended."""
        return bool(self._choices) and all(self._choices.values())

    def feed(self, event: Event) -> Iterable[Chunk]:
        """Read one event. Raises ProviderError: an error event, or one that makes no sense."""
        data = event.data
        if data == b"[DONE]":
            self.done = True
            return self._close()
        if not data.strip():
            return ()
        try:
            body = from_json(data, allow_inf_nan=False)
        except ValueError:
            raise ProviderError(Kind.PROTOCOL_ERROR, "an event of the stream is not JSON") from None
        if not isinstance(body, dict):
            raise ProviderError(Kind.PROTOCOL_ERROR, "an event of the stream is not a JSON object")
        if event.name == "error" or body.get("error"):
            raise self.failure(body)
        return self.read(body, None if b"\n" in data else data)

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body: fine after a finish reason, an interruption before it."""
        return () if self.done else self._close()

    def read(self, body: dict[str, Any], raw: bytes | None) -> Iterable[Chunk]:
        """Turn one object into a chunk; `raw` is its JSON as it came."""
        counted = "usage" in body
        if body.get("usage") is not None and self._take_usage(body):
            raw = None
        choices = body.get("choices")
        if not choices:
            if choices is None and not counted:
                raise ProviderError(Kind.PROTOCOL_ERROR, "an event of the stream has no choices")
            return ()
        if not isinstance(choices, list):
            raise ProviderError(Kind.PROTOCOL_ERROR, "choices is not a list")
        for choice in choices:
            if self._read_choice(choice):
                raw = None
        self._last = body
        return (Chunk(body, raw=raw),)

    def fix_delta(self, delta: dict[str, Any]) -> bool:
        """Bring a delta into OpenAI's shape; tell whether anything was changed."""
        name = self.dialect.reasoning
        if name == "reasoning_content" or name not in delta:
            return False
        delta["reasoning_content"] = delta.pop(name)
        return True

    def failure(self, body: dict[str, Any]) -> ProviderError:
        """Classify an error that came inside the stream."""
        inner = body.get("error")
        status = inner.get("status_code", inner.get("http_code")) if isinstance(inner, dict) else None
        text = str(status) if isinstance(status, int | str) else ""
        known = len(text) == 3 and text.isascii() and text.isdigit()
        return self.classify(WireFailure(int(text) if known else 500, event=body))

    def _read_choice(self, choice: object) -> bool:
        """Check and fix one choice; tell whether it was changed."""
        if not isinstance(choice, dict):
            raise ProviderError(Kind.PROTOCOL_ERROR, "a choice is not an object")
        changed = False
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            if delta is not None:
                raise ProviderError(Kind.PROTOCOL_ERROR, "a delta is not an object")
            delta, changed = {}, True
            choice["delta"] = delta
        changed = self.fix_delta(delta) or changed
        check_message(delta)
        index = choice.get("index", 0)
        if type(index) is not int:
            raise ProviderError(Kind.PROTOCOL_ERROR, "the index of a choice is not a number")
        self._choices[index] = bool(check_finish(choice, self.dialect)) or self._choices.get(index, False)
        return changed

    def _take_usage(self, body: dict[str, Any]) -> bool:
        """Keep reported usage for the end; tell whether the chunk had any."""
        found = body.pop("usage")
        usage = read_usage(found)
        if usage is not None:
            self.usage, self._usage_body = usage, found
        return True

    def _close(self) -> Iterable[Chunk]:
        if not self.finished:
            raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended without a finish reason")
        if self._usage_body is None:
            return ()
        head: dict[str, Any] = {name: self._last[name] for name in ("id", "created", "model") if name in self._last}
        body = {**head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage_body}
        self._usage_body = None
        return (Chunk(body, usage=self.usage),)
