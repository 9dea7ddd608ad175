"""Each limit fires at its second with the right words; bytes are not progress. On a virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import anyio
import pytest
import trio
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aigateway.errors import Kind, ProviderError, StreamInterrupted, WireError
from aigateway.exchange import timer_for
from aigateway.types import Timeouts

from .scripted import (
    COMMENT,
    DONE,
    JSON,
    ROLE,
    STOP,
    WHOLE,
    Answer,
    Part,
    ScriptedTransport,
    ask,
    body,
    error_event,
    event,
    read_all,
    says,
    virtually,
)

LIMITS = Timeouts(connect=5, first_content=60, silence=30, answer=300, total=600)


def timed(
    answer: Answer, *, stream: bool = True, total: float = 600.0, pause: float = 0.0
) -> tuple[float, ProviderError | None, str]:
    """Play one exchange; give the second it ended, the error, and the text read. `pause` is between reads."""
    transport = ScriptedTransport(answer)

    async def story() -> tuple[float, ProviderError | None, str]:
        text, error = "", None
        start = trio.current_time()
        try:
            exchange = await ask(transport, stream=stream, total=total, timeouts=LIMITS)
            try:
                while batch := await exchange.read():
                    text += "".join(chunk.text for chunk in batch)
                    await trio.sleep(pause)
            finally:
                await exchange.aclose()
        except ProviderError as raised:
            error = raised
        return trio.current_time() - start, error, text

    result = virtually(story)
    assert transport.is_clean
    return result


def every(seconds: float, part: bytes, times: int) -> list[Part]:
    return [item for _ in range(times) for item in (seconds, part)]


@pytest.mark.parametrize(
    ("answer", "stream", "total", "second", "words"),
    [
        (Answer(head=[1e9]), True, 600, 60, "no first content within 60 s"),
        (Answer([1e9]), True, 600, 60, "no first content within 60 s"),
        (Answer([ROLE, 1e9]), True, 600, 60, "no first content within 60 s"),
        (Answer(every(1, COMMENT, 500)), True, 600, 60, "no first content within 60 s"),
        (Answer(every(1, ROLE, 500)), True, 600, 60, "no first content within 60 s"),
        (Answer(every(1, b"\n\n", 500)), True, 600, 60, "no first content within 60 s"),
        (Answer(every(1, b":", 500)), True, 600, 60, "no first content within 60 s"),
        (Answer(head=[40], parts=[40.0, says("x")]), True, 600, 60, "no first content within 60 s"),
        (Answer(head=[1e9]), False, 600, 300, "no answer within 300 s"),
        (Answer([1e9], headers=JSON), False, 600, 300, "no answer within 300 s"),
        (Answer(every(1, b"\n", 500), headers=JSON), False, 600, 300, "no answer within 300 s"),
        (Answer(head=[200], parts=[200.0, body(WHOLE)], headers=JSON), False, 600, 300, "no answer within 300 s"),
        (Answer(head=[1e9]), True, 20, 20, "the request's deadline passed before the first content"),
        (Answer([1e9]), True, 20, 20, "the request's deadline passed before the first content"),
        (Answer(head=[1e9]), False, 20, 20, "the request's deadline passed before the answer"),
        (Answer([1e9], 500), False, 600, 300, "no answer within 300 s"),
    ],
)
def test_before_content_a_limit_is_a_timeout(
    answer: Answer, stream: bool, total: float, second: float, words: str
) -> None:
    """At its second, in its words; a silent target is not asked again, the next one is."""
    took, error, _ = timed(answer, stream=stream, total=total)

    assert pytest.approx(second) == took
    assert error is not None
    assert (Kind.TIMEOUT, words) == (error.kind, error.message)
    assert (False, "yes", True) == (error.remedy.again, error.remedy.other_target, error.may_have_cost)


@pytest.mark.parametrize(
    ("parts", "total", "second", "words"),
    [
        ([says("a"), 1e9], 600, 30, "no further content within 30 s"),
        ([50.0, says("a"), 1e9], 600, 80, "no further content within 30 s"),
        ([says("a"), *every(1, COMMENT, 500)], 600, 30, "no further content within 30 s"),
        ([says("a"), *every(1, ROLE, 500)], 600, 30, "no further content within 30 s"),
        ([says("a"), *every(10, event({}), 500)], 600, 30, "no further content within 30 s"),
        ([says("a"), 20.0, b"data: {broken\n\n", 20.0, says("b")], 600, 30, "no further content within 30 s"),
        ([says("a"), *every(29, says("b"), 3), 1e9], 600, 117, "no further content within 30 s"),
        ([says("a"), 1e9], 20, 20, "the request's deadline passed before the further content"),
        ([says("a"), *every(20, says("b"), 500)], 600, 600, "the request's deadline passed before the further content"),
    ],
)
def test_after_content_a_limit_interrupts(parts: list[Part], total: float, second: float, words: str) -> None:
    """Silence is counted from content to content; the deadline wins over everything."""
    took, error, text = timed(Answer(parts), total=total)

    assert pytest.approx(second) == took
    assert isinstance(error, StreamInterrupted)
    assert (Kind.TIMEOUT, text) == (error.cause_kind, error.text)
    assert words in error.message


@pytest.mark.parametrize("seconds", [0.0, 1.0, 29.9])
def test_a_slow_stream_within_the_limits_is_complete(seconds: float) -> None:
    """Content just in time is in time."""
    took, error, text = timed(Answer([59.9, says("a"), *every(seconds, says("a"), 9), STOP, DONE]))

    assert None is error
    assert "a" * 10 == text
    assert pytest.approx(59.9 + 9 * seconds) == took


@pytest.mark.parametrize("pause", [1.0, 29.0, 31.0, 45.0])
def test_a_slow_reader_is_not_a_silent_vendor(pause: float) -> None:
    """What the caller takes to read does not count as the vendor's silence: what is already here is given."""
    _, error, text = timed(Answer([says("a"), says("b"), says("c"), STOP, DONE]), pause=pause)

    assert None is error
    assert "abc" == text


def test_a_slow_reader_keeps_to_the_deadline() -> None:
    """The total counts for everybody."""
    took, error, _ = timed(Answer([says("a"), 1.0, says("b"), STOP, DONE]), pause=50, total=40)

    assert isinstance(error, StreamInterrupted)
    assert "deadline" in error.message
    assert took <= 100


def test_limits_of_the_target_come_first() -> None:
    """A target's own timeouts replace the gateway's."""

    async def story() -> str:
        transport = ScriptedTransport(Answer([1e9]))
        with pytest.raises(ProviderError) as error:
            await ask(transport, timeouts=Timeouts(first_content=7))
        return error.value.message

    assert "no first content within 7 s" == virtually(story)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 100), st.floats(0.001, 100))
def test_the_words_name_the_limit_that_passed(total: float, first: float) -> None:
    """Whatever the figures, rounding never blames the wrong limit."""

    async def story() -> str:
        await trio.sleep(0.1)
        with pytest.raises(ProviderError) as error:
            await ask(ScriptedTransport(Answer([1e9])), total=total, timeouts=Timeouts(first_content=first))
        return error.value.message

    assume(abs(total - first) > 1e-6)  # closer than that, both have passed when either is looked at
    assert ("deadline" in virtually(story)) == (total <= first)


# Never exactly at a limit: who is first then is nobody's promise.
WAITS = st.integers(0, 40).map(lambda seconds: seconds + 0.01)
STEPS = st.lists(
    st.tuples(st.sampled_from([says("x"), ROLE, COMMENT, event({"reasoning_content": "h"})]), WAITS),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_streams_end_when_the_limits_say(steps: Sequence[tuple[bytes, float]]) -> None:
    """For any mix of content, comments and waits the end is where a clock and a pencil put it."""
    parts: list[Part] = [part for piece, wait in steps for part in (wait, piece)]
    took, error, text = timed(Answer([*parts, STOP, DONE]))
    now, heard, limit, expected = 0.0, 0.0, 60.0, ""
    for piece, wait in steps:
        now += wait
        if now > heard + limit:
            break
        if piece not in (ROLE, COMMENT):
            heard, limit = now, 30.0
            expected += "x" if piece == says("x") else ""
    late = now > heard + limit

    assert late == (error is not None)
    assert expected == text or limit == 60.0
    assert pytest.approx(heard + limit if late else now) == took


# -- asyncio's own timer, with real but short waits -----------------------------------------------


def test_the_alarm_leaves_no_cancellation_behind() -> None:
    """What was awaited may turn our cancellation into an error of its own; the task is not marked by it."""

    async def converts() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise WireError(Kind.TIMEOUT, "the transport told it its way") from None

    async def story() -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises((WireError, TimeoutError)):
            await timer_for("asyncio")().within(0.01, converts)
        return task.cancelling()

    assert 0 == asyncio.run(story())


def test_the_alarm_leaves_a_swallowed_cancellation_behind_neither() -> None:
    """The same when what was awaited gives a result after all."""

    async def gives() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "late"
        return "never"

    async def story() -> int:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(TimeoutError):
            assert "late" == await timer_for("asyncio")().within(0.01, gives)
        return task.cancelling()

    assert 0 == asyncio.run(story())


def test_the_alarm_moves_with_the_deadline() -> None:
    """Later, earlier, later again: each wait ends at its own second."""

    async def story() -> list[bool]:
        timer = timer_for("asyncio")()
        loop = asyncio.get_running_loop()
        in_time = []
        for seconds in (0.03, 0.01, 0.04, 0.005):
            start = loop.time()
            with pytest.raises(TimeoutError):
                await timer.within(seconds, lambda: asyncio.sleep(10))
            in_time.append(seconds - 0.002 <= loop.time() - start <= seconds + 0.25)
            assert "done" == await timer.within(0.05, lambda: asyncio.sleep(0, "done"))
        timer.stop()
        return in_time

    assert [True] * 4 == asyncio.run(story())


def test_the_alarm_does_not_ring_between_two_waits() -> None:
    """A caller who takes long to come back is not cancelled meanwhile."""

    async def story() -> str:
        timer = timer_for("asyncio")()
        await timer.within(0.01, lambda: asyncio.sleep(0))
        await asyncio.sleep(0.03)
        result = await timer.within(0.02, lambda: asyncio.sleep(0.001, "fine"))
        timer.stop()
        return result

    assert "fine" == asyncio.run(story())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancellation_from_outside_is_not_a_timeout(backend: str) -> None:
    """Even when both come at once the outer one goes on."""

    async def story() -> str:
        timer = timer_for(backend)()
        with anyio.move_on_after(0.02) as scope:
            try:
                await timer.within(0.02 if backend == "asyncio" else 1, lambda: anyio.sleep(10))
            except TimeoutError:
                await anyio.sleep(10)
        return "cancelled" if scope.cancelled_caught else "lost"

    assert "cancelled" == anyio.run(story, backend=backend)


@pytest.mark.anyio
async def test_limits_hold_on_every_event_loop() -> None:
    """A short silence with real clocks, on asyncio and on trio."""
    quick = Timeouts(first_content=0.04, silence=0.02)
    with pytest.raises(ProviderError, match=r"no first content within 0\.04 s"):
        await ask(ScriptedTransport(Answer([10.0])), timeouts=quick)
    exchange = await ask(ScriptedTransport(Answer([says("a"), 10.0])), timeouts=quick)
    with pytest.raises(StreamInterrupted, match=r"no further content within 0\.02 s"):
        await read_all(exchange)
    await exchange.aclose()


@pytest.mark.anyio
async def test_closing_is_bounded_by_a_moment() -> None:
    """A body that does not end after [DONE] costs a quarter of a second at most, and is not reused."""
    transport = ScriptedTransport(Answer([says("a"), STOP, DONE, 10.0]))
    exchange = await ask(transport)
    await read_all(exchange)
    with anyio.fail_after(2):
        await exchange.aclose()

    assert [False] == transport.closed


def test_an_error_event_is_not_a_timeout() -> None:
    """An error just before the limit is told as what it is."""
    took, error, _ = timed(Answer([says("a"), 29.0, error_event("boom")]))

    assert pytest.approx(29) == took
    assert isinstance(error, StreamInterrupted)
    assert Kind.SERVER_ERROR is error.cause_kind
