"""A client that leaves is not worked for: the upstream connection closes within a second."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from aigateway import Gateway, Settings
from aigateway.guards import GuardOptions
from aigateway.plugins import GuardRecord, Registry, hookimpl
from aigateway.testing.sandbox import Sandbox
from aigateway.types import Call, Outcome

Switch = Callable[[str, str], None]
Serving = Callable[..., AbstractContextManager[str]]
LINES = {"aigateway.access", "aigateway.calls"}
PATIENT = {"first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 30.0}
# At which fault a client waits, whether it asked for a stream, and how much it has read before it leaves.
WAITS = {
    "plain, no head yet": ("hang", False, b""),
    "plain, no answer yet": ("slow:20", False, b""),
    "plain, half an answer": ("stall", False, b""),
    "plain, between two attempts": ("rate_limit:20", False, b""),
    "stream, no head yet": ("hang", True, b""),
    "stream, no content yet": ("slow:20", True, b""),
    "stream, in the middle": ("stall:3", True, b"reasoning_content"),
    "stream, between two attempts": ("rate_limit:20", True, b""),
}


class Diary:
    """A guard that notes how calls end, and takes its time for it."""

    def __init__(self) -> None:
        self.entered = 0
        self.ends: list[str] = []

    @hookimpl
    def aigateway_guards(self) -> Iterator[GuardRecord]:
        yield GuardRecord("diary", self.itself)

    def itself(self, options: GuardOptions) -> Diary:
        return self

    async def enter(self, call: Call) -> None:
        self.entered += 1

    async def leave(self, call: Call, outcome: Outcome) -> None:
        await anyio.sleep(0.05)
        self.ends.append(outcome.state)


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture(params=["aiohttp", "httpx2"])
def patient(configure: Callable[..., Settings], diary: Diary, request: pytest.FixtureRequest) -> Gateway:
    """Give a gateway that would wait for long, and says in its log and its diary how calls ended."""
    registry = Registry()
    registry.register(diary, "diary")
    settings = configure(
        timeouts=PATIENT,
        retries={"patience": 25.0},
        transport={"kind": request.param},
        guards=[{"use": "log"}, {"use": "diary"}],
        server={"write_timeout": 5.0},
    )
    return Gateway(settings, registry=registry)


def ask(root: str, *, stream: bool, said: str = "hi") -> socket.socket:
    """Send a request and leave the answer unread."""
    address = urlsplit(root)
    body = json.dumps({"messages": [{"role": "user", "content": said}], "stream": stream}).encode()
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
def test_over_http(
    patient: Gateway, diary: Diary, serving: Serving, switch: Switch, standins: Sandbox, case: str
) -> None:
    """Whatever it waits for, the vendor sees the connection close within a second, and nobody else is asked."""
    fault, stream, needed = WAITS[case]
    switch("deepseek", fault)
    requests = standins.vendors["deepseek"].requests
    with serving(patient) as root:
        with ask(root, stream=stream) as client:
            until(lambda: requests and (requests[-1].ended or not fault.startswith("rate_limit")), 5)
            read = b""
            while needed not in read:
                read += client.recv(4096)
        until(lambda: requests[-1].ended, 1)
        until(lambda: diary.ends, 1)
        until(lambda: not patient.memory.facts(patient.parts.names.routes["smart"][0]).in_flight, 1)

    assert ("complete" if fault.startswith("rate_limit") else "left") == requests[-1].ended
    assert 1 == len(requests)
    assert 0 == len(standins.vendors["minimax"].requests)
    assert (1, ["cancelled"]) == (diary.entered, diary.ends)


@pytest.mark.parametrize("case", WAITS)
def test_what_is_logged(
    patient: Gateway, serving: Serving, switch: Switch, standins: Sandbox, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of the call says `cancelled`, the access line that the client left; nothing is told as a success."""
    fault, stream, needed = WAITS[case]
    switch("deepseek", fault)
    requests = standins.vendors["deepseek"].requests
    with caplog.at_level(logging.INFO), serving(patient) as root:
        with ask(root, stream=stream) as client:
            until(lambda: requests and (requests[-1].ended or not fault.startswith("rate_limit")), 5)
            read = b""
            while needed not in read:
                read += client.recv(4096)
        until(lambda: any(record.name == "aigateway.access" for record in caplog.records), 5)
    lines = {record.name: json.loads(record.getMessage()) for record in caplog.records if record.name in LINES}

    assert "cancelled" == lines["aigateway.calls"]["outcome"]
    assert ("client_left", 200 if needed else 499) == (
        lines["aigateway.access"]["ended"],
        lines["aigateway.access"]["status"],
    )
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_leaving_while_sending(patient: Gateway, serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves before its body was sent is let go at once, and nobody was asked."""
    with caplog.at_level(logging.INFO), serving(patient) as root:
        address = urlsplit(root)
        with socket.create_connection((address.hostname, address.port), timeout=5) as client:
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{")
        until(lambda: any(record.name == "aigateway.access" for record in caplog.records), 2)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name in LINES]

    assert [("client_left", 499)] == [(line["ended"], line["status"]) for line in lines]


def test_the_end_of_an_answer_is_not_a_client_that_left(patient: Gateway, diary: Diary, serving: Serving) -> None:
    """A guard that takes its time after a long stream is not cut short because the answer is out."""
    with serving(patient) as root, ask(root, stream=True, said="tell me more " * 30) as client:
        read = b""
        while b"[DONE]" not in read:
            read += client.recv(65536)
        until(lambda: diary.ends, 2)

    assert ["complete"] == diary.ends


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
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.chat, "smart", "hi")
            while not standins.vendors["deepseek"].requests:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

        assert tasks.cancel_scope.cancelled_caught
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
