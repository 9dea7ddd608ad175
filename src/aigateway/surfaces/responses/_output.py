"""The items an answer of the Responses API is made of, while they are being made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["PARTS", "PREFIXES", "Calling", "Spoken", "made", "place", "within"]


class Part(NamedTuple):
    """What a kind of part keeps its text in, and which item holds it."""

    field: str
    holder: str


PARTS: Mapping[str, Part] = {
    "reasoning_text": Part("text", "reasoning"),
    "output_text": Part("text", "message"),
    "refusal": Part("refusal", "message"),
}
HEADS: Mapping[str, dict[str, Any]] = {
    "reasoning": {"type": "reasoning", "summary": []},
    "message": {"type": "message", "role": "assistant"},
}
PREFIXES = {"reasoning": "rs", "message": "msg"}


class Spoken:
    """Thoughts, or a message: an item made of parts of text. `body` is what it is so far."""

    def __init__(self, kind: str, item_id: str, at: int) -> None:
        self.body: dict[str, Any] = {"id": item_id, **HEADS[kind], "status": "in_progress", "content": []}
        self.at = at
        self.open = True
        self.part = ""  # which kind of part is open
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []

    def add(self, text: str, logprobs: list[Any]) -> None:
        """Add to the open part."""
        self._pieces.append(text)
        self._logprobs += logprobs

    def close_part(self) -> dict[str, Any]:
        """Keep the open part, and give it."""
        part = made(self.part, "".join(self._pieces), self._logprobs)
        self.body["content"].append(part)
        self.part, self._pieces, self._logprobs = "", [], []
        return part

    def close(self, status: str) -> None:
        """Keep what there is, as whole as it will be."""
        if self.part:
            self.close_part()
        self.body["status"], self.open = status, False


class Calling:
    """A function call: an item from its name on, whatever of it came before."""

    def __init__(self, item_id: str, call_id: str) -> None:
        self.body: dict[str, Any] = {"id": item_id, "type": "function_call", "status": "in_progress"}
        self.body |= {"call_id": call_id, "name": "", "arguments": ""}
        self.at = -1
        self.open = True
        self.pieces: list[str] = []

    @property
    def told(self) -> bool:
        """Tell whether it is part of the output already."""
        return self.at >= 0

    def close(self, status: str) -> None:
        """Keep what there is."""
        self.body["arguments"] = "".join(self.pieces)
        self.body["status"], self.open = status, False


def made(kind: str, text: str, logprobs: list[Any]) -> dict[str, Any]:
    """Make a part of an item."""
    part = {"type": kind, PARTS[kind].field: text}
    return {**part, "annotations": [], "logprobs": list(logprobs)} if kind == "output_text" else part


def place(item: Spoken | Calling) -> dict[str, Any]:
    return {"item_id": item.body["id"], "output_index": item.at}


def within(item: Spoken) -> dict[str, Any]:
    return {**place(item), "content_index": len(item.body["content"])}
