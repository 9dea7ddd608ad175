"""What a request leaves behind goes with it: the garbage collector, which comes late, finds none of our objects.

A failed attempt that waits for the collector keeps the request's body alive, and a vendor that is down fails many.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.errors import Kind, WireError
from aigateway.transport import HTTPResponse
from aigateway.types import HTTPRequest

SAID = {"index": 0, "delta": {"role": "assistant", "content": "Yes"}, "finish_reason": None}
PIECE = b"data: " + json.dumps({"id": "a", "choices": [SAID]}).encode() + b"\n\n"
END = b'data: {"id": "a", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
MESSAGE = {"role": "assistant", "content": "Yes"}
WHOLE = json.dumps({"id": "a", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}).encode()
KEYS = [{"secret": f"a-key-of-nobody-{number}", "allow_literal": True} for number in range(2)]
CONFIG: dict[str, Any] = {
    "default_model": "smart",
    "providers": {
        name: {"type": "openai-compatible", "base_url": f"http://{name}.invalid/v1", "keys": KEYS}
        for name in ("bad", "good")
    },
    "guards": [{"use": "rate_limit"}, {"use": "concurrency"}, {"use": "log"}, {"use": "metrics"}],
}
HELD = ("aiohttp", "httpx2", "httpcore2", "multidict")
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = tuple[int, str, list[bytes | None]]  # None is a silence without end
FINE: dict[bool, Answer] = {
    False: (200, "application/json", [WHOLE]),
    True: (200, "text/event-stream", [PIECE, END]),
}
FAULTS: dict[str, Answer | None] = {
    "no connection": None,
    "a server error": (500, "application/json", [b'{"error": {"message": "oh"}}']),
    "our key is refused": (401, "application/json", [b'{"error": {"message": "who?"}}']),
    "the caller is wrong": (400, "application/json", [b'{"error": {"message": "no"}}']),
    "nonsense": (200, "application/json", [b"<html>"]),
    "cut before content": (200, "text/event-stream", [b": hello\n\n"]),
    "cut after content": (200, "text/event-stream", [PIECE]),
    "an event is nonsense": (200, "text/event-stream", [PIECE, b"data: {\n\n", END]),
}


class Response:
    """One open response."""

    def __init__(self, status: int, kind: str, parts: list[bytes | None]) -> None:
        self.status = status
        self.headers = {"content-type": kind}
        self._parts = list(parts)

    async def read(self) -> bytes:
        """Give the next part."""
        part = self._parts.pop(0) if self._parts else b""
        if part is None:
            await asyncio.Event().wait()
        return part or b""

    async def aclose(self, *, reusable: bool = False) -> None:
        """Nothing is held."""


class Wire:
    """Answer as `fault` says at the one address, well at the other."""

    def __init__(self, fault: Answer | None) -> None:
        self._fault = fault
        self.failed = 0

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Answer."""
        if "good.invalid" in request.url:
            return Response(*FINE[b'"stream":true' in (request.body or b"")])
        self.failed += 1
        if self._fault is None:
            raise WireError(Kind.CONNECT, "nobody listens")
        return Response(*self._fault)

    async def aclose(self) -> None:
        """Nothing is kept open."""


class Client:
    """Ask an application, in this process."""

    def __init__(self, gateway: Gateway) -> None:
        self._app = create_app(gateway)
        self.status = 0
        self.data = b""

    async def ask(self, *, stream: bool, leaves: bool = False) -> None:
        """Send a chat request; read the answer to its end, or leave when some of it has come."""
        body = json.dumps({"messages": [{"role": "user", "content": "Do you?"}], "stream": stream}).encode()
        sent = [{"type": "http.request", "body": body, "more_body": False}]
        gone = asyncio.Event()
        self.status, self.data = 0, b""

        async def receive() -> dict[str, Any]:
            if sent:
                return sent.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)
            self.data += message.get("body", b"")
            if leaves and self.data:
                gone.set()

        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"", "scheme": "http",
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "http_version": "1.1", "root_path": "", "state": {}, "asgi": {"version": "3.0"},
        }  # fmt: skip  # as a server gives it
        await self._app(scope, receive, send)


@contextmanager
def collecting(*packages: str) -> Iterator[list[str]]:
    """Give the names of what only the collector would find of ours and of `packages`, at the end."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        kinds = (type(thing) for thing in gc.garbage)
        found += (
            f"{kind.__module__}.{kind.__name__}"
            for kind in kinds
            if kind.__module__.startswith(("aigateway", *packages))
        )
        found += (thing.f_code.co_name for thing in gc.garbage if type(thing).__name__ == "frame")
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def broken_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin to answer, and close; what comes after the beginning was promised."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 5000\r\n\r\n" + PIECE)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what is none."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HELLO\r\n\r\n")
    await writer.drain()
    writer.close()


def leaves_nothing(targets: list[str], fault: Answer | None, ask: Callable[[Client, Wire], Awaitable[None]]) -> None:
    """Ask once to make what is made once a process, then again of another gateway, which knows of no fault yet."""

    async def played() -> None:
        for watched in (False, True):
            wire = Wire(fault)
            config = {**CONFIG, "routes": {"smart": {"targets": targets}}}
            async with Gateway.from_config(config, transport=wire) as gateway:
                client = Client(gateway)
                with collecting() as found:
                    await ask(client, wire)
                    await asyncio.sleep(0.01)
                assert (watched and found) in (False, [])

    asyncio.run(played())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer(stream: bool) -> None:
    """An answered request leaves nothing."""

    async def ask(client: Client, wire: Wire) -> None:
        await client.ask(stream=stream)
        assert client.status == 200

    leaves_nothing(["good/m"], None, ask)


@pytest.mark.parametrize("targets", [["bad/m", "good/m"], ["bad/m"]], ids=["failover", "failure"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_failed_attempt(fault: str, stream: bool, targets: list[str]) -> None:
    """Nor does one whose first target failed, however, and whatever became of it."""

    async def ask(client: Client, wire: Wire) -> None:
        await client.ask(stream=stream)
        assert client.status
        assert wire.failed

    leaves_nothing(targets, FAULTS[fault], ask)


def test_a_client_that_leaves() -> None:
    """Nor does one whose client left in the middle."""

    async def ask(client: Client, wire: Wire) -> None:
        with suppress(asyncio.CancelledError):
            await client.ask(stream=True, leaves=True)
        assert client.data

    leaves_nothing(["bad/m"], (200, "text/event-stream", [PIECE, None]), ask)


@pytest.mark.parametrize("door", ["aiohttp", "httpx2"])
@pytest.mark.parametrize("behave", [broken_off, no_http, None], ids=["broken off", "no HTTP", "nobody listens"])
def test_a_connection(behave: Behaviour | None, door: str) -> None:
    """What the client libraries raise holds connections, and lets go of them as well."""

    async def played() -> None:
        server = await asyncio.start_server(behave or no_http, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        if behave is None:
            server.close()
            await server.wait_closed()
        bad = {"type": "openai-compatible", "base_url": url, "keys": KEYS}
        config = {**CONFIG, "transport": {"kind": door}, "providers": {"bad": bad}, "default_model": "bad/m"}
        async with server, Gateway.from_config(config) as gateway:
            client = Client(gateway)
            await client.ask(stream=True)
            with collecting(*HELD) as found:
                await client.ask(stream=True)
                await asyncio.sleep(0.1)
            assert client.status == 200 if behave is broken_off else client.status == 503
            assert [] == found

    asyncio.run(played())
