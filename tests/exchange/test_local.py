"""Providers in this process: the same limits, the same failures, whatever they raise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from aigateway.errors import Kind, ProviderError, StreamInterrupted, WireError
from aigateway.exchange import chunks_of
from aigateway.types import ChatRequest, Chunk, ModelInfo, Reply, Target, Timeouts, Usage

from .scripted import WHOLE, ScriptedTransport, Settled, ask, read_all

pytestmark = pytest.mark.anyio


def piece(text: str = "", finish: str | None = None) -> Chunk:
    return Chunk({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


class Local:
    """Answer with what a function gives."""

    operations = frozenset({"chat"})
    name = "local"

    def __init__(self, give: Callable[[], Any]) -> None:
        self.give = give

    def models(self) -> tuple[ModelInfo, ...]:
        """List nothing."""
        return ()

    async def answer(self, request: ChatRequest, target: Target) -> Any:
        """Give it."""
        await anyio.lowlevel.checkpoint()
        return self.give()


async def chunks(*parts: Chunk | BaseException | float, closed: list[str] | None = None) -> AsyncIterator[Chunk]:
    """Give chunks, raise errors, wait for seconds."""
    try:
        for part in parts:
            await anyio.lowlevel.checkpoint()
            if isinstance(part, BaseException):
                raise part
            if isinstance(part, Chunk):
                yield part
            else:
                await anyio.sleep(part)
    finally:
        if closed is not None:
            closed.append("closed")


def raises(error: BaseException) -> Callable[[], Any]:
    def give() -> Any:
        raise error

    return give


async def test_a_reply_is_an_answer() -> None:
    """Whole, or told as a stream where one was asked."""
    for stream in (False, True):
        reply = Reply(dict(WHOLE), Usage(3, 2, source="reported"))
        exchange = await ask(ScriptedTransport(), provider=Local(lambda: reply), stream=stream)  # noqa: B023  # awaited here
        text = "".join(chunk.text for chunk in await read_all(exchange)) if stream else exchange.whole().text
        await exchange.aclose()

        assert "Hi" == text
        assert exchange.outcome is not None
        assert "complete" == exchange.outcome.state
        assert stream or Usage(3, 2, source="reported") == exchange.usage


async def test_chunks_are_a_stream() -> None:
    """Read to the end they are complete, and the generator is closed."""
    closed: list[str] = []
    settled = Settled()
    local = Local(lambda: chunks(piece(), piece("a"), piece("b", "stop"), closed=closed))
    exchange = await ask(ScriptedTransport(), provider=local, held=[settled])

    assert "ab" == "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()
    assert ["complete"] == settled.outcomes
    assert ["closed"] == closed


async def test_closing_early_closes_the_generator() -> None:
    """A provider in this process stops working when the caller leaves."""
    closed: list[str] = []
    exchange = await ask(ScriptedTransport(), provider=Local(lambda: chunks(piece("a"), piece("b"), closed=closed)))
    await exchange.aclose()

    assert ["closed"] == closed


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "error", [ValueError("sk-abcdefgh12345678"), KeyError("x"), OSError(5, "x"), ExceptionGroup("g", [ValueError()])]
)
async def test_whatever_it_raises_is_a_server_error(error: Exception, stream: bool) -> None:
    """The next target may help; the words of a bug are not shown."""
    with pytest.raises(ProviderError) as raised:
        await ask(ScriptedTransport(), provider=Local(raises(error)), stream=stream)

    assert Kind.SERVER_ERROR is raised.value.kind
    assert type(error).__name__ in raised.value.message
    assert "sk-" not in str(raised.value)


async def test_the_bug_itself_is_not_lost() -> None:
    """Whoever debugs finds the original exception behind the failure."""
    bug = ValueError("x")
    with pytest.raises(ProviderError) as raised:
        await ask(ScriptedTransport(), provider=Local(raises(bug)), stream=False)

    assert bug is raised.value.__cause__


async def test_its_own_failures_keep_their_kind() -> None:
    """A provider that knows what happened says so."""
    for error in (ProviderError(Kind.OVERLOADED, "x"), WireError(Kind.CONNECT, "x")):
        with pytest.raises(ProviderError) as raised:
            await ask(ScriptedTransport(), provider=Local(raises(error)))
        assert error.kind is raised.value.kind
        assert ("plain", "m") == (raised.value.provider, raised.value.model)


async def test_a_timeout_of_its_own_is_not_our_limit() -> None:
    """A TimeoutError it raises at once does not claim that 300 s passed."""
    with pytest.raises(ProviderError) as raised:
        await ask(ScriptedTransport(), provider=Local(raises(TimeoutError("a socket"))), stream=False)

    assert "300 s" not in raised.value.message


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ProviderError(Kind.OVERLOADED, "x")])
async def test_a_stream_that_raises_before_content_fails_over(error: Exception) -> None:
    """Whatever a generator raises is a ProviderError, and the generator is closed."""
    closed: list[str] = []
    with pytest.raises(ProviderError) as raised:
        await ask(ScriptedTransport(), provider=Local(lambda: chunks(piece(), error, closed=closed)))

    assert raised.value.kind in {Kind.SERVER_ERROR, Kind.OVERLOADED}
    assert "yes" == raised.value.remedy.other_target
    assert ["closed"] == closed


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ProviderError(Kind.OVERLOADED, "x")])
async def test_a_stream_that_raises_after_content_is_interrupted(error: Exception) -> None:
    """It carries what arrived, and the outcome says so."""
    settled = Settled()
    exchange = await ask(ScriptedTransport(), provider=Local(lambda: chunks(piece("a"), error)), held=[settled])
    with pytest.raises(StreamInterrupted) as raised:
        await read_all(exchange)
    await exchange.aclose()

    assert "a" == raised.value.text
    assert ["interrupted"] == settled.outcomes


@pytest.mark.parametrize("parts", [[piece("a")], []], ids=["content", "nothing"])
async def test_an_end_without_a_finish_reason_is_an_interruption(parts: list[Chunk]) -> None:
    """Also in this process a stream is complete only with a finish reason."""
    with pytest.raises(ProviderError) as raised:
        exchange = await ask(ScriptedTransport(), provider=Local(lambda: chunks(*parts)))
        try:
            await read_all(exchange)
        finally:
            await exchange.aclose()

    assert Kind.STREAM_INTERRUPTED is raised.value.kind


async def test_chunks_to_a_whole_request_are_refused() -> None:
    """A provider that streams unasked is broken, and told so."""
    with pytest.raises(ProviderError, match="streamed") as raised:
        await ask(ScriptedTransport(), provider=Local(lambda: chunks(piece("a", "stop"))), stream=False)

    assert Kind.PROTOCOL_ERROR is raised.value.kind


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("garbage", [None, "text", 7, {"choices": []}])
async def test_garbage_is_a_failure_of_the_provider(garbage: object, stream: bool) -> None:
    """Neither a reply nor chunks: the next target may do better."""
    with pytest.raises(ProviderError):
        await ask(ScriptedTransport(), provider=Local(lambda: garbage), stream=stream)


async def test_limits_hold_for_it() -> None:
    """A provider in this process that hangs is left, before content and after it."""
    quick = Timeouts(first_content=0.02, silence=0.02, answer=0.02)
    closed: list[str] = []
    with pytest.raises(ProviderError, match="no first content"):
        await ask(ScriptedTransport(), provider=Local(lambda: chunks(10.0, closed=closed)), timeouts=quick)
    exchange = await ask(
        ScriptedTransport(), provider=Local(lambda: chunks(piece("a"), 10.0, closed=closed)), timeouts=quick
    )
    with pytest.raises(StreamInterrupted, match="no further content"):
        await read_all(exchange)
    await exchange.aclose()

    assert ["closed", "closed"] == closed


async def test_a_whole_reply_is_told_in_order() -> None:
    """Content, end, usage; tool calls get an index; several choices stay apart; nulls are left out."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, dict(call)]}
    choices = [
        {"index": 0, "message": message, "finish_reason": "tool_calls"},
        {"index": 1, "message": {"content": "x"}},
    ]
    told = chunks_of(Reply({"id": "a", "model": "m", "choices": choices}, Usage()))

    assert 2 == len(told)
    assert [0, 1] == [part["index"] for part in told[0].body["choices"][0]["delta"]["tool_calls"]]
    assert "content" not in told[0].body["choices"][0]["delta"]
    assert ["tool_calls", "stop"] == [choice["finish_reason"] for choice in told[1].body["choices"]]
    assert "chat.completion.chunk" == told[0].body["object"]
    assert "index" not in call


BODIES: list[dict[str, Any]] = [{"id": "x"}, {"choices": None}, {"choices": ["text"]}, {"choices": 7}]


@pytest.mark.parametrize("wrong", BODIES, ids=str)
async def test_a_chunk_that_is_none_fails_over(wrong: dict[str, Any]) -> None:
    """A chunk without sound choices is a failure of its provider, not an error nobody expects."""
    closed: list[str] = []
    with pytest.raises(ProviderError) as raised:
        await ask(ScriptedTransport(), provider=Local(lambda: chunks(Chunk(wrong), closed=closed)))

    assert Kind.SERVER_ERROR is raised.value.kind
    assert "yes" == raised.value.remedy.other_target
    assert ["closed"] == closed


@pytest.mark.parametrize("wrong", ["text", None, {"choices": []}], ids=str)
async def test_what_is_no_chunk_at_all(wrong: Any) -> None:
    """It is told for what it is, and the generator is closed."""

    class Odd:
        def __init__(self) -> None:
            self.closed = False

        def __aiter__(self) -> Odd:
            return self

        async def __anext__(self) -> Any:
            await anyio.lowlevel.checkpoint()
            return wrong

        async def aclose(self) -> None:
            self.closed = True

    odd = Odd()
    with pytest.raises(ProviderError, match=f"streamed {type(wrong).__name__}"):
        await ask(ScriptedTransport(), provider=Local(lambda: odd))

    assert odd.closed


async def test_an_iterator_that_cannot_be_closed() -> None:
    """Whoever gives a plain iterator has nothing to close."""

    class Plain:
        def __init__(self) -> None:
            self.left = [piece("a"), piece("b", "stop")]

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> Chunk:
            await anyio.lowlevel.checkpoint()
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    exchange = await ask(ScriptedTransport(), provider=Local(Plain))
    text = "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()

    assert "ab" == text
    assert exchange.outcome is not None
    assert "complete" == exchange.outcome.state
