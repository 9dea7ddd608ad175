"""Each fault does what its name says at each vendor, and stops when it is cleared."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from aigateway.testing.sandbox import VENDORS, Fault, Sandbox

pytestmark = pytest.mark.anyio

MODELS = {
    "deepseek": "deepseek-flash",
    "minimax": "MiniMax-M3",
    "openai": "gpt-5.4-mini",
    "groq": "openai/gpt-oss-120b",
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Client:
    """Ask a stand-in, whole or streamed."""

    def __init__(self, sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def post(self, vendor: str, *, stream: bool = False) -> httpx2.Response:
        url, body = self.request(vendor, stream=stream)
        return await self.http.post(url, json=body)

    def request(self, vendor: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
        messages = [{"role": "user", "content": "hi"}]
        url = self.sandbox.vendors[vendor].url + "/chat/completions"
        return url, {"model": MODELS[vendor], "messages": messages, "stream": stream}

    async def read(self, vendor: str, into: list[str]) -> None:
        """Read a stream line by line."""
        url, body = self.request(vendor, stream=True)
        async with self.http.stream("POST", url, json=body) as response:
            async for line in response.aiter_lines():
                into.append(line)

    async def works(self, vendor: str) -> bool:
        """Clear the fault, and answer whole and streamed."""
        await self.sandbox.set_fault(vendor, "none")
        answers = [await self.post(vendor), await self.post(vendor, stream=True)]
        return all("stand-in." in answer.text and answer.status_code == 200 for answer in answers)


@asynccontextmanager
async def running() -> AsyncIterator[Client]:
    headers = {"authorization": "Bearer sandbox-key"}
    async with Sandbox(pace=0) as sandbox, httpx2.AsyncClient(headers=headers, timeout=5, verify=False) as http:
        yield Client(sandbox, http)


async def until(true: Callable[[], object]) -> None:
    """Wait for something to become true, however busy the machine is."""
    with anyio.fail_after(5):
        while not true():
            await anyio.sleep(0.01)


def contents(lines: list[str]) -> int:
    """Count the chunks with text or thoughts."""
    count = 0
    for line in lines:
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                count += any(choice["delta"].get(name) for name in ("content", "reasoning", "reasoning_content"))
    return count


@pytest.mark.parametrize("vendor", VENDORS)
async def test_down(vendor: str) -> None:
    """Down refuses new connections and drops kept ones; cleared, the same port answers; the others never notice."""
    async with running() as client:
        url = client.sandbox.vendors[vendor].url
        await client.post(vendor)  # leaves a connection in the pool
        for _ in range(2):
            await client.sandbox.set_fault(vendor, "down")
            await client.sandbox.set_fault(vendor, "down")
            with pytest.raises(httpx2.ConnectError):
                await client.post(vendor)
            other = VENDORS[VENDORS.index(vendor) - 1]
            assert 200 == (await client.post(other)).status_code
            assert await client.works(vendor)
        assert url == client.sandbox.vendors[vendor].url


async def test_down_ends_what_runs() -> None:
    """Going down drops the streams that are running."""
    async with running() as client:
        await client.sandbox.set_fault("openai", "stall:1")
        failures: list[httpx2.TransportError] = []

        async def read() -> None:
            try:
                await client.read("openai", [])
            except httpx2.TransportError as error:
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: client.sandbox.vendors["openai"].requests)
            await client.sandbox.set_fault("openai", "down")

        assert 1 == len(failures)
        assert "closed" == client.sandbox.vendors["openai"].requests[-1].ended


@pytest.mark.parametrize("vendor", VENDORS)
async def test_rate_limit(vendor: str) -> None:
    """429 in the vendor's words; only OpenAI and Groq name the wait."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "rate_limit:1.5")
        response = await client.post(vendor)
        assert await client.works(vendor)
    error, headers = response.json()["error"], response.headers

    assert 429 == response.status_code
    match vendor:
        case "openai":
            assert ("1500", "2", "1.5s") == (
                headers["retry-after-ms"],
                headers["retry-after"],
                headers["x-ratelimit-reset-requests"],
            )
            assert "Please try again in 1.5s" in error["message"]
            assert "rate_limit_exceeded" == error["code"]
        case "groq":
            assert ("2", "1.5s") == (headers["retry-after"], headers["x-ratelimit-reset-tokens"])
            assert ("tokens", "rate_limit_exceeded") == (error["type"], error["code"])
        case "minimax":
            assert error["message"].endswith("(1002)")
            assert "retry-after" not in headers
        case _:
            assert "concurrency" in error["message"]
            assert "retry-after" not in headers


async def test_rate_limit_of_a_day() -> None:
    """Groq's long wait is about requests per day."""
    async with running() as client:
        await client.sandbox.set_fault("groq", "rate_limit:86.4")
        response = await client.post("groq")

    assert "requests" == response.json()["error"]["type"]
    assert "try again in 1m26.4s" in response.json()["error"]["message"]
    assert ("87", "0") == (response.headers["retry-after"], response.headers["x-ratelimit-remaining-requests"])


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [500, 503, 400, 401, 402, 403, 404, 413, 422, 429, 498, 529])
async def test_error(vendor: str, status: int) -> None:
    """Any status can be had, always with the vendor's error object."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, f"error:{status}")
        response = await client.post(vendor, stream=True)

    assert status == response.status_code
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_error_inside_200(vendor: str) -> None:
    """error:200 fails inside a 200, whole and as the first event of a stream."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "error:200")
        whole = await client.post(vendor)
        stream = await client.post(vendor, stream=True)
        assert await client.works(vendor)
    first = json.loads(stream.text[stream.text.index("data: ") + 6 :])

    assert [200, 200] == [whole.status_code, stream.status_code]
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text.startswith("event: error\n") == (vendor == "groq")
    for body in (whole.json(), first):
        assert body.get("error") or body["base_resp"]["status_code"] == 1000


async def test_minimax_codes() -> None:
    """MiniMax fails with any of its own codes; nobody else has such codes."""
    async with running() as client:
        await client.sandbox.set_fault("minimax", "error:1039")
        body = (await client.post("minimax")).json()
        with pytest.raises(ValueError, match="only MiniMax has codes"):
            await client.sandbox.set_fault("groq", "error:1039")

    assert (None, 1039) == (body["choices"], body["base_resp"]["status_code"])


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [False, True])
async def test_hang(vendor: str, stream: bool) -> None:
    """A hanging request is answered when the fault is cleared, and not before."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "hang")
        answers: list[httpx2.Response] = []

        async def ask() -> None:
            answers.append(await client.post(vendor, stream=stream))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: client.sandbox.vendors[vendor].requests)
            assert not answers
            assert client.sandbox.vendors[vendor].requests[-1].ended is None
            await client.sandbox.set_fault(vendor, "none")

    assert 200 == answers[0].status_code


@pytest.mark.parametrize("fault", ["hang", "stall:2", "slow:30"])
@pytest.mark.parametrize("stream", [False, True])
async def test_client_leaves(fault: str, stream: bool) -> None:
    """A client that leaves is noticed at once, while nothing is being sent."""
    async with running() as client:
        await client.sandbox.set_fault("groq", fault)
        requests = client.sandbox.vendors["groq"].requests
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.post("groq", stream=stream))
            await until(lambda: requests)
            assert requests[-1].ended is None
            tasks.cancel_scope.cancel()
        await until(lambda: requests[-1].ended)

        assert "left" == requests[-1].ended


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("pieces", [0, 2, 1000])
async def test_cut_stream(vendor: str, pieces: int) -> None:
    """A cut stream ends after so many pieces of content, never with a finish reason."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, f"cut:{pieces}")
        lines: list[str] = []
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.read(vendor, lines)
        assert await client.works(vendor)
        ended = [seen.ended for seen in client.sandbox.vendors[vendor].requests]

    assert pieces == contents(lines) or (pieces == 1000 and contents(lines) >= 8)
    assert '"finish_reason":"stop"' not in "".join(lines)
    assert ["broken", "complete", "complete"] == ended


@pytest.mark.parametrize("vendor", VENDORS)
async def test_cut_whole(vendor: str) -> None:
    """A cut whole answer stops half way through the length it promised."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "cut")
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(vendor)
        assert await client.works(vendor)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_bad_json(vendor: str) -> None:
    """One event of a stream is broken and the rest is fine; a whole answer is broken, with 200."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "bad_json:3")
        whole = await client.post(vendor)
        stream = await client.post(vendor, stream=True)
        assert await client.works(vendor)
    events = [line[6:] for line in stream.text.splitlines() if line.startswith("data: ")]
    broken = [number for number, event in enumerate(events, 1) if event != "[DONE]" and not _is_json(event)]

    assert 200 == whole.status_code
    assert not _is_json(whole.text)
    assert [3] == broken
    assert "[DONE]" == events[-1]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [False, True])
async def test_slow(vendor: str, stream: bool) -> None:
    """A slow answer is late and right; only DeepSeek shows that it lives meanwhile."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "slow:0.2")
        start = time.perf_counter()
        response = await client.post(vendor, stream=stream)
        passed = time.perf_counter() - start

    assert 0.2 <= passed < 2
    assert "stand-in." in response.text
    if vendor == "deepseek":
        assert response.text.startswith(": keep-alive\n\n" * 4 if stream else "\n\n\n\n{")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_stall(vendor: str) -> None:
    """A stalled stream is silent with the connection open, and goes on when the fault is cleared."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "stall:2")
        lines: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.read, vendor, lines)
            await until(lambda: contents(lines) == 2)
            await anyio.sleep(0.1)
            before = contents(lines)
            await client.sandbox.set_fault(vendor, "none")

    assert 2 == before
    assert "data: [DONE]" in lines


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [False, True])
async def test_reset(vendor: str, stream: bool) -> None:
    """The connection is reset before any answer."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "reset")
        with pytest.raises(httpx2.ReadError):
            await client.post(vendor, stream=stream)
        assert await client.works(vendor)
        assert client.sandbox.vendors[vendor].requests[0].status is None


@pytest.mark.parametrize("vendor", VENDORS)
async def test_auth(vendor: str) -> None:
    """A good key is refused as a wrong one would be."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "auth")
        revoked = await client.post(vendor)
        client.http.headers["authorization"] = "Bearer nonsense"
        await client.sandbox.set_fault(vendor, "none")
        wrong = await client.post(vendor)
        client.http.headers["authorization"] = "Bearer sandbox-key"
        assert await client.works(vendor)

    assert [401, 401] == [revoked.status_code, wrong.status_code]
    assert revoked.json()["error"]["message"] == wrong.json()["error"]["message"]
    assert "sandbox-key" not in revoked.text


NO_MONEY = {
    "deepseek": (402, "unknown_error"),
    "openai": (429, "insufficient_quota"),
    "groq": (400, "invalid_request_error"),
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_no_money(vendor: str) -> None:
    """An empty account is said in the vendor's way; MiniMax says it inside a 200."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "no_money")
        response = await client.post(vendor)
        stream = await client.post(vendor, stream=True)
        assert await client.works(vendor)

    assert response.status_code == stream.status_code
    if vendor == "minimax":
        assert (200, 1008) == (response.status_code, response.json()["base_resp"]["status_code"])
        assert '"status_code":1008' in stream.text
    else:
        assert NO_MONEY[vendor] == (response.status_code, response.json()["error"]["type"])


@pytest.mark.parametrize("vendor", VENDORS)
async def test_html(vendor: str) -> None:
    """A web page comes with status 200."""
    async with running() as client:
        await client.sandbox.set_fault(vendor, "html")
        response = await client.post(vendor, stream=True)
        assert await client.works(vendor)

    assert 200 == response.status_code
    assert response.text.startswith("<!doctype html>")


async def test_count() -> None:
    """A counted fault meets so many requests and clears itself."""
    async with running() as client:
        await client.sandbox.set_fault("openai", Fault("error", 500, count=2))
        statuses = [(await client.post("openai")).status_code for _ in range(3)]
        fault = client.sandbox.vendors["openai"].fault

    assert [500, 500, 200] == statuses
    assert Fault("none") == fault


async def test_counted_hang_outlives_its_count() -> None:
    """A request that hangs by a counted fault waits until somebody clears it."""
    async with running() as client:
        await client.sandbox.set_fault("openai", "hang*1")
        with anyio.move_on_after(0.1) as scope:
            await client.post("openai")

        assert scope.cancelled_caught
        assert 200 == (await client.post("openai")).status_code


async def test_faults_meet_models_too() -> None:
    """A fault meets every request, the list of models included."""
    async with running() as client:
        await client.sandbox.set_fault("groq", "error:503*1")
        url = client.sandbox.vendors["groq"].url + "/models"
        statuses = [(await client.http.get(url)).status_code for _ in range(2)]

    assert [503, 200] == statuses


async def test_unknown_names() -> None:
    """A wrong vendor or fault is refused with the nearest right one."""
    async with running() as client:
        with pytest.raises(ValueError, match="did you mean 'deepseek'"):
            await client.sandbox.set_fault("depseek", "down")
        with pytest.raises(ValueError, match="did you mean 'rate_limit'"):
            await client.sandbox.set_fault("deepseek", "rate_limt")
        await client.sandbox.set_fault("deepseek", "rate-limit:2")  # a hyphen is forgiven

        assert "rate_limit:2" == str(client.sandbox.vendors["deepseek"].fault)
