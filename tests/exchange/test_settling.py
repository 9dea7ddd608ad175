"""Whatever happens: the response is closed, attempt and lease are settled once, the end is told once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from aigateway.errors import Kind, ProviderError, RequestError, StreamInterrupted
from aigateway.exchange import Exchange, answered, open_exchange
from aigateway.providers import ChatDecoder, Options, StreamDecoder
from aigateway.secrets import Secret
from aigateway.transport import HTTPResponse
from aigateway.types import ChatRequest, Chunk, Event, HTTPRequest, Outcome, Reply, Target, Timeouts, Usage

from .scripted import (
    DONE,
    JSON,
    KEY,
    ROLE,
    STOP,
    TARGET,
    WHOLE,
    Answer,
    Plain,
    ScriptedTransport,
    Settled,
    a_call,
    ask,
    body,
    error_event,
    io_for,
    read_all,
    says,
)

pytestmark = pytest.mark.anyio


async def test_closing_early_is_a_cancelled_answer() -> None:
    """A stream that was not read to its end is cancelled, and its connection is not used again."""
    transport, settled = ScriptedTransport(Answer([says("a"), says("b"), STOP, DONE])), Settled()
    exchange = await ask(transport, held=[settled])
    await exchange.read()
    await exchange.aclose()

    assert exchange.outcome is not None
    assert ("cancelled", None) == (exchange.outcome.state, exchange.outcome.error)
    assert ["cancelled"] == settled.outcomes
    assert [False] == transport.closed


async def test_closing_without_reading_is_cancelled() -> None:
    """Even if the whole answer had arrived: nobody saw it."""
    exchange = await ask(ScriptedTransport(Answer([says("a") + STOP + DONE])))
    await exchange.aclose()

    assert exchange.outcome is not None
    assert "cancelled" == exchange.outcome.state


async def test_closing_twice_settles_once() -> None:
    """The second time nothing happens."""
    transport, attempt, lease = ScriptedTransport(Answer([says("a"), STOP, DONE])), Settled(), Settled()
    told: list[Outcome] = []

    async def note(outcome: Outcome) -> None:
        told.append(outcome)

    exchange = await ask(transport, held=[attempt, lease])
    exchange.on_close(note)
    await read_all(exchange)
    for _ in range(3):
        await exchange.aclose()

    assert ["complete"] == attempt.outcomes == lease.outcomes
    assert [exchange.outcome] == told
    assert [True] == transport.closed
    assert exchange.decision is not None
    assert 1 == exchange.decision.attempts


async def test_what_waits_for_the_end_is_told_even_if_closing_fails() -> None:
    """A transport that cannot close does not keep a guard from leaving."""
    transport = ScriptedTransport(Answer([says("a")]))
    told: list[str] = []

    async def note(outcome: Outcome) -> None:
        told.append(outcome.state)

    exchange = await ask(transport)
    exchange.on_close(note)

    async def broken(*, reusable: bool = False) -> None:
        raise OSError("already gone")

    transport.opened[0].aclose = broken  # type: ignore[method-assign]  # a response that cannot close
    with suppress(OSError):
        await exchange.aclose()

    assert ["cancelled"] == told


async def _whole_life(transport: ScriptedTransport, settled: Settled, told: list[str], **fields: Any) -> None:
    """Live through an exchange as the gateway's callers do."""

    async def note(outcome: Outcome) -> None:
        told.append(outcome.state)

    io = io_for(transport)
    call = a_call(io, **fields)
    try:
        exchange = await open_exchange(call, TARGET, Plain(Options("plain")), io, key=KEY)
    except BaseException as error:
        settled.settle(Outcome("failed" if isinstance(error, ProviderError) else "cancelled"))
        told.append("failed")
        raise
    exchange.hold(settled)
    exchange.on_close(note)
    try:
        await read_all(exchange)
    finally:
        await exchange.aclose()


LIVES: list[tuple[str, Callable[[], Answer], bool]] = [
    ("stream", lambda: Answer([ROLE, says("a"), says("b"), STOP, DONE]), True),
    ("cut", lambda: Answer([ROLE, says("a"), says("b")]), True),
    ("error", lambda: Answer([ROLE, error_event("boom")]), True),
    ("tail", lambda: Answer([says("a"), STOP, DONE, says("more")]), True),
    ("whole", lambda: Answer([body(WHOLE)[:20], body(WHOLE)[20:]], headers=JSON), False),
    ("told", lambda: Answer([body(WHOLE)], headers=JSON), True),
    ("status", lambda: Answer([body({"error": {"message": "no"}})], 500, JSON), True),
]


@pytest.mark.parametrize(("make", "stream"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES])
async def test_a_cancellation_at_any_moment_leaves_nothing_open(make: Callable[[], Answer], stream: bool) -> None:
    """Cancelled at its first, second, third ... await: closed once, settled once, told once."""
    for steps in range(40):
        transport, settled = ScriptedTransport(make()), Settled()
        told: list[str] = []
        finished = False

        async def life() -> None:
            nonlocal finished
            with suppress(ProviderError):
                await _whole_life(transport, settled, told, stream=stream)  # noqa: B023  # run within the turn
            finished = True

        async with anyio.create_task_group() as group:
            group.start_soon(life)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

        if settled.outcomes or transport.opened:
            assert transport.is_clean, steps
            assert 1 == len(settled.outcomes) == len(told), steps
        if finished:
            break
    else:
        pytest.fail("the exchange never finished")


async def test_closing_inside_a_cancelled_scope_still_closes() -> None:
    """The usual end of a client that left: the scope is cancelled before `aclose` begins."""
    for parts in ([says("a"), says("b")], [says("a"), STOP, DONE], [says("a") + STOP + DONE]):
        transport, settled, told = ScriptedTransport(Answer(parts)), Settled(), []

        async def note(outcome: Outcome) -> None:
            told.append(outcome.state)  # noqa: B023  # run within the turn

        exchange = await ask(transport, held=[settled])
        exchange.on_close(note)
        await read_some(exchange)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await exchange.aclose()

        assert transport.is_clean
        assert 1 == len(settled.outcomes) == len(told)


async def read_some(exchange: Exchange) -> None:
    """Read what there is, whether it is whole or not."""
    with suppress(StreamInterrupted):
        await read_all(exchange)


async def test_a_decision_has_a_step_for_every_call() -> None:
    """Where, with which masked key, how it ended, how long; notes say what was changed for the vendor."""
    io = io_for(ScriptedTransport(Answer([], 500), Answer([says("a"), STOP, DONE])))
    call = a_call(io)
    with pytest.raises(ProviderError):
        await open_exchange(call, TARGET, Plain(Options("plain")), io, key=KEY)
    exchange = await open_exchange(call, Target("plain", "n"), Noting(Options("plain")), io, key=KEY, wait=0.5)
    await read_all(exchange)
    await exchange.aclose()
    assert exchange.decision is not None
    first, second = exchange.decision.steps

    assert ("plain/m", "server_error", KEY.id) == (first.target, first.outcome, first.key)
    assert ("plain/n", "complete", KEY.id, 0.5) == (second.target, second.outcome, second.key, second.wait)
    assert second.start >= first.start >= 0
    assert ("something was renamed (plain/n)",) == exchange.decision.notes
    assert "plain/n" == exchange.decision.answered_by


class Noting(Plain):
    """Say what was changed."""

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Add a note."""
        encoded = super().encode(request, key, target)
        return HTTPRequest("POST", encoded.url, encoded.headers, encoded.body, ["something was renamed"])


@pytest.mark.parametrize(
    "answer",
    [
        Answer([body({"error": {"message": f"Incorrect key {KEY.reveal()} in 'Bearer {KEY.reveal()}'"}})], 401, JSON),
        Answer([error_event(f"no: {KEY.reveal()}", code=KEY.reveal())]),
        Answer([ROLE, error_event(f"{KEY.reveal()}\r\nx\x1b[31m")]),
        Answer([f"<html>{KEY.reveal()}</html>".encode()], 502, {"content-type": "text/html"}),
    ],
    ids=["401", "event", "controls", "html"],
)
@pytest.mark.parametrize("committed", [False, True])
async def test_our_key_is_never_in_an_error(answer: Answer, committed: bool) -> None:
    """Not in the message, the step, the decision's prose or a printed error, even if the vendor echoes it."""
    if committed and answer.status == 200:
        answer = Answer([says("a"), *answer.parts])
    exchange = None
    with pytest.raises(ProviderError) as error:
        exchange = await ask(ScriptedTransport(answer))
        await read_all(exchange)
    if exchange is not None:
        await exchange.aclose()
        assert exchange.decision is not None
        assert KEY.reveal() not in exchange.decision.explain()

    assert KEY.reveal() not in f"{error.value} {error.value!r} {error.value.message} {error.value.args}"
    assert error.value.message.isprintable()


async def test_an_answer_of_a_guard_is_an_exchange_too() -> None:
    """It is complete, and says who answered."""
    io = io_for(ScriptedTransport())
    call = a_call(io, stream=False)
    exchange = await answered(call, Reply(dict(WHOLE), Usage(1, 1), provider="cache"), io)
    await exchange.aclose()

    assert exchange.outcome is not None
    assert "complete" == exchange.outcome.state
    assert exchange.decision is not None
    assert "cache/m" == exchange.decision.answered_by


class Ending(ChatDecoder):
    """End at the first event, whatever it brings."""

    def feed(self, event: Event) -> list[Chunk]:
        """Say that this was all."""
        self.done = True
        return []

    def end(self) -> list[Chunk]:
        """Find nothing wrong."""
        return []


class Empty(Plain):
    """Be a plug-in whose decoder lets an empty stream pass."""

    def decoder(self, request: ChatRequest) -> Any:
        """Give that decoder."""
        return Ending(self.dialect, self.classify)


@pytest.mark.parametrize("parts", [[ROLE], []], ids=["marker", "end of the body"])
async def test_a_stream_that_ends_without_content_fails_at_once(parts: list[bytes]) -> None:
    """Even if its decoder does not complain: nobody reads on after the end until a timer stops it."""
    transport = ScriptedTransport(Answer(list(parts)))
    with pytest.raises(ProviderError) as error:
        await ask(transport, provider=Empty(Options("plain")), timeouts=Timeouts(first_content=0.05))

    assert error.value.kind in {Kind.STREAM_INTERRUPTED, Kind.PROTOCOL_ERROR}
    assert transport.opened[0].reads <= 2


class Broken(Plain):
    """Be a plug-in with a bug in one of its methods."""

    def __init__(self, where: str) -> None:
        super().__init__(Options("plain"))
        self.where = where

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Fail here, or not."""
        return self._bug("encode") or super().encode(request, key, target)

    def decode(self, request: ChatRequest, response: Any) -> Reply:
        """Fail here, or not."""
        return self._bug("decode") or super().decode(request, response)

    def decoder(self, request: ChatRequest) -> Any:
        """Fail here, or not."""
        return self._bug("decoder") or super().decoder(request)

    def classify(self, failure: Any) -> ProviderError:
        """Fail here, or not."""
        return self._bug("classify") or super().classify(failure)

    def _bug(self, where: str) -> Any:
        if where == self.where:
            raise KeyError("sk-secret in a bug")
        return None


@pytest.mark.parametrize(
    ("where", "stream", "status"),
    [("encode", True, 200), ("decode", False, 200), ("decoder", True, 200), ("classify", True, 500)],
)
async def test_a_bug_in_a_plug_in_closes_the_response(where: str, stream: bool, status: int) -> None:
    """Whatever a codec raises, nothing stays open."""
    transport = ScriptedTransport(Answer([body(WHOLE)], status, JSON if not stream else {}))
    with pytest.raises((KeyError, ProviderError)):
        await ask(transport, provider=Broken(where), stream=stream)

    assert transport.is_clean


def decoder_protocol(decoder: ChatDecoder) -> StreamDecoder:
    """Prove to the type checker that the shared decoder is one."""
    return decoder


class SlowToClose(ScriptedTransport):
    """Take a moment to close a connection, as TLS does."""

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Give such a response."""
        await super().send(request, connect=connect)
        return LingeringResponse(self.opened[-1])


class LingeringResponse:
    """Wait before closing."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.status, self.headers, self.read = response.status, response.headers, response.read

    async def aclose(self, *, reusable: bool = False) -> None:
        """Linger, then close."""
        await anyio.sleep(0.05)
        await self._response.aclose(reusable=reusable)


async def test_a_limit_does_not_cut_closing_short() -> None:
    """The limit passes while an error's response is being closed: it is closed, and stays the error it was."""
    transport = SlowToClose(Answer([body({"error": {"message": "no"}})], 500, JSON))
    with pytest.raises(ProviderError) as error:
        await ask(transport, stream=False, timeouts=Timeouts(answer=0.03))

    assert transport.is_clean
    assert Kind.SERVER_ERROR is error.value.kind


@pytest.mark.parametrize(("where", "stream", "status"), [("decode", False, 200), ("decoder", True, 200)])
async def test_a_bug_in_a_codec_is_a_server_error(where: str, stream: bool, status: int) -> None:
    """As with a provider in this process: the next target may answer, and the words of a bug are not shown."""
    transport = ScriptedTransport(Answer([body(WHOLE)], status, JSON if not stream else {}))
    with pytest.raises(ProviderError) as error:
        await ask(transport, provider=Broken(where), stream=stream)

    assert Kind.SERVER_ERROR is error.value.kind
    assert "sk-secret" not in str(error.value)


class Refuses(Plain):
    """Find every request wrong."""

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Say so."""
        raise RequestError("no such thing")


async def test_a_request_that_could_not_be_written_is_no_call() -> None:
    """What was never sent is no step: nothing says that it may have been billed."""
    transport = ScriptedTransport()
    io = io_for(transport)
    call = a_call(io)
    with pytest.raises(RequestError):
        await open_exchange(call, TARGET, Refuses(Options("plain")), io, key=KEY)

    assert [] == call.trace.steps
    assert [] == transport.requests


class Roomless:
    """Decode as ever, with no room for headers."""

    __slots__ = ("_inner",)

    def __init__(self, inner: ChatDecoder) -> None:
        self._inner = inner

    @property
    def done(self) -> bool:
        """Ask the other one."""
        return self._inner.done

    @property
    def usage(self) -> Usage | None:
        """Ask the other one."""
        return self._inner.usage

    def feed(self, event: Event) -> list[Chunk]:
        """Ask the other one."""
        return list(self._inner.feed(event))

    def end(self) -> list[Chunk]:
        """Ask the other one."""
        return list(self._inner.end())


class Older(Plain):
    """Be a plug-in that was written before decoders were told headers."""

    def decoder(self, request: ChatRequest) -> Any:
        """Give such a decoder."""
        return Roomless(super().decoder(request))


async def test_a_decoder_without_room_for_headers_decodes() -> None:
    """Nobody's plug-in breaks because its decoder does not take what it was not asked to take."""
    transport = ScriptedTransport(Answer([says("a"), STOP, DONE]))
    exchange = await ask(transport, provider=Older(Options("plain")))

    assert "a" == "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()
    assert transport.is_clean
