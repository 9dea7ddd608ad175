"""A stand-in vendor, cheap enough not to be what is measured: one fixed answer, one paced stream.

`python -m benchmarks.upstream` listens on a free port of 127.0.0.1 and prints the port.
"""

from __future__ import annotations

import asyncio
import re
from typing import cast

from .event_loop import run
from .payloads import INTERVAL, answer_body, stream_events

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD = b"HTTP/1.1 %s\r\nserver: upstream\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: %s\r\n%s\r\n\r\n"


def _whole(status: bytes, body: bytes, extra: bytes = b"") -> bytes:
    return HEAD % (status, b"application/json", b"content-length: %d%s" % (len(body), extra)) + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


ANSWER = _whole(b"200 OK", answer_body())
MODELS = _whole(b"200 OK", b'{"object":"list","data":[{"id":"model","object":"model"}]}')
NOT_FOUND = _whole(b"404 Not Found", b'{"error":{"message":"no such path"}}')
NO_LENGTH = _whole(b"411 Length Required", b'{"error":{"message":"send a length"}}', b"\r\nconnection: close")
STREAM_HEAD = HEAD % (b"200 OK", b"text/event-stream", b"transfer-encoding: chunked")
*PACED, CLOSING = [_chunk(event) for event in stream_events()]
CLOSING += b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One kept-alive connection: read a whole request, answer it, wait for the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._sent = 0
        self._start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end]
        length = LENGTH.search(head)
        if length is None and head.startswith(b"POST"):
            self._write(NO_LENGTH, close=True)
            return
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(buffer) >= whole:
            self._buffer = buffer[whole:]
            self._answer(head, buffer[end + 4 : whole])

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/v1/models":
            self._write(MODELS)
        elif path != b"/v1/chat/completions":
            self._write(NOT_FOUND)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self._write(STREAM_HEAD)
            self._sent, self._start = 0, self._loop.time()
            self._schedule()
        else:
            self._write(ANSWER)

    def _schedule(self) -> None:
        """Pace by the clock since the start, so that a late chunk does not delay the ones after it."""
        self._timer = self._loop.call_at(self._start + (self._sent + 1) * INTERVAL, self._tick)

    def _tick(self) -> None:
        self._sent += 1
        if self._sent < len(PACED):
            self._write(PACED[self._sent - 1])
            self._schedule()
        else:
            self._timer = None
            self._write(PACED[-1] + CLOSING)

    def _write(self, data: bytes, *, close: bool = False) -> None:
        if self._transport is not None:
            self._transport.write(data)
            if close:
                self._transport.close()


async def serve() -> None:
    """Listen until the process ends."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    run(serve())
