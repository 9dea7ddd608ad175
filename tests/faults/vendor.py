"""A vendor on a real socket that does what a script says, whatever that does to its client.

It is OpenAI-shaped and plays one script per request (the last one again and again). It remembers
when it was asked what, and how and when the gateway closed the connection. Plain sockets, because
faults need them: a FIN in the middle, a RST, a byte count nobody rounded. Runs on asyncio and trio.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

__all__ = ["Asked", "HangUp", "Script", "Turn", "Vendor", "listening"]

TOKENS = 60
STREAM = "text/event-stream; charset=utf-8"
# What the kernel may take of an answer nobody reads: little, so that back-pressure shows.
SEND_BUFFER = 64 * 1024
# Bytes after which others get their turn.
YIELDS = 16 * 1024


@dataclass
class Asked:
    """One request as it came, and what became of its connection while it was answered."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    sent: int = 0
    answered: bool = False
    closed: Literal["", "fin", "rst"] = ""
    closed_at: float | None = None


class HangUp(Exception):
    """Raised by a script: the connection ends here, with a FIN or a RST."""

    def __init__(self, *, reset: bool = False) -> None:
        self.reset = reset


class Turn:
    """One answer on its way: what scripts are written with."""

    def __init__(self, vendor: Vendor, raw: socket.socket, asked: Asked) -> None:
        self.vendor = vendor
        self.asked = asked
        self._raw = raw
        self._unyielding = 0

    @property
    def model(self) -> str:
        """Name the model that was asked for."""
        return str(self.asked.body.get("model"))

    async def send(self, data: bytes) -> None:
        """Send raw bytes; what the kernel takes at once costs no turn of the event loop, mostly."""
        view = memoryview(data)
        while view:
            try:
                sent = self._raw.send(view)
            except BlockingIOError:
                await anyio.wait_writable(self._raw)
                continue
            view = view[sent:]
            self.asked.sent += sent
            self._unyielding += sent
            if self._unyielding > YIELDS:
                self._unyielding = 0
                await checkpoint()

    async def whole(self, status: int, body: bytes | Mapping[str, Any], **headers: str) -> None:
        """Send one whole answer that leaves the connection open."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content_type": "application/json", **headers, "content_length": str(len(data))}
        await self.send(head(status, named) + data)

    async def open_stream(self, **headers: str) -> None:
        """Send the head of a stream of events."""
        await self.send(head(200, {"content_type": STREAM, **headers, "transfer_encoding": "chunked"}))

    async def piece(self, data: bytes) -> None:
        """Send one piece of a chunked body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, value: Mapping[str, Any] | bytes) -> None:
        """Send one event."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        await self.piece(b"data: " + data + b"\n\n")

    async def delta(self, delta: Mapping[str, Any], finish: str | None = None, **fields: Any) -> None:
        """Send one chunk of the answer."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await self.event({**self.named("chat.completion.chunk"), "choices": [choice], **fields})

    async def tokens(self, start: int = 0, stop: int = TOKENS, *, pace: float = 0.0) -> None:
        """Send some of the answer's tokens."""
        for number in range(start, stop):
            await self.delta({"content": self.vendor.token(number)})
            if pace:
                await anyio.sleep(pace)

    async def usage(self) -> None:
        """Send the usage as OpenAI does: in a chunk without choices."""
        await self.event({**self.named("chat.completion.chunk"), "choices": [], "usage": self.vendor.usage})

    async def end(self) -> None:
        """End a chunked body cleanly."""
        await self.send(b"0\r\n\r\n")

    def named(self, kind: str) -> dict[str, Any]:
        """Give what stands in every object of this answer."""
        number = self.vendor.asked.index(self.asked)
        return {"id": f"chatcmpl-{self.vendor.name}-{number}", "object": kind, "created": 1, "model": self.model}


Script = Callable[[Turn], Awaitable[None]]


@dataclass
class Vendor:
    """A vendor and what it saw; `tls` makes each connection begin with a handshake."""

    name: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    busy: int = 0
    _scripts: list[Script] = field(default_factory=list)

    def plays(self, *scripts: Script) -> None:
        """Play these from now on, one per request, the last one for every further request."""
        self._scripts = list(scripts)

    def token(self, number: int) -> str:
        """Give one token of its answer; no two vendors share one."""
        return f"{self.name}{number} "

    @property
    def text(self) -> str:
        """Give its whole answer."""
        return "".join(map(self.token, range(TOKENS)))

    @property
    def usage(self) -> dict[str, int]:
        """Give what it bills for an answer: its own figures, to be told from another vendor's."""
        return {"prompt_tokens": 10 + len(self.name), "completion_tokens": TOKENS, "total_tokens": 70 + len(self.name)}

    @property
    def gaps(self) -> list[float]:
        """Give the seconds between its calls."""
        return [later.at - sooner.at for sooner, later in zip(self.asked, self.asked[1:], strict=False)]

    def next_script(self) -> Script:
        """Give what the next request gets."""
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]

    async def serve(self, raw: socket.socket) -> None:
        """Answer on one connection until either side ends it."""
        self.connections += 1
        self.open += 1
        try:
            with raw, suppress(OSError):
                raw.setblocking(False)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                while await self._turn(raw):
                    pass
        finally:
            self.open -= 1

    async def _turn(self, raw: socket.socket) -> bool:
        """Read one request and play a script; tell whether the connection goes on."""
        asked = await read_request(raw)
        if asked is None:
            return False
        self.asked.append(asked)
        self.busy += 1
        try:
            return await self._play(raw, asked)
        finally:
            self.busy -= 1

    async def _play(self, raw: socket.socket, asked: Asked) -> bool:
        turn, script, ended = Turn(self, raw, asked), self.next_script(), False

        async def play() -> None:
            nonlocal ended
            try:
                await script(turn)
                asked.answered = True
            except HangUp as end:
                ended = True
                if end.reset:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                _note(asked, "rst")
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, raw, asked, tasks.cancel_scope)
            tasks.start_soon(play)
        return not (ended or asked.closed)


async def _watch(raw: socket.socket, asked: Asked, answering: anyio.CancelScope) -> None:
    """Note how the gateway leaves while it is being answered, and stop answering."""
    while True:
        await anyio.wait_readable(raw)
        try:
            if raw.recv(65536):
                continue  # more than one request at a time: nobody asked for that
            _note(asked, "fin")
        except BlockingIOError:
            continue
        except OSError:
            _note(asked, "rst")
        answering.cancel()
        return


def _note(asked: Asked, how: Literal["fin", "rst"]) -> None:
    if not asked.closed:
        asked.closed, asked.closed_at = how, time.monotonic()


async def read_request(raw: socket.socket) -> Asked | None:
    """Read one request; None when the connection ends before it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = await _receive(raw)
        if not part:
            return None
        data += part
    at = time.monotonic()
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        part = await _receive(raw)
        if not part:
            return None
        body += part
    return Asked(at, first.split()[1], headers, json.loads(body) if body else {})


async def _receive(raw: socket.socket) -> bytes:
    while True:
        await anyio.wait_readable(raw)
        try:
            return raw.recv(65536)
        except BlockingIOError:
            continue
        except ConnectionError:
            return b""


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Write the head of an answer; underscores in names are hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1")


def listening(name: str, tasks: TaskGroup) -> tuple[Vendor, socket.socket]:
    """Serve a vendor on a free port of this machine, in a task group; the listener is the caller's to close."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    vendor = Vendor(name, f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    tasks.start_soon(_accept, listener, vendor, tasks)
    return vendor, listener


async def _accept(listener: socket.socket, vendor: Vendor, tasks: TaskGroup) -> None:
    while True:
        await anyio.wait_readable(listener)
        with suppress(BlockingIOError):
            tasks.start_soon(vendor.serve, listener.accept()[0])
