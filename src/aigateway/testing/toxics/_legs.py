"""Plain sockets, because the faults need them: a FIN one way, a RST, no buffer that nobody counted.

Each wait is for readiness and each transfer is synchronous, so cancelling loses no byte. That is
what lets a toxic be changed while data is under way. Runs on asyncio and trio.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

__all__ = ["BUFFER", "Address", "Dialled", "Leg", "listen"]

BUFFER = 64 * 1024  # what one direction holds at most, in us and in each of its sockets
UNSENT = 0x894B  # SIOCOUTQNSD: bytes the kernel has not sent yet; Linux only

Address = tuple[int, Any]  # the family, and what connect() takes


class Leg:
    """One of the two sockets of a connection, and when its other end closed it."""

    def __init__(self, raw: socket.socket | None = None, on_closed: Callable[[], None] = lambda: None) -> None:
        self.closed_at: float | None = None
        self._raw = raw
        self._on_closed = on_closed
        if raw is not None:
            _prepare(raw)

    async def receive(self, most: int) -> bytes:
        """Wait for bytes; none means that the other end sends no more."""
        raw = await self._connected()
        while True:
            await anyio.wait_readable(raw)
            try:
                data = raw.recv(most)
            except BlockingIOError:
                continue
            except OSError:
                self._closed()
                raise
            if not data:
                self._closed()
            return data

    async def send(self, data: bytes) -> int:
        """Wait until some of it can be sent; return how much was."""
        raw = await self._connected()
        while True:
            await anyio.wait_writable(raw)
            try:
                return raw.send(data)
            except BlockingIOError:
                continue
            except OSError:
                self._closed()
                raise

    async def sent(self) -> None:
        """Wait until the kernel has sent what it was given; a RST would throw the rest away."""
        raw = await self._connected()
        while _unsent(raw) and not raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # noqa: ASYNC110 - the kernel tells nobody
            await anyio.sleep(0.005)

    async def finish(self) -> None:
        """Send FIN."""
        raw = await self._connected()
        try:
            raw.shutdown(socket.SHUT_WR)
        except OSError:
            self._closed()

    def abort(self) -> None:
        """Close with RST, as a crashed host or an impatient middlebox does."""
        if self._raw is not None:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close; nobody waits on it any more."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    async def _connected(self) -> socket.socket:
        if self._raw is None:
            raise ConnectionAbortedError("this side of the connection is closed")
        return self._raw

    def _closed(self) -> None:
        if self.closed_at is None:
            self.closed_at = time.monotonic()
            self._on_closed()


class Dialled(Leg):
    """The side we connect ourselves, when first used: a black hole never does."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._ready = False
        self._dialling = anyio.Lock()

    async def _connected(self) -> socket.socket:
        """Connect, or go on connecting: whoever began may have been cancelled."""
        async with self._dialling:
            raw = self._raw = self._raw or _dial(*self._address)
            if not self._ready:
                await anyio.wait_writable(raw)
                if code := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, "the vendor cannot be reached")
                self._ready = True
            return raw


def _dial(family: int, address: Any) -> socket.socket:
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(raw)
        with suppress(BlockingIOError):
            raw.connect(address)
    except BaseException:
        raw.close()
        raise
    return raw


def listen() -> socket.socket:
    """Listen on a free port of loopback."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _prepare(raw)  # accepted sockets inherit the sizes, in time for the handshake to announce them
    raw.bind(("127.0.0.1", 0))
    raw.listen(1024)
    return raw


def _prepare(raw: socket.socket) -> None:
    raw.setblocking(False)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the kernel joins what we sliced


def _unsent(raw: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    import fcntl

    return int.from_bytes(fcntl.ioctl(raw, UNSENT, b"\0\0\0\0"), sys.byteorder)
