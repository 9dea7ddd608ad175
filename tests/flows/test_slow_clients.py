"""A client that does not read holds its vendor back, not our memory, and is cut off in the end."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import anyio
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.asgi._incoming import Incoming
from aigateway.asgi._running import Reads
from aigateway.cli._server import Server, Unread
from aigateway.config import parse

from .test_any_server import Exchange, asked
from .test_client_leaves import LINES, ask, until

EVENT = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}


class Torrent:
    """A vendor that streams as fast as it is read, without end."""

    def __init__(self) -> None:
        delta = {"index": 0, "delta": {"content": "word " * 10}, "finish_reason": None}
        self._events = b"data: " + json.dumps({**EVENT, "choices": [delta]}).encode() + b"\n\n"
        self._events *= 64
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.sent = 0
        self.opened = self.open = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            self.open += 1
            threading.Thread(target=self._pour, args=[client], daemon=True).start()

    def _pour(self, client: socket.socket) -> None:
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            try:
                while True:
                    client.sendall(self._events)
                    self.sent += len(self._events)
            except OSError:
                self.open -= 1


@pytest.fixture
def torrent() -> Iterator[Torrent]:
    with Torrent() as vendor:
        yield vendor


def pouring(torrent: Torrent, door: str, **server: Any) -> Gateway:
    """Make a gateway over the torrent."""
    tables: dict[str, Any] = {
        "default_model": "smart",
        "providers": {"v": {"type": "openai-compatible", "base_url": f"http://127.0.0.1:{torrent.port}/v1"}},
        "routes": {"smart": {"targets": ["v/m"]}},
        "transport": {"kind": door},
        "guards": [{"use": "log"}],
        "server": server,
    }
    return Gateway(parse(tables))


@contextmanager
def served(gateway: Gateway) -> Iterator[tuple[str, Server]]:
    """Serve as the command does, in a thread."""
    server = Server(create_app(gateway, close=True), gateway.settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), 20)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def buffered(server: Server) -> list[int]:
    return [connection.transport.get_write_buffer_size() for connection in list(server.server_state.connections)]


def in_flight(gateway: Gateway) -> int:
    return gateway.memory.facts(gateway.parts.names.routes["smart"][0]).in_flight


def kernel_bytes() -> int:
    """Give how much the kernel may buffer on two connections, as far as it says, and a little for what we read."""
    try:
        limits = [int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2]) for way in "rw"]
    except OSError:
        limits = [8 * 1024 * 1024]
    return 2 * sum(limits) + 8 * 1024 * 1024


KERNEL = kernel_bytes()


@pytest.mark.parametrize("door", ["aiohttp", "httpx2"])
def test_the_vendor_is_held_back(torrent: Torrent, door: str) -> None:
    """What waits for a client that does not read is at most 256 KiB; the vendor is not read any further."""
    gateway = pouring(torrent, door, write_timeout=60.0, drain=0.1)
    with served(gateway) as (root, server), ask(root, stream=True):
        until(lambda: any(buffered(server)), 60)
        most, seen = 0, -1
        while torrent.sent != seen:  # until nothing moves any more
            seen = torrent.sent
            until_moved(lambda seen=seen: torrent.sent > seen)  # type: ignore[misc]  # a lambda with a default
            most = max(most, *buffered(server))

    assert 0 < most <= 256 * 1024
    assert torrent.sent < KERNEL  # what the kernel's buffers on the way can hold, and no more


def until_moved(moved: Callable[[], bool]) -> None:
    """Give it a second to move."""
    with suppress(AssertionError):
        until(moved, 1)


@pytest.mark.parametrize("door", ["aiohttp", "httpx2"])
def test_cut_off(torrent: Torrent, door: str, caplog: pytest.LogCaptureFixture) -> None:
    """After `write_timeout` without progress the vendor's connection is closed, then the client's; nothing is left."""
    gateway = pouring(torrent, door, write_timeout=0.8)
    with caplog.at_level(logging.INFO), served(gateway) as (root, server):
        clients = [ask(root, stream=True) for _ in range(5)]
        until(lambda: torrent.opened == 5, 60)
        until(lambda: torrent.open == 0, 60)
        until(lambda: in_flight(gateway) == 0, 20)
        until(lambda: not server.server_state.connections, 60)
        for client in clients:
            client.close()
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name in LINES]

    assert [("client_stuck", 200)] * 5 == [(line["ended"], line["status"]) for line in lines if "ended" in line]
    assert ["cancelled"] * 5 == [line["outcome"] for line in lines if "outcome" in line]


def test_slow_is_not_stuck() -> None:
    """Whoever takes one message within the limit is slow; whoever takes none is stuck, unless none is sent."""
    request = SimpleNamespace(sends=0)
    reads = Reads(cast("Incoming", request), 60.0)
    seen = []
    for now, sends in (
        (0, 0),
        (100, 0),
        (110, 1),
        (165, 3),
        (220, 5),
        (225, 6),
        (300, 6),
        (310, 7),
        (369, 7),
        (370, 7),
    ):
        request.sends = sends
        seen.append(reads.stuck(float(now)))

    assert [False] * 9 + [True] == seen


def test_a_tail_that_is_not_read() -> None:
    """A connection whose answer is out and lies unread in our buffer is closed as well; one that moves is not."""

    class Transport:
        def __init__(self, sizes: list[int]) -> None:
            self.sizes, self.aborted = sizes, False

        def get_write_buffer_size(self) -> int:
            return self.sizes.pop(0)

        def abort(self) -> None:
            self.aborted = True

    class Connection:
        def __init__(self, *sizes: int) -> None:
            self.transport: Any = Transport(list(sizes))

    unread = Unread(2.0)
    stuck, moves, grows, empty = (
        Connection(9, 9, 9, 9),
        Connection(9, 9, 8, 8),
        Connection(5, 6, 7, 8),
        Connection(0, 0, 0, 0),
    )
    for now in (0.0, 1.0, 2.0, 3.0):
        unread.look([each for each in (stuck, moves, grows, empty) if not each.transport.aborted], now)

    assert [True, False, True, False] == [each.transport.aborted for each in (stuck, moves, grows, empty)]


@pytest.mark.anyio
async def test_on_any_server(torrent: Torrent, anyio_backend: str) -> None:
    """The application notices by itself, on both event loops, and lets go of what it holds."""
    gateway = pouring(torrent, "httpx2", write_timeout=0.4)
    exchange = Exchange(asked(stream=True))

    async def send(message: Any) -> None:
        if exchange.text:
            await anyio.sleep_forever()
        await exchange.send(message)

    async with gateway:
        with anyio.fail_after(20):
            await create_app(gateway)(exchange.scope, exchange.receive, send)
            while torrent.open:
                await anyio.sleep(0.01)

    assert 0 == in_flight(gateway)
    assert b"[DONE]" not in exchange.text
