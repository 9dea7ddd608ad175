"""One call on its way through the gateway: what every layer is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol

from pydantic_core import to_json

from ..errors import GatewayError
from ._caller import IN_PROCESS, Caller
from ._decision import Trace
from ._limits import Terms
from ._reply import Chunk, Reply
from ._target import Target
from ._usage import Usage
from .request import ChatRequest

__all__ = ["Call", "Clock", "Outcome"]


PLAIN = Terms()


class Clock(Protocol):
    """The only source of time; `now` is monotonic, `wall` seconds since the epoch."""

    def now(self) -> float:
        """Give monotonic seconds."""

    def wall(self) -> float:
        """Give seconds since the epoch."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""


@dataclass(slots=True)
class Call:
    """Carry one request, who asks, until when, and the trace of what happened to it.

    A guard that answers by itself (a cache) sets `reply`. `started` and `deadline` are on the
    gateway's monotonic clock. `partial` is text that has reached the caller already, from a
    stream that broke: the answer goes on after it. `address` is the client's, as far as the way to
    it can be trusted; empty in-process. `headers` is where a guard puts what the caller is told
    beside the answer, a refusal included; `asks` holds those of the request's own headers that guards
    read; in `aside` a guard keeps what it needs again when it leaves. A guard that wants to see a
    stream's chunks as they reach the caller adds to `listeners` while it enters. `resolved` is the
    route or the target the name asked for stands for, `first` the target it is tried at first.
    `lasting` tells that somebody may come back for the answer: it goes on when its client has left.
    """

    request: ChatRequest
    caller: Caller = IN_PROCESS
    id: str = ""
    timeout: float = 0.0
    started: float = 0.0
    deadline: float = 0.0
    trace: Trace = field(default_factory=Trace)
    reply: Reply | None = None
    terms: Terms = PLAIN
    partial: str = ""
    address: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    asks: Mapping[str, str] = field(default_factory=dict)
    aside: dict[int, Any] = field(default_factory=dict)
    listeners: tuple[Callable[[Sequence[Chunk]], None], ...] = ()
    resolved: str = ""
    first: Target | None = None
    lasting: bool = False

    @property
    def operation(self) -> str:
        """Name what is asked: chat, and later embeddings, images, responses."""
        return self.request.operation

    def conversation(self) -> str:
        """Name the conversation a request belongs to: the caller, and what stays the same from turn to turn.

        That is OpenAI's `prompt_cache_key` where it is sent, else what was said up to the first
        message of the user.
        """
        body = self.request.body
        named = body.get("prompt_cache_key")
        begun = []
        for message in [] if named else body.get("messages", []):
            begun.append(message)
            if message.get("role") == "user":
                break
        said = str(named).encode("utf-8", "surrogatepass") if named else to_json(begun, serialize_unknown=True)
        return blake2b(self.caller.tenant.encode() + b"\0" + said, digest_size=16).hexdigest()


class Outcome(NamedTuple):
    """How a call ended. `failed` never reached content; `interrupted` broke after it.

    `reply` is there where a whole answer was asked for and given.
    """

    state: Literal["complete", "interrupted", "cancelled", "failed"]
    usage: Usage | None = None
    error: GatewayError | None = None
    seconds: float = 0.0
    first_content: float | None = None
    reply: Reply | None = None
