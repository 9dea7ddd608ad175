"""HTTP/1.1 over loopback sockets, small enough to misbehave on purpose.

A web framework would hide what the faults need: the listener that closes and comes back on the
same port, the reset, the answer that stops half way. h11 keeps the grammar right; the rest is
sockets. Runs on asyncio and trio.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
import h11
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup, TaskStatus

__all__ = ["MAX_BODY", "MAX_HEAD", "Exchange", "Handler", "Port", "Request"]

MAX_HEAD = 64 * 1024
MAX_BODY = 10 * 1024 * 1024
READ = 64 * 1024
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
LOG = logging.getLogger("aigateway.sandbox")


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class TooLargeError(Exception):
    """A head or a body is over its bound."""

    def __init__(self, status: int, what: str, bound: int) -> None:
        super().__init__(f"the {what} is larger than {bound} bytes")
        self.status = status


class Exchange:
    """One request and the answer to it.

    Returning from the handler before `finish` closes the connection: a cut answer.
    """

    def __init__(self, request: Request, stream: SocketStream, connection: h11.Connection) -> None:
        self.request = request
        self.left = False
        self._stream = stream
        self._connection = connection

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer whole."""
        await self.begin(status, headers, length=len(body))
        await self.write(body)
        await self.finish()

    async def begin(self, status: int, headers: Mapping[str, str], *, length: int | None = None) -> None:
        """Send the head; without a length the body is chunked."""
        pairs = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        if length is not None:
            pairs.append((b"content-length", str(length).encode("ascii")))
        await self._send(h11.Response(status_code=status, headers=pairs))

    async def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if data and self.request.method != "HEAD":
            await self._send(h11.Data(data=data))

    async def finish(self) -> None:
        """Say that the body is complete."""
        await self._send(h11.EndOfMessage())

    def reset(self) -> None:
        """Make closing the connection a reset, as a crashed server's would be."""
        raw = self._stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's extra, not a database's
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        data = self._connection.send(event)
        if data:
            await self._stream.send(data)


Handler = Callable[[Exchange], Awaitable[None]]


class Port:
    """One loopback port: open, or closed and kept, so that it comes back as the same."""

    def __init__(self, handler: Handler, number: int = 0) -> None:
        self._handler = handler
        self._kept: socket.socket | None = None
        self._scope: anyio.CancelScope | None = None
        self._ended = anyio.Event()
        self.number = number

    async def open(self, tasks: TaskGroup) -> None:
        """Listen; accepted connections are served in `tasks`."""
        if self._scope is not None:
            return
        raw, self._kept = self._kept or self._bind(), None
        raw.listen(1024)
        listener = await SocketListener.from_socket(raw)
        self._ended = anyio.Event()
        self._scope = await tasks.start(self._serve, listener)

    async def close(self) -> None:
        """Refuse connections and drop the open ones."""
        if self._scope is None:
            return
        self._scope.cancel()
        await self._ended.wait()
        self._scope = None
        # Bound and not listening: refused, and nobody else can be given the port meanwhile.
        self._kept = self._bind()

    def release(self) -> None:
        """Give a kept port back."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _bind(self) -> socket.socket:
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            raw.bind(("127.0.0.1", self.number))
        except OSError as error:
            raw.close()
            raise OSError(error.errno, f"cannot use port {self.number} on 127.0.0.1: {error.strerror}") from None
        self.number = raw.getsockname()[1]
        return raw

    async def _serve(self, listener: SocketListener, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        try:
            with anyio.CancelScope() as scope:
                async with listener:
                    task_status.started(scope)
                    await listener.serve(self._accept)
        finally:
            self._ended.set()

    async def _accept(self, stream: SocketStream) -> None:
        await Connection(stream, self._handler).serve()


class Connection:
    """One client connection, kept alive over many requests."""

    def __init__(self, stream: SocketStream, handler: Handler) -> None:
        self._stream = stream
        self._handler = handler
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def serve(self) -> None:
        """Answer until either side has enough."""
        async with self._stream:
            try:
                while (request := await self._read()) is not None:
                    await self._exchange(request)
                    if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                        break
                    self._h11.start_next_cycle()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint, "the request is not valid HTTP/1.1")
            except TooLargeError as error:
                await self._refuse(error.status, str(error))
            except GONE:
                pass

    async def _read(self) -> Request | None:
        """Read one request; None when the client has closed."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                await self._more()
            elif isinstance(event, h11.Request):
                head = event
                # h11 bounds what is incomplete; a large head that came at once is whole.
                if sum(len(name) + len(value) + 4 for name, value in head.headers) + len(head.target) > MAX_HEAD:
                    raise TooLargeError(431, "request head", MAX_HEAD)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise TooLargeError(413, "request body", MAX_BODY)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body))
            else:
                return None

    async def _more(self) -> None:
        if self._h11.they_are_waiting_for_100_continue:
            go_on = self._h11.send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._stream.send(go_on or b"")
        try:
            self._h11.receive_data(await self._stream.receive(READ))
        except anyio.EndOfStream:
            self._h11.receive_data(b"")

    async def _exchange(self, request: Request) -> None:
        """Let the handler answer, and stop it when the client leaves."""
        exchange = Exchange(request, self._stream, self._h11)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, exchange, tasks.cancel_scope)
            try:
                await self._handler(exchange)
            except GONE:
                exchange.left = True
            except Exception:
                LOG.exception("the sandbox could not answer %s %s", request.method, request.path[:200])
            tasks.cancel_scope.cancel()

    async def _watch(self, exchange: Exchange, scope: anyio.CancelScope) -> None:
        """Notice that the client left while it should be reading; keep what it sends early."""
        early = 0
        try:
            while early < MAX_HEAD:
                data = await self._stream.receive(READ)
                early += len(data)
                self._h11.receive_data(data)
        except GONE:
            exchange.left = True
            scope.cancel()

    async def _refuse(self, status: int, why: str) -> None:
        """Answer a request we did not read to its end, and let the client read the answer."""
        if self._h11.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = why.encode("ascii") + b"\n"
        length = str(len(body)).encode("ascii")
        headers = [(b"content-type", b"text/plain"), (b"content-length", length), (b"connection", b"close")]
        events = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        try:
            await self._stream.send(b"".join(self._h11.send(event) or b"" for event in events))
            await self._stream.send_eof()
            with anyio.move_on_after(1):
                while True:
                    await self._stream.receive(READ)
        except GONE:
            pass


def _request(head: h11.Request, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = head.target.decode("latin-1").partition("?")[0]
    return Request(head.method.decode("latin-1"), path, headers, body)
