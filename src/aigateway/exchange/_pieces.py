"""What a chunk of a stream holds, for whoever counts, joins or goes on with them."""

from __future__ import annotations

from typing import Any

from ..types import Chunk, NativeChunk, NativeReply, Reply

__all__ = ["is_text", "said_in", "said_in_reply", "without_role"]

NOT_TEXT = ("tool_calls", "refusal", "audio", "function_call")
SPOKEN = ("content", "reasoning_content", "refusal")


def said_in(chunk: Chunk) -> int:
    """Count the bytes of text, reasoning and calls a chunk brings."""
    if isinstance(chunk, NativeChunk):
        return _bytes(chunk.text) + _bytes(chunk.reasoning)
    return sum(_said(choice.get("delta")) for choice in chunk.body["choices"])


def said_in_reply(reply: Reply) -> int:
    """Count the same of a whole answer."""
    if isinstance(reply, NativeReply):
        return _bytes(reply.text) + _bytes(reply.reasoning)
    return sum(_said(choice.get("message")) for choice in reply.body.get("choices") or ())


def _said(part: Any) -> int:
    if not isinstance(part, dict):
        return 0
    count = sum(_bytes(part[name]) for name in SPOKEN if part.get(name))
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            count += _bytes(function.get("name")) + _bytes(function.get("arguments"))
    return count


def _bytes(text: object) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def without_role(chunk: Chunk) -> Chunk | None:
    """Take the role out of an answer that goes on: clients add the pieces up. None when nothing else was in it."""
    choices = chunk.body["choices"]
    if not any("role" in (choice.get("delta") or ()) for choice in choices):
        return chunk
    kept = [
        {**choice, "delta": {name: value for name, value in choice["delta"].items() if name != "role"}}
        for choice in choices
        if choice.get("delta")
    ]
    without = Chunk({**chunk.body, "choices": kept}, usage=chunk.usage)
    return without if without.has_content or without.usage is not None else None


def is_text(chunk: Chunk) -> bool:
    """Tell whether a chunk holds nothing that could not be gone on from; other dialects always hold more."""
    return not isinstance(chunk, NativeChunk) and all(
        choice.get("index", 0) == 0
        and not choice.get("finish_reason")  # what has ended is not gone on with
        and not any((choice.get("delta") or {}).get(name) for name in NOT_TEXT)
        for choice in chunk.body["choices"]
    )
