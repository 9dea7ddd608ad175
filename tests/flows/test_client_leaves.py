"""A client that leaves is not worked for: the upstream connection closes within a second."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from aigateway import Gateway, Settings
from aigateway.testing.sandbox import Sandbox

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]
PATIENT = {"first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 30.0}
# At which fault a client waits, whether it asked for a stream, and how much it has read before it leaves.
WAITS = {
    "plain, no answer": ("hang", False, b""),
    "stream, nothing yet": ("hang", True, b""),
    "stream, in the middle": ("stall:3", True, b"reasoning_content"),
}


@pytest.fixture(params=["aiohttp", "httpx2"])
def patient(configure: Callable[..., Settings], request: pytest.FixtureRequest) -> Gateway:
    return Gateway(configure(timeouts=PATIENT, transport={"kind": request.param}))


def ask(root: str, *, stream: bool) -> socket.socket:
    """Send a request and leave the answer unread."""
    address = urlsplit(root)
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
    client = socket.create_connection((address.hostname, address.port), timeout=5)
    client.sendall(head.encode() + body)
    return client


def until(condition: Callable[[], Any], seconds: float) -> float:
    """Wait for a condition; give the seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - start


@pytest.mark.parametrize("case", WAITS)
def test_over_http(patient: Gateway, serving: Serving, switch: Switch, standins: Sandbox, case: str) -> None:
    """Whatever it waits for, the vendor sees the connection close within a second, and nobody else is asked."""
    fault, stream, needed = WAITS[case]
    switch("deepseek", fault)
    requests = standins.vendors["deepseek"].requests
    with serving(patient) as root:
        with ask(root, stream=stream) as client:
            until(lambda: requests, 5)
            read = b""
            while needed not in read:
                read += client.recv(4096)
        until(lambda: requests[-1].ended, 1)
        until(lambda: not patient.memory.facts(patient.parts.names.routes["smart"][0]).in_flight, 1)

    assert "left" == requests[-1].ended
    assert 1 == len(requests)
    assert 0 == len(standins.vendors["minimax"].requests)


def test_leaving_blames_nobody(patient: Gateway, serving: Serving, switch: Switch, standins: Sandbox) -> None:
    """A vendor is not held to be failing because a client left."""
    switch("deepseek", "hang")
    with serving(patient) as root:
        with ask(root, stream=False):
            until(lambda: standins.vendors["deepseek"].requests, 5)
        until(lambda: standins.vendors["deepseek"].requests[-1].ended, 1)

    assert "healthy" == patient.memory.health("deepseek")


@pytest.mark.anyio
async def test_a_cancelled_task(configure: Callable[..., Settings], switch: Switch, standins: Sandbox) -> None:
    """In-process, cancelling the call does the same, on both event loops."""
    switch("deepseek", "hang")
    async with Gateway(configure(timeouts=PATIENT)) as gateway:
        with anyio.move_on_after(0.2) as scope:
            await gateway.chat("smart", "hi")

        assert scope.cancelled_caught
        with anyio.fail_after(1):
            while standins.vendors["deepseek"].requests[-1].ended is None:
                await anyio.sleep(0.01)
    assert "left" == standins.vendors["deepseek"].requests[-1].ended
    assert 0 == len(standins.vendors["minimax"].requests)


@pytest.mark.anyio
async def test_a_stream_left_early(configure: Callable[..., Settings], standins: Sandbox) -> None:
    """Leaving the `async with` in the middle of a stream closes it upstream."""
    async with Gateway(configure()) as gateway:
        async with gateway.stream("smart", "tell me " * 40) as chunks:
            async for _ in chunks:
                break
        assert chunks.outcome is not None
        with anyio.fail_after(1):
            while standins.vendors["deepseek"].requests[-1].ended is None:
                await anyio.sleep(0.01)

    assert "cancelled" == chunks.outcome.state
    assert "left" == standins.vendors["deepseek"].requests[-1].ended


def test_many_leave_at_once(patient: Gateway, serving: Serving, switch: Switch, standins: Sandbox) -> None:
    """Twenty clients that leave together are all let go, and the server answers the next one."""
    switch("deepseek", "hang")
    requests = standins.vendors["deepseek"].requests
    with serving(patient) as root:
        clients = [ask(root, stream=bool(number % 2)) for number in range(20)]
        until(lambda: len(requests) == 20, 10)
        for client in clients:
            client.close()
        until(lambda: all(seen.ended for seen in requests), 1)
        switch("deepseek", "none")
        with ask(root, stream=False) as client:
            answer = client.recv(65536)

    assert {"left"} == {seen.ended for seen in list(requests)[:20]}
    assert answer.startswith(b"HTTP/1.1 200 ")
