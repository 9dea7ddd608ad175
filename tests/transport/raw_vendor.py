"""A vendor that sends exactly the bytes it is told to, over a real socket, whatever they do to its client."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from .parts import read_request

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)

Answer = Callable[[bytes], AsyncGenerator[bytes]]


class FallSilent(Exception):
    """Raised by an answer that never goes on."""


class HangUp(FallSilent):
    """Raised by an answer that ends with the connection."""


class RawVendor:
    """Answer each request with pieces of bytes; remember the requests and count the connections."""

    def __init__(self, answer: Answer) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = self.open = self.sent = 0
        self._answer = answer

    async def serve(self, stream: ByteStream) -> None:
        """Answer until the client leaves. Only the client closes: what it forgets stays open."""
        self.connections += 1
        self.open += 1
        try:
            async with stream:
                with suppress(*GONE):
                    while True:
                        await self._exchange(stream)
        finally:
            self.open -= 1

    async def _exchange(self, stream: ByteStream) -> None:
        self.requests.append(await read_request(stream))
        try:
            async with aclosing(self._answer(self.requests[-1])) as pieces:
                async for piece in pieces:
                    await stream.send(piece)
                    self.sent += len(piece)
        except FallSilent as silence:
            if isinstance(silence, HangUp):
                await stream.send_eof()
            while True:
                await stream.receive()

    async def all_closed(self) -> None:
        """Wait until the client has closed every connection."""
        with anyio.fail_after(10):
            while self.open:
                await anyio.sleep(0.005)


@asynccontextmanager
async def raw_vendor(answer: Answer | bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawVendor]:
    """Serve `answer` on loopback; bytes are an answer that ends with the connection."""
    vendor = RawVendor(ending(answer) if isinstance(answer, bytes) else answer)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    vendor.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    serving = TLSListener(listener, tls, standard_compatible=False) if tls else listener
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(serving.serve, vendor.serve)
        yield vendor
        tasks.cancel_scope.cancel()


def ending(*pieces: bytes) -> Answer:
    """Send these and end the connection."""

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece
        raise HangUp

    return answer


def staying(data: bytes) -> Answer:
    """Send this and wait for the next request."""

    async def answer(request: bytes) -> AsyncGenerator[bytes]:
        yield data

    return answer


def sized(body: bytes, head: bytes = OK) -> bytes:
    """Give a whole answer that leaves the connection open."""
    return head + b"content-length: %d\r\n\r\n" % len(body) + body
