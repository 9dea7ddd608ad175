"""What a change could break without anybody noticing: leaks, bounds, masks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.errors import Kind, NoAnswer, ProviderError, RequestError, StreamInterrupted, Vendor, WireError
from aigateway.exchange._failures import placed
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.providers import Dialect, OpenAICompatible, Options
from aigateway.secrets import Secret
from aigateway.transport import SSEDecoder, read_all
from aigateway.types import ChatRequest, Chunk, Event, ModelInfo, Reply, Target, Usage, WireFailure

HELLO = [{"role": "user", "content": "hi"}]


class Slow:
    """A provider in this process that takes its time."""

    operations = frozenset({"chat"})
    seconds = 0.15

    def __init__(self, options: Options) -> None:
        self.name = options.name

    def models(self) -> list[ModelInfo]:
        return []

    async def answer(self, request: ChatRequest, target: Target) -> Reply | AsyncIterator[Chunk]:
        await anyio.sleep(self.seconds)
        choice = {"index": 0, "message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}
        return Reply({"id": "a", "model": "m\r\nx-evil: 1", "choices": [choice]}, Usage())


class Module:
    @hookimpl
    def aigateway_providers(self) -> Iterator[ProviderRecord]:
        yield ProviderRecord("slow", Slow, needs_key=False)


def gateway(**settings: Any) -> Gateway:
    registry = Registry(entries=[])
    registry.register(Module(), "slow")
    tables = {"providers": {"slow": {}}, "routes": {"smart": {"targets": ["slow/m"]}}, **settings}
    return Gateway.from_config(tables, registry=registry)


async def post(app: Any, body: bytes) -> list[dict[str, Any]]:
    """Send one request to an ASGI application; give what it sent."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "root_path": "", "client": None}
    await app({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
    return sent


def test_nothing_is_left_of_a_request() -> None:
    """No task and no alarm outlives its request, also when it took long enough to be watched."""

    async def story() -> tuple[int, int]:
        async with gateway() as slow:
            sent = await post(create_app(slow), b'{"model": "smart", "messages": [{"role": "user", "content": "x"}]}')
            assert 200 == sent[0]["status"]
            await asyncio.sleep(0)
            (io,) = slow._io.values()
            ticks = io.timer.args[0]  # type: ignore[attr-defined]  # a partial of the shared ticks
            return len(asyncio.all_tasks()), len(ticks._alarms)

    assert (1, 0) == asyncio.run(story())


def test_header_values_are_made_safe() -> None:
    """A model name with a line break in it breaks no header."""

    async def story() -> dict[bytes, bytes]:
        async with gateway(routes={"smart": {"targets": ["slow/m\r\nx-evil: 1"]}}) as slow:
            sent = await post(create_app(slow), b'{"model": "smart", "messages": [{"role": "user", "content": "x"}]}')
            return dict(sent[0]["headers"])

    assert b"m?x-evil: 1" == asyncio.run(story())[b"x-aigateway-model"]


def test_our_key_is_masked_wherever_it_stands() -> None:
    """A key of no known shape, across the place where a message is cut, and in the vendor's other words."""
    key = Secret("d7f3a9c2e1b84650d7f3a9c2e1b84650")
    provider = Plain(Options("plain", "http://127.0.0.1:1"))
    text = "x" * 240 + key.reveal() + " is wrong"
    error = provider.classify(WireFailure(400, body=b'{"error": {"message": "' + text.encode() + b'"}}'))
    error.vendor = Vendor(400, code=key.reveal(), param=key.reveal())
    placed(error, Target("plain", "m"), key)

    for part in (error.message, error.param, error.vendor.code, str(error)):
        assert part is not None
        assert key.reveal()[:12] not in part
    assert len(error.message) <= 256


class Plain(OpenAICompatible):
    dialect = Dialect(base_url="http://127.0.0.1:1")


def test_a_stream_of_several_choices_ends_when_all_have() -> None:
    """One of two finished is a cut stream, not a complete one."""
    request = ChatRequest.parse({"messages": HELLO, "stream": True, "n": 2})
    decoder = Plain(Options("plain")).decoder(request)
    list(decoder.feed(Event(b'{"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}')))
    list(decoder.feed(Event(b'{"choices": [{"index": 1, "delta": {"content": "half"}}]}')))

    with pytest.raises(ProviderError) as error:
        list(decoder.end())
    assert Kind.STREAM_INTERRUPTED is error.value.kind


def test_the_smallest_events_count_too() -> None:
    """Lines without a value cannot fill our memory."""
    with pytest.raises(WireError, match="larger"):
        SSEDecoder(limit=1000).feed(b"data\n" * 2000)


@pytest.mark.anyio
async def test_the_first_piece_of_a_body_is_bounded() -> None:
    """One large read is as large as several small ones."""

    class Response:
        status = 200
        headers: dict[str, str] = {}  # noqa: RUF012  # never changed

        async def read(self) -> bytes:
            return b"x" * 5000

        async def aclose(self, *, reusable: bool = False) -> None:
            pass

    with pytest.raises(WireError, match="larger"):
        await read_all(Response(), limit=10)


def test_extra_is_checked_like_the_request() -> None:
    """What is refused in the body is refused for one provider."""
    for wrong in ({"n": 1000}, {"temperature": "hot"}, {"max_tokens": "999999"}):
        with pytest.raises(RequestError):
            ChatRequest.parse({"messages": HELLO, "extra": {"p": wrong}})


@pytest.mark.anyio
async def test_a_route_may_shorten_the_total() -> None:
    """`timeouts.total` of a route holds, not only the gateway's."""
    table = {"smart": {"targets": ["slow/m"], "timeouts": {"total": 0.05}}}
    async with gateway(routes=table) as slow:
        with pytest.raises(NoAnswer) as error:
            await slow.chat("smart", "hi")

    assert "deadline" in str(error.value.exceptions[0])


@pytest.mark.anyio
async def test_a_deadline_that_has_passed_stops_the_first_call() -> None:
    """Nothing is sent, and so nothing billed, for a caller who has no time left."""

    class Late:
        async def enter(self, call: Any) -> None:
            await anyio.sleep(0.05)

        async def leave(self, call: Any, outcome: Any) -> None:
            pass

    async with gateway() as slow:
        slow.parts.guards.append(Late())  # type: ignore[attr-defined]  # a list behind a Sequence
        with pytest.raises(RequestError, match="deadline passed") as error:
            await slow.chat("smart", "hi", timeout=0.01)

    assert 504 == error.value.status


def test_every_guard_leaves_though_one_is_cancelled() -> None:
    """asyncio's own cancellation reaches one guard while it leaves; the others leave all the same."""
    left: list[str] = []

    class Guard:
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        async def enter(self, call: Any) -> None:
            pass

        async def leave(self, call: Any, outcome: Any) -> None:
            await asyncio.sleep(self.seconds)
            left.append(self.name)

    async def story() -> None:
        async with gateway() as slow:
            slow.parts.guards.extend([Guard("outer", 0), Guard("inner", 1)])  # type: ignore[attr-defined]  # as above
            async with asyncio.timeout(Slow.seconds + 0.1):
                await slow.chat("smart", "hi")

    with pytest.raises(TimeoutError):
        asyncio.run(story())

    assert ["outer"] == left


@pytest.mark.anyio
async def test_total_holds_for_a_vendor_that_never_pauses() -> None:
    """A read that need not wait is no way around the deadline."""

    class Endless(Slow):
        async def answer(self, request: ChatRequest, target: Target) -> Reply | AsyncIterator[Chunk]:
            return self._forever()

        async def _forever(self) -> AsyncIterator[Chunk]:
            while True:
                yield Chunk({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})

    async with gateway() as slow:
        slow.parts.providers["slow"] = Endless(Options("slow"))  # type: ignore[index]  # a dict behind a Mapping
        with pytest.raises(StreamInterrupted, match="deadline"):
            async with slow.stream("smart", "hi", timeout=0.2) as chunks:
                async for _ in chunks:
                    await anyio.sleep(0.01)
