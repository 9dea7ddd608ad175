"""The load on an HTTP subject: raw connections that send the next request when an answer is whole.

`python -m benchmarks.load` takes orders on stdin: a load, a port, and the process to watch.
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Any, cast

from .accounting import cpu_seconds
from .event_loop import run, take_orders
from .payloads import CALLER_KEY, CHUNKS, MARK, request_body
from .plan import MAX_REQUESTS, MAX_SECONDS, Load, Sample, percentile

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
TOKEN = MARK.encode()


class BadAnswerError(Exception):
    """The subject did not do its work."""


class Answer:
    """One HTTP/1.1 answer as it arrives, without I/O."""

    __slots__ = ("_chunked", "_data", "_needed", "body_at", "reads")

    def __init__(self) -> None:
        self._data = bytearray()
        self._needed = 0
        self._chunked = False
        self.body_at = 0
        self.reads = 0

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; say whether the answer is whole."""
        self._data += data
        if not self.body_at and not self._read_head():
            return False
        if len(self._data) > self.body_at:
            self.reads += 1
        return self._data.endswith(LAST_CHUNK) if self._chunked else len(self._data) >= self._needed

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.body_at = end + 4
        length = LENGTH.search(self._data, 0, end)
        if length:
            self._needed = self.body_at + int(length[1])
        elif CHUNKED.search(self._data, 0, end):
            self._chunked = True
        else:
            raise BadAnswerError(f"neither a length nor chunks: {bytes(self._data[:200])!r}")
        return True

    def check(self, *, stream: bool) -> None:
        """Raise BadAnswerError unless it is the expected one."""
        if self._data[9:12] != b"200":
            raise BadAnswerError(f"{self._data[9:12].decode()}: {self._body()!r}")
        if not stream and b'"choices"' not in self._data:
            raise BadAnswerError(f"no choices: {self._body()!r}")
        if stream and (self._data.count(TOKEN) != CHUNKS or b"[DONE]" not in self._data):
            raise BadAnswerError(f"{self._data.count(TOKEN)} of {CHUNKS} chunks, tail {bytes(self._data[-200:])!r}")

    def _body(self) -> bytes:
        return bytes(self._data[self.body_at : self.body_at + 300])


class Tally:
    """One running load: how much is left to start, and what came back."""

    def __init__(self, load: Load, connections: int) -> None:
        self.stream = load.streams > 0
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.reads = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = load.streams or MAX_REQUESTS
        self._until = perf_counter() + load.seconds
        self._busy = connections

    def more(self) -> bool:
        """Say whether one more request is to start; it then counts as started."""
        if self._left <= 0 or perf_counter() >= self._until or self.finished.done():
            return False
        self._left -= 1
        return True

    def rest(self) -> None:
        """One connection has nothing more to do."""
        self._busy -= 1
        if not self._busy and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the load: a subject that fails once is not measured."""
        if not self.finished.done():
            self.finished.set_exception(error)


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request in flight."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._tally: Tally | None = None
        self._answer = Answer()
        self._start = 0.0
        self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._tally is not None:
            self._tally.fail(BadAnswerError(f"the server closed a connection ({exc!r})"))

    def begin(self, tally: Tally) -> None:
        """Work for `tally` until it has nothing more."""
        self._tally = tally
        self._next(tally)

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if tally is None:
            return
        try:
            whole = self._answer.feed(data)
            if not self._first and self._answer.reads:
                self._first = perf_counter()
            if whole:
                self._answer.check(stream=tally.stream)
                self._count(tally)
                self._next(tally)
        except BadAnswerError as error:
            tally.fail(error)

    def _count(self, tally: Tally) -> None:
        tally.latencies.append(perf_counter() - self._start)
        if tally.stream:
            tally.firsts.append(self._first - self._start)
            tally.reads += self._answer.reads

    def _next(self, tally: Tally) -> None:
        if self._transport is None:
            tally.fail(BadAnswerError("the server closed a connection"))
        elif tally.more():
            self._answer, self._first, self._start = Answer(), 0.0, perf_counter()
            self._transport.write(self._request)
        else:
            self._tally = None
            tally.rest()

    def close(self) -> None:
        """Close without complaint."""
        self._tally = None
        if self._transport is not None:
            self._transport.close()


async def measure(load: Load, port: int, pid: int) -> Sample:
    """Put `load` on the server at `port`; count what the processes under `pid` used."""
    loop = asyncio.get_running_loop()
    request = _request(stream=load.streams > 0)
    connections: list[Connection] = []
    try:
        for _ in range(load.in_flight):
            connection = (await loop.create_connection(lambda: Connection(request), "127.0.0.1", port))[1]
            connections.append(connection)
        if load.warm:
            await _drive(load.warming(), connections)
        cpu, start = cpu_seconds(pid), perf_counter()
        tally = await _drive(load.counted(), connections)
        wall, cpu = perf_counter() - start, cpu_seconds(pid) - cpu
    finally:
        for connection in connections:
            connection.close()
    return _sample(tally, cpu, wall)


async def _drive(load: Load, connections: list[Connection]) -> Tally:
    tally = Tally(load, len(connections))
    for connection in connections:
        connection.begin(tally)
    async with asyncio.timeout(MAX_SECONDS):
        await tally.finished
    return tally


def _sample(tally: Tally, cpu: float, wall: float) -> Sample:
    done = len(tally.latencies)
    return Sample(
        units=done * CHUNKS if tally.stream else done,
        requests=done,
        cpu_s=cpu,
        wall_s=wall,
        p50_ms=percentile(tally.latencies, 0.5) * 1e3,
        p99_ms=percentile(tally.latencies, 0.99) * 1e3,
        first_ms=percentile(tally.firsts, 0.5) * 1e3 if tally.stream else None,
        reads=tally.reads / done if tally.stream else None,
    )


def _request(*, stream: bool) -> bytes:
    body = request_body("smart", stream=stream)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {CALLER_KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _handle(order: dict[str, Any]) -> dict[str, Any]:
    sample = await measure(Load(**order["load"]), order["port"], order["pid"])
    return vars(sample)


if __name__ == "__main__":
    run(take_orders(_handle))
