"""Answers in a dialect other than chat, as the vendor gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._reply import Chunk, Reply
from ._usage import Usage

if TYPE_CHECKING:
    from ._views import Choice, ChunkChoice

__all__ = ["NOTHING", "NativeChunk", "NativeReply", "Said"]


class Said(NamedTuple):
    """What an answer, or a piece of one, says, whatever its dialect; `finish_reason` in chat's words.

    `content` tells whether it promises something to the caller: words, a tool call, an end.
    """

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    content: bool = True


NOTHING = Said(content=False)


class Native:
    """Say what was read out of a dialect's own object."""

    __slots__ = ()
    said: Said

    @property
    def text(self) -> str:
        """Give its text."""
        return self.said.text

    @property
    def reasoning(self) -> str:
        """Give its reasoning."""
        return self.said.reasoning

    @property
    def finish_reason(self) -> str | None:
        """Say why the answer ended, in chat's words; None while it goes on."""
        return self.said.finish_reason


class NativeReply(Native, Reply):
    """Hold one whole answer in the dialect of `operation` (`responses`, `messages`).

    `body` is that dialect's own object; `said` is read out of it by whoever decoded it.
    """

    __slots__ = ("operation", "said")

    def __init__(self, operation: str, body: dict[str, Any], usage: Usage, said: Said, *, provider: str = "") -> None:
        super().__init__(body, usage, provider=provider)
        self.operation = operation
        self.said = said

    @property
    def choices(self) -> list[Choice]:
        """Give none: choices are chat's; read `body`, or `text`."""
        return []


class NativeChunk(Native, Chunk):
    """Hold one event of a stream in another dialect.

    `name` is the event's name, `raw` its JSON as it came where nothing had to change.
    """

    __slots__ = ("name", "said")

    def __init__(
        self,
        name: str,
        body: dict[str, Any],
        said: Said = NOTHING,
        *,
        raw: bytes | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(body, raw=raw, usage=usage)
        self.name = name
        self.said = said

    @property
    def has_content(self) -> bool:
        """Tell whether it promises something to the caller."""
        return self.said.content

    @property
    def choices(self) -> list[ChunkChoice]:
        """Give none: choices are chat's."""
        return []

    @property
    def is_usage(self) -> bool:
        """Tell that it is never usage alone: other dialects put that into their last event."""
        return False

    def to_event(self) -> bytes:
        """Write it as a server-sent event."""
        return b"event: " + self.name.encode("ascii", "replace") + b"\ndata: " + self.to_json() + b"\n\n"
