"""A stand-in vendor that does exactly what it is told, byte by byte, and remembers what became of it.

It lives in the process of whoever measures: one clock tells when a client left and when the vendor saw it.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

__all__ = ["MARK", "NONCE", "Asked", "End", "Plan", "Script", "Seen", "Step", "Vendor", "reset"]

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NONCE = re.compile(r"N[0-9a-f]{16}N")
# A step of a script: bytes to send, seconds to wait, or the mark that whoever measures waits for.
MARK = None
Step = bytes | float | None
End = Literal["keep", "reset", "fin", "half", "hang"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    nonce: str
    model: str
    stream: bool
    messages: list[dict[str, Any]]

    @property
    def prefix(self) -> str:
        """Give the text the answer has to go on after."""
        last = self.messages[-1]
        return str(last["content"]) if last["role"] == "assistant" else ""


@dataclass(frozen=True, slots=True)
class Script:
    """What to do about one request: send these steps, then end so. `breaks` says that it is no whole answer."""

    steps: Iterable[Step]
    end: End = "keep"
    breaks: bool = False


@dataclass(slots=True)
class Seen:
    """One request, and what became of it; times are the event loop's."""

    asked: Asked
    breaks: bool
    at: float
    done: bool = False
    closed_at: float = 0.0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


Plan = Callable[[Asked], Script]


class Vendor:
    """Answer each request as the plan for its nonce says, or else by `usual`."""

    def __init__(self, usual: Plan) -> None:
        self.port = self.rude = self.closed = 0
        self.plans: dict[str, Plan] = {}
        self.seen: dict[str, list[Seen]] = {}
        self.connections: set[Connection] = set()
        self._usual = usual
        self._servers: list[asyncio.Server] = []
        self._unheard = socket.socket()
        self._waiting: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._servers = [
            await loop.create_server(factory, "127.0.0.1", 0, backlog=2048)
            for factory in (lambda: Connection(self), Slammed)
        ]
        self.port, self.rude = (server.sockets[0].getsockname()[1] for server in self._servers)
        self._unheard.bind(("127.0.0.1", 0))  # bound and never listening: refused, and nobody else takes it
        self.closed = self._unheard.getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.drop()
        self._unheard.close()
        await asyncio.sleep(0)

    @property
    def idle(self) -> int:
        """Count the connections that are kept for a next request."""
        return sum(connection.seen is None for connection in self.connections)

    @property
    def busy(self) -> int:
        """Count the connections on which an answer is not over."""
        return len(self.connections) - self.idle

    def drop_idle(self) -> None:
        """Close the connections that are kept for a next request."""
        for connection in list(self.connections):
            if connection.seen is None:
                connection.drop()

    def calls(self, nonce: str) -> list[Seen]:
        """Give every request that came with a nonce."""
        return self.seen.get(nonce, [])

    def forget(self, nonce: str) -> None:
        """Let go of what is kept about a nonce."""
        self.plans.pop(nonce, None)
        self.seen.pop(nonce, None)

    async def called(self, nonce: str) -> Seen:
        """Wait for the first request that comes with a nonce."""
        while not self.calls(nonce):
            await self._waiting.setdefault(nonce, asyncio.Event()).wait()
        return self.seen[nonce][0]

    def receive(self, asked: Asked, at: float) -> tuple[Seen, Script]:
        """Note a request; say what to do about it."""
        script = self.plans.get(asked.nonce, self._usual)(asked)
        seen = Seen(asked, script.breaks, at)
        self.seen.setdefault(asked.nonce, []).append(seen)
        if waiting := self._waiting.pop(asked.nonce, None):
            waiting.set()
        return seen, script


class Connection(asyncio.Protocol):
    """One connection: read a whole request, play its script, wait for the next."""

    def __init__(self, vendor: Vendor) -> None:
        self.seen: Seen | None = None
        self._vendor = vendor
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._playing: asyncio.Task[None] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._vendor.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._vendor.connections.discard(self)
        if self._playing is not None:
            self._playing.cancel()
        if self.seen is not None:
            self.seen.closed_at = self._loop.time()
            self.seen.closed.set()

    def eof_received(self) -> bool:
        return False  # who closes its side is gone: close ours

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        """Take up the next request once it is whole; it may come before the last step of an answer is over."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self.seen is not None:
            return
        length = LENGTH.search(self._buffer, 0, end)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) >= whole:
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self.seen, script = self._vendor.receive(_asked(body), self._loop.time())
            self._playing = self._loop.create_task(self._play(script, self.seen))

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _play(self, script: Script, seen: Seen) -> None:
        for step in script.steps:
            if isinstance(step, bytes):
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.write(step)
            elif step is None:
                seen.reached.set()
            else:
                await asyncio.sleep(step)
        await self._end(script.end)
        seen.done = True
        self.seen = self._playing = None
        self._next()

    async def _end(self, end: End) -> None:
        if self._transport is None or end == "keep":
            return
        if end == "reset":
            reset(self._transport)
        elif end == "fin":
            self._transport.close()
        elif end == "half":
            self._transport.write_eof()
        await asyncio.Event().wait()  # until the connection is lost


class Slammed(asyncio.Protocol):
    """A connection that is reset as soon as it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        reset(cast("asyncio.Transport", transport))


def reset(transport: asyncio.WriteTransport) -> None:
    """Close with RST instead of FIN."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _asked(body: bytes) -> Asked:
    fields = json.loads(body)
    text = json.dumps(fields["messages"])
    nonce = NONCE.search(text)
    return Asked(nonce[0] if nonce else "", str(fields["model"]), bool(fields.get("stream")), fields["messages"])
