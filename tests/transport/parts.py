"""What the tests of the wire share: the doors on their event loops, a request, reading one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.abc import ByteStream

from aigateway.secrets import Secret
from aigateway.transport import Transport, open_transport
from aigateway.types import HTTPRequest

PAIRS = [("httpx2", "asyncio"), ("httpx2", "trio"), ("aiohttp", "asyncio")]


@asynccontextmanager
async def door(pair: tuple[str, str]) -> AsyncIterator[Transport]:
    """Open one door on the loop that runs."""
    transport = open_transport(pair[0], backend=pair[1])  # type: ignore[arg-type]  # one of the kinds
    try:
        yield transport
    finally:
        await transport.aclose()


def post(url: str, **headers: str | Secret) -> HTTPRequest:
    """Make a request as a provider does."""
    return HTTPRequest("POST", url + "/v1/chat", {"content-type": "application/json", **headers}, b'{"a":1}')


async def read_request(stream: ByteStream) -> bytes:
    """Read one request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body
