"""Put the events of Anthropic's dialect together to the message they are (anthropic-sdk-python, lib/streaming)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import read_json

__all__ = ["GatheredMessage"]

# What a delta brings, and the field of its block that grows by it.
GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
QUIET = frozenset({"ping", "content_block_stop"})


class GatheredMessage:
    """Hold a message while it is told; `body` is the whole of it, None before its end."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self._message: dict[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._given: dict[int, str] = {}

    def take(self, name: str, event: Mapping[str, Any]) -> None:
        """Take in an event. Raises LookupError, TypeError, ValueError for one that cannot be told again."""
        if name == "message_start":
            self._message = dict(event["message"])
        elif name == "content_block_start":
            self._begin(event["index"], event["content_block"])
        elif name == "content_block_delta":
            self._grow(event["index"], event["delta"])
        elif name == "message_delta":
            counted = {key: count for key, count in event.get("usage", {}).items() if count is not None}
            self._message |= {**event["delta"], "usage": {**(self._message.get("usage") or {}), **counted}}
        elif name == "message_stop":
            for at, given in self._given.items():
                self._blocks[at]["input"] = read_json(given.encode())
            self.body = {**self._message, "content": self._blocks}
        elif name not in QUIET:
            raise ValueError(name)

    def _begin(self, at: int, block: Mapping[str, Any]) -> None:
        if at != len(self._blocks):
            raise IndexError(at)
        self._blocks.append(dict(block))

    def _grow(self, at: int, delta: Mapping[str, Any]) -> None:
        kind, block = delta["type"], self._blocks[at]
        if kind == "input_json_delta":
            if delta["partial_json"]:
                self._given[at] = self._given.get(at, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        else:
            field = GROWS[kind]
            block[field] = (block.get(field) or "") + delta[field]
