"""The application spoken to as a server does, on both event loops: it needs no particular server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from aigateway import Gateway, Settings
from aigateway.asgi import create_app
from aigateway.testing.sandbox import Sandbox

pytestmark = pytest.mark.anyio

Switch = Callable[[str, str], None]


class Exchange:
    """One request as a server brings it, and what the application sent; the client leaves when `leave` is set."""

    def __init__(self, body: Any, *, path: str = "/v1/chat/completions", kind: str = "http") -> None:
        self.scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1234),
            "server": ("127.0.0.1", 80),
        }
        data = json.dumps(body).encode()
        self._parts = [data[:10], data[10:]]
        self.leave = anyio.Event()
        self.sent: list[Any] = []
        self.text = b""

    async def receive(self) -> Any:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.text += message.get("body", b"")


def asked(*, stream: bool = False) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}], "stream": stream}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_answers(gateway: Gateway, stream: bool) -> None:
    """Plain and streamed answers, a body that comes in parts, one head, one end."""
    exchange = Exchange(asked(stream=stream))
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)
    starts = [message for message in exchange.sent if message["type"] == "http.response.start"]

    assert [200] == [message["status"] for message in starts]
    assert [False] == [True for message in exchange.sent[:-1] if not message.get("more_body", True)] + [
        exchange.sent[-1].get("more_body", False)
    ]
    assert b"stand-in" in exchange.text
    assert exchange.text.endswith(b"data: [DONE]\n\n") is stream


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_fails_over(gateway: Gateway, switch: Switch, stream: bool) -> None:
    """The second vendor answers when the first is down."""
    switch("deepseek", "down")
    exchange = Exchange(asked(stream=stream))
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    assert (b"x-aigateway-provider", b"sandbox/minimax") in exchange.sent[0]["headers"]
    assert b"MiniMax" in exchange.text


@pytest.mark.parametrize("fault", ["hang", "stall:2"])
async def test_the_client_leaves(
    configure: Callable[..., Settings], switch: Switch, standins: Sandbox, fault: str
) -> None:
    """A client that leaves ends the work within a second, before content and after it; nothing is raised."""
    switch("deepseek", fault)
    gateway = Gateway(configure(timeouts={"first_content": 20.0, "silence": 20.0}))
    exchange = Exchange(asked(stream=True))

    async def answer() -> None:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    async with gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        with anyio.fail_after(5):
            while not standins.vendors["deepseek"].requests or (fault == "stall:2" and not exchange.text):
                await anyio.sleep(0.01)
        await anyio.sleep(0.1)
        exchange.leave.set()
        with anyio.fail_after(1):
            while not standins.vendors["deepseek"].requests[-1].ended:
                await anyio.sleep(0.01)

    assert "left" == standins.vendors["deepseek"].requests[-1].ended
    assert (b"reasoning_content" in exchange.text) is (fault == "stall:2")
    assert b"[DONE]" not in exchange.text


async def test_a_mistake(gateway: Gateway) -> None:
    """An error has its status and envelope on both loops."""
    exchange = Exchange({"model": "smart"})
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    assert 400 == exchange.sent[0]["status"]
    assert "messages" == json.loads(exchange.text)["error"]["param"]


@pytest.mark.parametrize(
    ("length", "status"), [("\xb2", 200), ("9" * 5000, 413)], ids=["a superscript", "5,000 digits"]
)
async def test_a_length_that_is_no_number(gateway: Gateway, length: str, status: int) -> None:
    """A server may let any length through: what is none says nothing, and one too long to read is too long."""
    exchange = Exchange(asked())
    exchange.scope["headers"].append((b"content-length", length.encode("latin-1")))
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    assert status == exchange.sent[0]["status"]


async def test_all_fail(gateway: Gateway, switch: Switch, standins: Sandbox) -> None:
    """When nobody answers, a stream that had not begun gets a status, not an event."""
    for vendor in standins.vendors:
        switch(vendor, "down")
    exchange = Exchange(asked(stream=True))
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    assert 503 == exchange.sent[0]["status"]
    assert (b"content-type", b"application/json") in exchange.sent[0]["headers"]


async def test_websockets_are_refused(gateway: Gateway) -> None:
    """A websocket is closed at once."""
    exchange = Exchange({}, kind="websocket")
    async with gateway:
        await create_app(gateway)(exchange.scope, exchange.receive, exchange.send)

    assert [{"type": "websocket.close", "code": 1003}] == exchange.sent
