"""The least a relay can do, and so the reference: parse the JSON, change the model, forward; no features.

`python -m benchmarks.relay --port N --upstream PORT` serves it with uvicorn and aiohttp.
"""

from __future__ import annotations

import argparse
from typing import Any

import aiohttp
import uvicorn
from pydantic_core import from_json, to_json

from .payloads import VENDOR_KEY

HEADERS = {"authorization": f"Bearer {VENDOR_KEY}", "content-type": "application/json"}


class Relay:
    """A raw ASGI application."""

    def __init__(self, upstream: int) -> None:
        self._url = f"http://127.0.0.1:{upstream}/v1/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._relay(receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _relay(self, receive: Any, send: Any) -> None:
        body = from_json(await _read(receive))
        body["model"] = "model"
        assert self._session is not None
        async with self._session.post(self._url, data=to_json(body), headers=HEADERS) as response:
            content_type = response.headers["content-type"].encode()
            if body.get("stream"):
                await _start(send, response.status, [(b"content-type", content_type)])
                async for data in response.content.iter_any():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                data = await response.read()
                length = str(len(data)).encode()
                await _start(send, response.status, [(b"content-type", content_type), (b"content-length", length)])
                await send({"type": "http.response.body", "body": data})


async def _read(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _start(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    options = parser.parse_args()
    app: Any = Relay(options.upstream)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
