"""Embeddings: texts in, vectors out; OpenAI's shape (openai-python 3.3.1, types/embedding_create_params)."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..errors import RequestError
from ..types import ChatRequest, NativeReply, Said, Usage

__all__ = ["EmbedReply", "EmbedRequest", "pack", "unpack"]

# Inputs of one request, and dimensions of a vector (openai/openai-openapi).
MOST_INPUTS = 2048
FORMS = ("float", "base64")
WANTED = "a text, a list of texts, or token ids: a list of them, or a list of lists"


@dataclass(slots=True)
class EmbedRequest(ChatRequest):
    """One request for vectors; `body` holds `input` as it was given."""

    operation: str = "embeddings"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Give none: nothing is said."""
        return []

    @property
    def count(self) -> int:
        """Count the vectors that are asked for."""
        given = self.body["input"]
        return 1 if isinstance(given, str) or type(given[0]) is int else len(given)

    @property
    def has_tokens(self) -> bool:
        """Tell whether the input is token ids, not texts."""
        given = self.body["input"]
        return not isinstance(given, str) and not isinstance(given[0], str)

    @classmethod
    def _checked(cls, body: object) -> Self:
        if not isinstance(body, dict):
            raise RequestError("the body must be a JSON object with 'input'")
        _check_input(body.get("input"))
        form, dimensions, model = body.get("encoding_format"), body.get("dimensions"), body.get("model")
        if form is not None and form not in FORMS:
            raise RequestError("'encoding_format' must be 'float' or 'base64'", param="encoding_format")
        if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
            raise RequestError("'dimensions' must be a whole number above 0", param="dimensions")
        _check_text(model, "model")
        _check_text(body.get("user"), "user")
        if body.pop("stream", None):
            raise RequestError("vectors do not come as a stream; leave 'stream' out", param="stream")
        return cls._of(body)


class EmbedReply(NativeReply):
    """Hold the vectors of one request, in the order of its inputs."""

    __slots__ = ("_vectors",)

    def __init__(self, body: dict[str, Any], usage: Usage, *, provider: str = "") -> None:
        super().__init__("embeddings", body, usage, Said(finish_reason="stop"), provider=provider)
        self._vectors: list[list[float]] | None = None

    @classmethod
    def of(cls, reply: NativeReply) -> EmbedReply:
        """Give a reply of this type, also for one a cache kept as plain data."""
        if isinstance(reply, cls):
            return reply
        made = cls(reply.body, reply.usage, provider=reply.provider)
        made.trace = reply.trace
        return made

    @property
    def vectors(self) -> list[list[float]]:
        """Give the vectors as lists of numbers."""
        if self._vectors is None:
            self._vectors = [unpack(row["embedding"]) for row in self.body["data"]]
        return self._vectors


def unpack(vector: str | list[float]) -> list[float]:
    """Read a vector; a text is base64 of little-endian float32 (openai-python 3.3.1, resources/embeddings)."""
    if not isinstance(vector, str):
        return vector
    numbers = array("f", b64decode(vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def pack(vector: Sequence[float]) -> str:
    """Write a vector as `unpack` reads it. Raises OverflowError for a number that is too large."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode("ascii")


def _check_input(given: object) -> None:
    if given is None:
        raise RequestError("'input' is missing", param="input", code="missing_required_parameter")
    if not isinstance(given, str | list):
        raise RequestError(f"'input' must be {WANTED}", param="input")
    if not given:
        raise RequestError("'input' is empty; give at least one text", param="input")
    if isinstance(given, str) or _are_tokens(given):
        return
    if len(given) > MOST_INPUTS:
        raise RequestError(
            f"'input' holds {len(given)} entries; send at most {MOST_INPUTS} at once", param="input", status=400
        )
    first = type(given[0])
    for number, entry in enumerate(given):
        if type(entry) is not first or not (isinstance(entry, str) or (isinstance(entry, list) and _are_tokens(entry))):
            raise RequestError(f"'input' must be {WANTED}", param=f"input[{number}]")
        if not entry:
            raise RequestError(f"'input[{number}]' is empty; leave it out", param=f"input[{number}]")


def _are_tokens(given: list[Any]) -> bool:
    return set(map(type, given)) == {int} and min(given) >= 0


def _check_text(value: object, name: str) -> None:
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name!r} must be a text", param=name)
