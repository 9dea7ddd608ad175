"""How much an answer said, for whoever has to estimate what it used."""

from __future__ import annotations

from typing import Any

from ..types import Chunk, NativeChunk, NativeReply, Reply

__all__ = ["said_in", "said_in_reply"]

SPOKEN = ("content", "reasoning_content", "refusal")


def said_in(chunk: Chunk) -> int:
    """Count the bytes of text, reasoning and calls a chunk brings."""
    if isinstance(chunk, NativeChunk):
        return _bytes(chunk.text) + _bytes(chunk.reasoning)
    count = 0
    for choice in chunk.body["choices"]:  # no generators here: this is done for every chunk
        count += _said(choice.get("delta"))
    return count


def said_in_reply(reply: Reply) -> int:
    """Count the same of a whole answer."""
    if isinstance(reply, NativeReply):
        return _bytes(reply.text) + _bytes(reply.reasoning)
    return sum(_said(choice.get("message")) for choice in reply.body.get("choices") or ())


def _said(part: Any) -> int:
    if not isinstance(part, dict):
        return 0
    count = 0
    for name in SPOKEN:
        if text := part.get(name):
            count += _bytes(text)
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            count += _bytes(function.get("name")) + _bytes(function.get("arguments"))
    return count


def _bytes(text: object) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
