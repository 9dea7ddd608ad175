"""Vendors behind TLS: what is right or wrong with a certificate is its name.

The certificates were made for these rows, their keys lie open beside them, and nobody else trusts their authority.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from .vendor import Asked, Vendor, head

__all__ = ["NAMES", "certified"]

PLACE = Path(__file__).parent / "certificates"
# `good` is for localhost, `wrong` for another host, `unknown` signed by nobody.
NAMES = ("good", "expired", "wrong", "unknown")


@asynccontextmanager
async def certified(vendors: Mapping[str, Vendor]) -> AsyncIterator[Mapping[str, str]]:
    """Put vendors behind the certificates they are named for."""
    urls = {}
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        for name in NAMES:
            listener = await stack.enter_async_context(await anyio.create_tcp_listener(local_host="127.0.0.1"))
            urls[name] = f"https://localhost:{listener.extra(SocketAttribute.local_port)}/v1"
            tasks.start_soon(listener.serve, _serving(vendors[name]))
        yield urls
        tasks.cancel_scope.cancel()


def _serving(vendor: Vendor) -> Callable[[ByteStream], Awaitable[None]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PLACE / f"{vendor.name}.pem")

    async def serve(stream: ByteStream) -> None:
        async with stream:
            with suppress(ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
                wrapped = await TLSStream.wrap(stream, server_side=True, ssl_context=context, standard_compatible=False)
                await wrapped.receive()
                vendor.asked.append(Asked(time.monotonic(), "", {}, {}))
                await wrapped.send(_answer(vendor))

    return serve


def _answer(vendor: Vendor) -> bytes:
    """Write a whole answer that ends with its connection."""
    message = {"role": "assistant", "content": vendor.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    data = json.dumps({"id": "1", "object": "chat.completion", "model": "a", "choices": [choice]}).encode()
    return (
        head(200, {"content_type": "application/json", "content_length": str(len(data)), "connection": "close"}) + data
    )
