"""The proxy: where it listens, what befalls its connections, what it saw of them."""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from ._connection import Connection
from ._flow import Direction, Toxic
from ._legs import Address, listen

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["Toxics"]

BACKLOG = 1024
FILLERS = 4  # connections that fill a backlog of 0; Linux takes one
HEALTHY = Toxic()


class Toxics:
    """A TCP proxy on loopback in front of one address, as long as an `async with` lasts.

    `toxic` acts on what the vendor sends, `upstream_toxic` on what the gateway sends; None only
    passes on. Setting one acts at once, on open connections too (from the event loop's thread).
    """

    def __init__(self, host: str, port: int, toxic: Toxic | None = None, *, path: str = "") -> None:
        self._upstream = (host, port)
        self._path = path
        self._toxic = toxic
        self._upstream_toxic: Toxic | None = None
        self._door: Door | None = None
        self._open: set[Connection] = set()
        self._news = anyio.Event()
        self._running: AbstractAsyncContextManager[None] | None = None
        self.connections: list[Connection] = []

    @classmethod
    def before(cls, url: str, toxic: Toxic | None = None) -> Self:
        """Stand before the server of a plain HTTP URL; the proxy's URL keeps the path."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the URL must be one of plain HTTP, such as a stand-in's, not {url[:80]!r}")
        return cls(parts.hostname, parts.port or 80, toxic, path=parts.path)

    def __repr__(self) -> str:
        """Show where it listens and what it does."""
        if self._door is None:
            return "Toxics(closed)"
        return f"Toxics({self.url}, {self.open} open, {self.toxic!r}, {self.upstream_toxic!r})"

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._door is None:
            raise RuntimeError("the proxy is not running; use it in `async with Toxics(...) as proxy:`")
        return self._door.port

    @property
    def url(self) -> str:
        """Where it listens, with the path of the URL it stands before."""
        return f"http://127.0.0.1:{self.port}{self._path}"

    @property
    def toxic(self) -> Toxic | None:
        """What befalls what the vendor sends."""
        return self._toxic

    @toxic.setter
    def toxic(self, toxic: Toxic | None) -> None:
        self._toxic = toxic
        self._refresh()

    @property
    def upstream_toxic(self) -> Toxic | None:
        """What befalls what the gateway sends."""
        return self._upstream_toxic

    @upstream_toxic.setter
    def upstream_toxic(self, toxic: Toxic | None) -> None:
        self._upstream_toxic = toxic
        self._refresh()

    @property
    def open(self) -> int:
        """How many connections the gateway still holds."""
        return sum(connection.open for connection in self._open)

    @property
    def bytes_down(self) -> int:
        """How many bytes were passed on to the gateway."""
        return sum(connection.bytes_down for connection in self.connections)

    @property
    def bytes_up(self) -> int:
        """How many bytes were passed on to the vendor."""
        return sum(connection.bytes_up for connection in self.connections)

    async def all_closed(self) -> None:
        """Wait until the gateway holds no connection."""
        while self.open:
            await self._news.wait()

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("this proxy is already running; make another one")
        self._running = self._run()
        try:
            await self._running.__aenter__()
        except BaseException:
            self._running = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        running, self._running = self._running, None
        return await running.__aexit__(kind, error, traceback) if running is not None else None

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None]:
        """Serve until the body ends; what the body raises comes out as it is, not in a group."""
        (family, _, _, _, address), *_ = await anyio.getaddrinfo(*self._upstream, type=socket.SOCK_STREAM)
        failure: BaseException | None = None
        try:
            self._door = Door()
            self._refresh()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._serve, self._door, (family, address), tasks)
                try:
                    yield
                except (anyio.get_cancelled_exc_class(), GeneratorExit):
                    raise
                except BaseException as error:  # a test's failure is no Exception in pytest
                    failure = error
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            self._close()
        if failure is not None:
            raise failure

    async def _serve(self, door: Door, vendor: Address, tasks: TaskGroup) -> None:
        while True:
            raw = await door.accept()
            connection = Connection(len(self.connections), raw, vendor, self._choose, self._tell)
            self.connections.append(connection)
            self._open.add(connection)
            tasks.start_soon(self._keep, connection)

    async def _keep(self, connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)

    def _close(self) -> None:
        for connection in [*self._open]:
            connection.close()
        self._open.clear()
        if self._door is not None:
            self._door.close()
            self._door = None

    def _choose(self, direction: Direction) -> Toxic:
        ours, other = self._toxic or HEALTHY, self._upstream_toxic or HEALTHY
        if direction == "upstream":
            ours, other = other, ours
        return other if other.both and not ours.both else ours

    def _refresh(self) -> None:
        """Let what is open, and who waits outside, feel the change."""
        if self._door is None:
            return
        if all(toxic is None or toxic.accepts for toxic in (self._toxic, self._upstream_toxic)):
            self._door.open()
        else:
            self._door.shut()
        for connection in [*self._open]:
            connection.refresh()

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()


class Door:
    """The listening socket: open, or with a full queue before it, so that a SYN goes unanswered."""

    def __init__(self) -> None:
        self._listener = listen()
        self._opened = anyio.Event()
        self._opened.set()
        self._fillers: list[socket.socket] = []
        self._strangers: set[object] = set()  # fillers that were taken for connections
        self.port: int = self._listener.getsockname()[1]

    async def accept(self) -> socket.socket:
        """Wait for a connection that is not one of our own."""
        while True:
            await self._opened.wait()
            await anyio.wait_readable(self._listener)
            if not self._opened.is_set():
                continue
            try:
                raw, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            if address not in self._strangers:
                return raw
            self._strangers.discard(address)
            raw.close()

    def shut(self) -> None:
        """Fill the queue; who is in it already waits there."""
        if self._fillers:
            return
        self._opened = anyio.Event()
        self._listener.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._fillers.append(filler)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
        select.select([], self._fillers, [], 0.1)  # on loopback it is there at once, if there is room

    def open(self) -> None:
        """Accept again, who waits too."""
        if not self._fillers:
            return
        self._strangers.update(filler.getsockname() for filler in self._fillers if _is_connected(filler))
        self._empty()
        self._listener.listen(BACKLOG)
        self._opened.set()

    def close(self) -> None:
        """Listen no more."""
        self._empty()
        self._listener.close()

    def _empty(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()


def _is_connected(raw: socket.socket) -> bool:
    try:
        raw.getpeername()
    except OSError:
        return False
    return True
