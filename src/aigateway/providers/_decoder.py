"""Events to chunks, for OpenAI's chat streams and their dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ..operations import WITHHELD, nonsense, read_object, usage_of
from ..types import Chunk, Event, Usage, WireFailure
from ._dialect import Dialect
from ._shape import check_finish, check_index, check_message

__all__ = ["ChatDecoder"]

# What must have been said before a content filter's end is an end, not a refusal.
SAID = ("content", "reasoning_content", "tool_calls", "refusal")


class ChatDecoder:
    """Read one chat stream.

    Usage is taken wherever the vendor puts it and given once, in OpenAI's way: as an extra last
    chunk without choices. Chunks that need no change keep the vendor's bytes. A subclass says
    what else its vendor does in `fix_delta`. `crossed` counts events under another id than the
    first.
    """

    def __init__(self, dialect: Dialect, classify: Callable[[WireFailure], ProviderError]) -> None:
        self.dialect = dialect
        self.classify = classify
        self.headers: Mapping[str, str] = {}
        self.done = False
        self.crossed = 0
        self.usage: Usage | None = None
        self._usage_body: dict[str, Any] | None = None
        self._choices: dict[int, bool] = {}  # index -> has it a finish reason?
        self._calls: dict[int, tuple[int, str]] = {}  # index -> the last of its calls that came without a number
        self._over = self._said = False
        self._last: dict[str, Any] = {}
        self._id: Any = None

    @property
    def finished(self) -> bool:
        """Tell whether every choice that began has ended."""
        return bool(self._choices) and all(self._choices.values())

    def feed(self, event: Event) -> Iterable[Chunk]:
        """Read one event. Raises ProviderError: an error event, or one that makes no sense."""
        if self.done:
            return ()
        data = event.data
        if data == b"[DONE]":
            self.done = True
            return self._close()
        if not data.strip():
            return ()
        body = read_object(data, "an event of the stream")
        if event.name == "error" or body.get("error"):
            raise self.failure(body)
        return self.read(body, None if b"\n" in data else data)

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body: fine after a finish reason, an interruption before it."""
        return () if self.done else self._close()

    def read(self, body: dict[str, Any], raw: bytes | None) -> Iterable[Chunk]:
        """Turn one object into a chunk; `raw` is its JSON as it came."""
        counted = "usage" in body
        if body.get("usage") is not None:
            self._take_usage(body)
            raw = None
        choices = body.get("choices")
        if not choices:
            if choices is None and not counted:
                raise self.failure(body) if "message" in body else nonsense("an event of the stream has no choices")
            return ()
        if not isinstance(choices, list):
            raise nonsense("choices is not a list")
        if self._over:
            body["choices"] = [choice for choice in choices if not self._is_over(choice)]
            if len(body["choices"]) < len(choices):
                choices, raw = body["choices"], None
        for choice in choices:
            if self._read_choice(choice):
                raw = None
        self._note(body)
        return (Chunk(body, raw=raw),) if choices else ()

    def fix_delta(self, delta: dict[str, Any]) -> bool:
        """Bring a delta into OpenAI's shape; tell whether anything was changed."""
        name = self.dialect.reasoning
        if name == "reasoning_content" or name not in delta:
            return False
        delta["reasoning_content"] = delta.pop(name)
        return True

    def failure(self, body: dict[str, Any]) -> ProviderError:
        """Classify an error that came inside the stream."""
        return self.classify(WireFailure(200, self.headers, event=body))

    def _is_over(self, choice: object) -> bool:
        """Tell whether a choice has ended before: what is said after its end is not part of the answer."""
        return isinstance(choice, dict) and self._choices.get(check_index(choice), False)

    def _read_choice(self, choice: object) -> bool:
        """Check and fix one choice; tell whether it was changed."""
        if not isinstance(choice, dict):
            raise nonsense("a choice is not an object")
        changed = False
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            if delta is not None:
                raise nonsense("a delta is not an object")
            delta, changed = {}, True
            choice["delta"] = delta
        changed = self.fix_delta(delta) or changed
        check_message(delta)
        index, finish = check_index(choice), check_finish(choice, self.dialect)
        changed = self._number_calls(index, delta) or changed
        self._said = self._said or any(delta.get(name) for name in SAID)
        if finish == "content_filter" and not self._said:
            raise ProviderError(Kind.CONTENT_POLICY, WITHHELD)
        if finish or index not in self._choices:
            self._choices[index] = bool(finish)
            self._over = self._over or bool(finish)
        return changed

    def _number_calls(self, index: int, delta: Mapping[str, Any]) -> bool:
        """Give calls the number some vendors leave out: clients add pieces up by it. Another id begins another call."""
        bare = [call for call in delta.get("tool_calls") or () if call.get("index") is None]
        for call in bare:
            number, last = self._calls.get(index, (-1, ""))
            named = call.get("id") or last
            call["index"] = max(0, number + (named != last))
            self._calls[index] = call["index"], named
        return bool(bare)

    def _take_usage(self, body: dict[str, Any]) -> None:
        """Keep reported usage for the end; the last that makes sense counts."""
        usage = usage_of(body, self.dialect.charged)
        found = body.pop("usage")
        if usage is not None:
            self.usage, self._usage_body = usage, found

    def _note(self, body: dict[str, Any]) -> None:
        """Count an event that names another answer than the first: it may be somebody else's."""
        named = body.get("id")
        if named and named != self._id:
            self.crossed += bool(self._id)
            self._id = self._id or named
        self._last = body

    def _close(self) -> Iterable[Chunk]:
        if not self.finished:
            raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended without a finish reason")
        if self._usage_body is None:
            return ()
        head: dict[str, Any] = {name: self._last[name] for name in ("id", "created", "model") if name in self._last}
        body = {**head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage_body}
        self._usage_body = None
        return (Chunk(body, usage=self.usage),)
