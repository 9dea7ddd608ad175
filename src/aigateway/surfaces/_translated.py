"""What dialects have in common whose bodies are checked by pydantic and whose answers are told piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..types import Chunk, Reply, in_words
from ._fields import elsewhere
from ._surface import NativeOnly, Telling

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Translated", "Whole"]


class Whole(Telling, Protocol):
    """Tell an answer; what is told adds up to `whole`."""

    whole: dict[str, Any]


class Translated(ABC):
    """Translate between one dialect and chat.

    `said_in` is the field no request is without, `strangers` say what others send in its place, and
    where that is served.
    """

    operation: str
    said_in: ClassVar[str]
    strangers: ClassVar[Mapping[str, str]]

    @staticmethod
    @abstractmethod
    def body() -> type:
        """Give the type of the bodies; its module is imported for this only."""

    @classmethod
    def schema(cls, references: str) -> dict[str, Any]:
        """Describe the body in JSON Schema; `references` names where its parts will be, with `{model}` for the name."""
        return _adapter(cls).json_schema(ref_template=references)

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the chat body a request means. Raises RequestError naming the caller's own field, or NativeOnly."""
        from pydantic import ValidationError

        if not body.get(self.said_in):
            elsewhere(body, self.said_in, self.strangers)
        try:
            _adapter(type(self)).validate_python(body)
        except ValidationError as error:
            raise in_words(error) from None
        chat, needs = self.meaning({name: value for name, value in body.items() if value is not None})
        if needs:
            needs[0].chat = chat
            raise needs[0]
        return chat

    def native(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give what a vendor that speaks this dialect is sent."""
        return body

    def reply(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """Give the object a chat answer is: what a stream of one chunk adds up to."""
        telling = self.telling(asked, request_id="", model=reply.model)
        telling.feed(Chunk({**reply.body, "choices": [_as_delta(choice) for choice in reply.body["choices"]]}))
        telling.end(reply.usage)
        return telling.whole

    @abstractmethod
    def meaning(self, body: dict[str, Any]) -> tuple[dict[str, Any], list[NativeOnly]]:
        """Give the chat request that says the same, and what of it chat cannot say. Raises RequestError."""

    @abstractmethod
    def telling(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> Whole:
        """Begin to tell a stream."""


def _as_delta(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Give a choice as a piece of a stream; its calls are numbered, as those are."""
    message = choice["message"]
    calls = [{**call, "index": at} for at, call in enumerate(message.get("tool_calls") or ())]
    return {**choice, "delta": {**message, "tool_calls": calls}}


@cache
def _adapter(surface: type[Translated]) -> TypeAdapter[dict[str, Any]]:
    """Build the checker on first use: importing does nothing."""
    from pydantic import TypeAdapter

    return TypeAdapter(surface.body())
