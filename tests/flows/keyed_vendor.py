"""A vendor that knows which keys are good, over real sockets; it counts who asked with what."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Seen", "Vendor", "vendor_running"]

WORDS = {
    401: "Incorrect API key provided: {key}",
    402: "You exceeded your current quota",
    429: "Rate limit reached",
    500: "The server had an error",
}
CODES = {401: "invalid_api_key", 402: "insufficient_quota", 429: "rate_limit_exceeded", 500: "server_error"}


class Seen(NamedTuple):
    """One call that arrived."""

    key: str
    model: str
    status: int


@dataclass
class Vendor:
    """Answer chat in OpenAI's dialect; a test changes what it knows while it runs.

    `good` are the keys it takes. `says` are statuses by key, or by (key, model), that go before
    that. `pace` is the time between two pieces of a stream, `takes` the time a whole answer takes.
    `most` is how many calls a key had at a time.
    """

    url: str = ""
    good: set[str] = field(default_factory=set)
    says: dict[str | tuple[str, str], int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    pace: float = 0.0
    takes: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    def used(self, status: int = 200) -> list[str]:
        """List the keys of the calls that were answered so, in order."""
        return [seen.key for seen in self.seen if seen.status == status and seen.model]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client leaves."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                await self._answer(head, await _body(reader, head), writer)
        writer.close()

    async def _answer(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(body) if body else {}
        key, model = _header_of(head, "authorization").removeprefix("bearer "), asked.get("model", "")
        status = self.says.get((key, model)) or self.says.get(key) or (200 if key in self.good else 401)
        self.seen.append(Seen(key, model, status))
        if status != 200:
            said = {"message": WORDS[status].format(key=key), "type": "error", "code": CODES[status], "param": None}
            await self._send(writer, status, {"error": said})
        elif not model:
            await self._send(writer, 200, {"object": "list", "data": [{"id": "m1", "object": "model"}]})
        else:
            await self._work(key, model, asked, writer)

    async def _work(self, key: str, model: str, asked: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        self.now[key] += 1
        self.most[key] = max(self.most[key], self.now[key])
        try:
            if asked.get("stream"):
                await self._stream(model, writer)
            else:
                await asyncio.sleep(self.takes)
                await self._send(writer, 200, _whole(model, f"{key[-4:]}"), self.headers.get(key, {}))
        finally:
            self.now[key] -= 1

    async def _stream(self, model: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for piece in ("one", "two", "three", None):
            delta = {"role": "assistant", "content": piece} if piece else {}
            choice = {"index": 0, "delta": delta, "finish_reason": None if piece else "stop"}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await writer.drain()
            await asyncio.sleep(self.pace)
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, body: object, more: Mapping[str, str] | None = None
    ) -> None:
        text = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(text)}"]
        lines += [f"{name}: {value}" for name, value in (more or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + text)
        await writer.drain()


def _header_of(head: str, name: str) -> str:
    return next((line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(f"{name}: ")), "")


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    return await reader.readexactly(int(_header_of(head, "content-length") or 0))


def _whole(model: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


@contextmanager
def vendor_running() -> Iterator[Vendor]:
    """Run one in a thread of its own; keys are lower-case, for it compares heads so."""
    vendor, ready, loop = Vendor(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, backlog=512)
        vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stopped.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="vendor")
    thread.start()
    try:
        assert ready.wait(20)
        yield vendor
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(20)
        loop.close()
