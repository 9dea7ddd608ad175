"""What vendors and clients have seen: plain records, independent of what the gateway says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ...types import Decision

__all__ = ["Asked", "Event", "Question", "Upstream"]


class Question(NamedTuple):
    """One request as it will be made; `leaves` is when its client loses patience, in seconds.

    `filled` makes it as long as `prompt` says, for what looks at the length.
    """

    number: int
    at: float
    model: str
    stream: bool
    prompt: int
    tokens: int
    deadline: float | None = None
    leaves: float = inf
    caller: str = ""
    routing: Mapping[str, Any] = MappingProxyType({})
    filled: bool = False


@dataclass(slots=True)
class Asked:
    """What became of a question, as its client saw it; `reason` is a status and a code, or a kind."""

    question: Question
    state: Literal["open", "served", "failed", "interrupted", "cancelled"] = "open"
    reason: str = ""
    seconds: float = 0.0
    deadline: float = 0.0
    first_content: float | None = None
    text: str = ""
    garbled: bool = False
    retry_after: float | None = None
    decision: Decision | None = None


@dataclass(slots=True)
class Upstream:
    """One call as its vendor saw it.

    `outcome` is `answered`, what the vendor did instead, or `left` when the gateway closed it
    first; `wait` is the wait it named. `output` counts the tokens it sent.
    """

    at: float
    vendor: str
    model: str
    key: int
    account: str
    question: int
    outcome: str = "open"
    status: int | None = None
    wait: float | None = None
    ended: float | None = None
    first_content: float | None = None
    prompt: int = 0
    output: int = 0
    planned: int = 0

    @property
    def target(self) -> str:
        """Name what was asked, as the gateway does."""
        return f"{self.vendor}/{self.model}"


class Event(NamedTuple):
    """Something came to rest, or came back."""

    at: float
    name: str
    what: str
    state: str = ""
    kind: str = ""
    seconds: float = 0.0
