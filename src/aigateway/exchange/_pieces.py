"""What of an answer can be gone on from, and what is taken out where it goes on."""

from __future__ import annotations

from ..types import Chunk, NativeChunk

__all__ = ["is_text", "without_role"]

NOT_TEXT = ("tool_calls", "refusal", "audio", "function_call")


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
