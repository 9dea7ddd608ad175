"""MiniMax's streams: failures in `base_resp`, thoughts in three places, a last event that repeats all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aigateway.errors import ProviderError
from aigateway.providers import ChatDecoder, Dialect
from aigateway.types import Chunk, WireFailure

from ._answers import NOISE, details_text, drop_noise
from ._errors import base_code
from ._thinking import ThinkSplitter

__all__ = ["MiniMaxDecoder"]

OPENING = 512


class MiniMaxDecoder(ChatDecoder):
    """Read one chat stream of either endpoint; the vendor gives one answer, so there is one of each."""

    def __init__(self, dialect: Dialect, classify: Callable[[WireFailure], ProviderError]) -> None:
        super().__init__(dialect, classify)
        self._tags = ThinkSplitter()
        self._opening = ""  # how the thoughts began: enough to know them again
        self._thought = 0  # how many characters they have so far

    def read(self, body: dict[str, Any], raw: bytes | None) -> Iterable[Chunk]:
        """Turn one object into a chunk OpenAI's clients know. Raises ProviderError for a `base_resp`."""
        if base_code(body):
            raise self.failure(body)
        changed = drop_noise(body, NOISE)
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                changed = self._fix_choice(choice, body) or changed
        return super().read(body, None if changed else raw)

    def _fix_choice(self, choice: dict[str, Any], body: dict[str, Any]) -> bool:
        changed = False
        if isinstance(choice.get("message"), dict) and "delta" not in choice:
            self._unrepeat(choice, body)
            changed = True
        if choice.get("delta") is None:
            choice["delta"] = {}
            changed = True
        delta = choice["delta"]
        if not isinstance(delta, dict):
            return changed  # refused where every delta is checked
        changed = drop_noise(delta) or changed
        changed = self._take_details(delta) or changed
        return self._take_tags(delta, last=bool(choice.get("finish_reason"))) or changed

    def _unrepeat(self, choice: dict[str, Any], body: dict[str, Any]) -> None:
        """Make a delta of the whole message that ends a stream; empty, as all of it was streamed."""
        # platform.minimax.io, text-post: the last event is a whole chat.completion.
        message = choice.pop("message")
        choice["delta"] = {} if self._last else message
        body["object"] = "chat.completion.chunk"
        if self.finished:
            choice["finish_reason"] = None

    def _take_details(self, delta: dict[str, Any]) -> bool:
        """Make `reasoning_content` of details; the vendor's example says they repeat, its service does not."""
        if "reasoning_details" not in delta:
            return False
        text = details_text(delta.pop("reasoning_details"))
        if self._opening and len(text) > self._thought and text.startswith(self._opening):
            text = text[self._thought :]
        if text and not delta.get("reasoning_content"):
            delta["reasoning_content"] = text
            self._opening += text[: OPENING - len(self._opening)]
            self._thought += len(text)
        return True

    def _take_tags(self, delta: dict[str, Any], *, last: bool) -> bool:
        """Move what is between think tags from the content to the reasoning."""
        content = delta.get("content")
        thoughts, text = self._tags.feed(content) if isinstance(content, str) else ("", "")
        if last:
            late_thoughts, late_text = self._tags.end()
            thoughts, text = thoughts + late_thoughts, text + late_text
        if not thoughts and text == (content or ""):
            return False
        if isinstance(content, str) or text:
            delta["content"] = text
        if thoughts:
            before = delta.get("reasoning_content")
            delta["reasoning_content"] = (before if isinstance(before, str) else "") + thoughts
        return True
