"""A network that follows a script: the transport seam, without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import sniffio
import trio
import trio.testing

from aigateway.errors import WireError
from aigateway.exchange import IO, Exchange, open_exchange, timer_for
from aigateway.providers import Dialect, OpenAICompatible, Options
from aigateway.secrets import Secret
from aigateway.transport import HTTPResponse
from aigateway.types import Call, ChatRequest, Chunk, HTTPRequest, ModelInfo, Target, Timeouts

T = TypeVar("T")
KEY = Secret("sk-ours-0123456789abcdef")
TARGET = Target("plain", "m")
# Bytes are given, numbers are seconds of silence, errors are raised; afterwards the body is at its end.
Part = bytes | float | BaseException
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


class Plain(OpenAICompatible):
    """Speak plain OpenAI chat."""

    dialect = Dialect(base_url="https://api.example.com/v1")

    def models(self) -> tuple[ModelInfo, ...]:
        """List one model."""
        return (ModelInfo("m", self.name),)


@dataclass
class Answer:
    """What a vendor sends; `head` is what happens before the status line."""

    parts: Sequence[Part] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    head: Sequence[float | BaseException] = ()


class ScriptedResponse:
    """One open response; counts how it was closed."""

    def __init__(self, answer: Answer, transport: ScriptedTransport) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.reads = 0
        self._parts = list(answer.parts)
        self._transport = transport

    async def read(self) -> bytes:
        """Follow the script."""
        self.reads += 1
        await anyio.lowlevel.checkpoint()
        while self._parts:
            part = self._parts.pop(0)
            if isinstance(part, bytes):
                return part
            await follow(part)
        return b""

    async def aclose(self, *, reusable: bool = False) -> None:
        """Note the end."""
        await anyio.lowlevel.checkpoint()
        self._transport.closed.append(reusable)


class ScriptedTransport:
    """Give one answer per request, and count opens and closes."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[HTTPRequest] = []
        self.opened: list[ScriptedResponse] = []
        self.closed: list[bool] = []

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Follow the next answer's script up to its head."""
        self.requests.append(request)
        answer = self._answers.pop(0)
        await anyio.lowlevel.checkpoint()
        for part in answer.head:
            await follow(part)
        response = ScriptedResponse(answer, self)
        self.opened.append(response)
        return response

    async def aclose(self) -> None:
        """Nothing is kept open."""

    @property
    def is_clean(self) -> bool:
        """Tell whether every response was closed exactly once."""
        return len(self.opened) == len(self.closed)


async def follow(part: Part) -> None:
    """Wait or fail."""
    if isinstance(part, BaseException):
        raise part
    assert isinstance(part, float | int)
    await anyio.sleep(part)


class LoopClock:
    """Tell the time of the running event loop, which may be a virtual one."""

    def now(self) -> float:
        """Give the loop's seconds."""
        return anyio.current_time()

    def wall(self) -> float:
        """Give the same, counted from a day in 2026."""
        return 1_790_000_000 + anyio.current_time()

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""
        await anyio.sleep(seconds)


@dataclass
class Settled:
    """An attempt or a lease that counts how often it was settled, and with what."""

    outcomes: list[str] = field(default_factory=list)

    def settle(self, outcome: Any) -> None:
        """Note it."""
        self.outcomes.append(outcome.state)


def io_for(transport: ScriptedTransport, timeouts: Timeouts | None = None) -> IO:
    """Make what an exchange works with, for the event loop that runs."""
    backend = sniffio.current_async_library()
    return IO(transport, LoopClock(), timer_for(backend), timeouts or Timeouts())


def a_call(io: IO, *, stream: bool = True, total: float = 600.0, **fields: Any) -> Call:
    """Make a call that begins now."""
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}], "stream": stream, **fields})
    now = io.clock.now()
    return Call(request, started=now, deadline=now + total)


async def ask(
    transport: ScriptedTransport,
    *,
    provider: Any = None,
    timeouts: Timeouts | None = None,
    key: Secret | None = KEY,
    held: Sequence[Settled] = (),
    **fields: Any,
) -> Exchange:
    """Open an exchange with the scripted vendor, as the gateway does."""
    io = io_for(transport, timeouts)
    exchange = await open_exchange(a_call(io, **fields), TARGET, provider or Plain(Options("plain")), io, key=key)
    exchange.hold(*held)
    return exchange


async def read_all(exchange: Exchange) -> list[Chunk]:
    """Read to the end."""
    chunks: list[Chunk] = []
    while batch := await exchange.read():
        chunks += batch
    return chunks


def event(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Write one chunk as a vendor does."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "1", "model": "m", "choices": choices, **more}).encode() + b"\n\n"


def says(text: str) -> bytes:
    """Write a piece of text."""
    return event({"content": text})


def error_event(message: str, **more: Any) -> bytes:
    """Write an error inside a stream."""
    return b"data: " + json.dumps({"error": {"message": message, **more}}).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
STOP = event({}, "stop")
USAGE = event(None, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
WHOLE = {
    "id": "1",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def body(value: object) -> bytes:
    """Write JSON."""
    return json.dumps(value).encode()


def virtually(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a story on trio's virtual clock: sleeping takes no time."""
    return trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


def wire(kind: Any) -> WireError:
    """Make a transport's failure."""
    return WireError(kind, f"the wire failed ({kind})")
