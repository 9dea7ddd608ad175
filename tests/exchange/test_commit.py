"""The commit contract: nothing is promised before content, nothing is hidden after it."""

from __future__ import annotations

import pytest

from aigateway.errors import Kind, ProviderError, StreamInterrupted
from aigateway.types import Usage

from .scripted import (
    COMMENT,
    DONE,
    JSON,
    ROLE,
    STOP,
    TARGET,
    USAGE,
    WHOLE,
    Answer,
    Part,
    ScriptedTransport,
    Settled,
    ask,
    body,
    error_event,
    event,
    read_all,
    says,
    wire,
)

pytestmark = pytest.mark.anyio
GARBAGE = b"data: {not json\n\n"


async def failure(*parts: Part, **fields: object) -> tuple[ProviderError, ScriptedTransport]:
    """Give the failure of a stream that never reaches content."""
    transport = ScriptedTransport(Answer(parts))
    with pytest.raises(ProviderError) as error:
        await ask(transport, **fields)  # type: ignore[arg-type]  # request fields
    assert not isinstance(error.value, StreamInterrupted)
    assert transport.is_clean
    assert not any(transport.closed)
    return error.value, transport


async def interruption(*parts: Part) -> tuple[StreamInterrupted, str]:
    """Give the interruption of a stream after its content, and what was read before it."""
    transport, settled = ScriptedTransport(Answer(parts)), Settled()
    exchange = await ask(transport, held=[settled])
    text = ""
    with pytest.raises(StreamInterrupted) as error:
        while batch := await exchange.read():
            text += "".join(chunk.text for chunk in batch)
    await exchange.aclose()
    assert exchange.outcome is not None
    assert "interrupted" == exchange.outcome.state
    assert ["interrupted"] == settled.outcomes
    assert [False] == transport.closed
    return error.value, text


async def test_a_whole_answer() -> None:
    """A call that asked for one gets it, and the connection goes back."""
    transport, settled = ScriptedTransport(Answer([body(WHOLE)], headers=JSON)), Settled()
    exchange = await ask(transport, stream=False, held=[settled])
    assert Usage(3, 2, source="reported") == exchange.usage
    await exchange.aclose()

    assert "Hi" == exchange.whole().text
    assert Usage(3, 2, source="reported") == exchange.usage
    assert [] == await exchange.read()
    assert ["complete"] == settled.outcomes
    assert [True] == transport.closed


async def test_a_streamed_answer() -> None:
    """Chunks as they came, usage known, complete, the connection reusable after the end of the body."""
    transport, settled = ScriptedTransport(Answer([ROLE, says("Hel"), says("lo"), STOP, USAGE, DONE])), Settled()
    exchange = await ask(transport, held=[settled])
    chunks = await read_all(exchange)
    await exchange.aclose()

    assert "Hello" == "".join(chunk.text for chunk in chunks)
    assert Usage(3, 2, source="reported") == exchange.usage
    assert exchange.outcome is not None
    assert ("complete", exchange.usage) == (exchange.outcome.state, exchange.outcome.usage)
    assert ["complete"] == settled.outcomes
    assert [True] == transport.closed
    with pytest.raises(RuntimeError, match="stream"):
        exchange.whole()


async def test_an_event_of_another_answer_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It may be somebody else's: it goes on, for ids may change without harm, but an operator can find it."""
    other = event({"content": "lo"}, id="2")
    exchange = await ask(ScriptedTransport(Answer([ROLE, says("Hel"), other, STOP, USAGE, DONE])))
    chunks = await read_all(exchange)
    await exchange.aclose()

    assert "Hello" == "".join(chunk.text for chunk in chunks)
    assert ["another answer" in warning for warning in exchange.call.trace.warnings] == [True]
    assert "named another answer than the first" in caplog.text


async def test_it_opens_with_the_first_content_and_what_was_held_back() -> None:
    """The role and comments alone open nothing; the first batch has them and the content."""
    transport = ScriptedTransport(Answer([COMMENT, ROLE, event({}), says("Hi"), STOP, DONE]))
    exchange = await ask(transport)

    assert 4 == transport.opened[0].reads
    assert ["", "", "Hi"] == [chunk.text for chunk in await exchange.read()]
    await exchange.aclose()


@pytest.mark.parametrize(
    "content",
    [says("x"), event({"reasoning_content": "x"}), event({"tool_calls": [{"index": 0}]}), event({}, "stop")],
    ids=["text", "reasoning", "tool call", "end"],
)
async def test_each_kind_of_content_commits(content: bytes) -> None:
    """Thoughts, a tool call or a mere end are content: what breaks later is an interruption."""
    exchange = await ask(ScriptedTransport(Answer([ROLE, content, error_event("boom")])))
    with pytest.raises(StreamInterrupted):
        await read_all(exchange)
    await exchange.aclose()


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([ROLE, error_event("boom")], Kind.SERVER_ERROR),
        ([error_event("boom", status_code=429)], Kind.RATE_LIMIT),
        ([ROLE], Kind.STREAM_INTERRUPTED),
        ([], Kind.STREAM_INTERRUPTED),
        ([ROLE, DONE], Kind.STREAM_INTERRUPTED),
        ([COMMENT, DONE], Kind.STREAM_INTERRUPTED),
        ([ROLE, wire(Kind.STREAM_INTERRUPTED)], Kind.STREAM_INTERRUPTED),
        ([wire(Kind.TIMEOUT)], Kind.TIMEOUT),
        ([ROLE, GARBAGE, says("late")], Kind.PROTOCOL_ERROR),
        ([ROLE + GARBAGE + says("late")], Kind.PROTOCOL_ERROR),
        ([b"data: [1]\n\n"], Kind.PROTOCOL_ERROR),
        ([b"data: " + b"x" * 1_100_000], Kind.PROTOCOL_ERROR),
    ],
)
async def test_before_content_any_failure_is_the_loops_to_mend(parts: list[Part], kind: Kind) -> None:
    """A ProviderError that allows going on, never an interruption; placed and settled by whoever called."""
    error, _ = await failure(*parts)

    assert kind is error.kind
    assert (TARGET.provider, TARGET.model) == (error.provider, error.model)
    assert "no" != error.remedy.other_target


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ([error_event("boom")], Kind.SERVER_ERROR),
        ([], Kind.STREAM_INTERRUPTED),
        ([DONE], Kind.STREAM_INTERRUPTED),
        ([wire(Kind.STREAM_INTERRUPTED)], Kind.STREAM_INTERRUPTED),
        ([wire(Kind.PROTOCOL_ERROR)], Kind.PROTOCOL_ERROR),
        ([GARBAGE, GARBAGE], Kind.PROTOCOL_ERROR),
        ([GARBAGE, says(""), b"data: [1]\n\n"], Kind.PROTOCOL_ERROR),
    ],
)
async def test_after_content_a_failure_interrupts(parts: list[Part], cause: Kind) -> None:
    """It carries text, reasoning and usage so far, and says how it broke."""
    error, text = await interruption(
        event({"reasoning_content": "hm"}), says("Hel"), event({"content": "lo"}, usage={"prompt_tokens": 9}), *parts
    )

    assert "Hello" == text == error.text
    assert "hm" == error.reasoning
    assert error.usage is not None
    assert 9 == error.usage.input
    assert cause is error.cause_kind
    assert "no" == error.remedy.other_key


async def test_content_and_error_in_one_read() -> None:
    """What came with the error is not lost, and the error follows it."""
    error, text = await interruption(ROLE + says("Hel") + says("lo") + error_event("boom"))

    assert "Hello" == text == error.text


async def test_content_after_commit_and_error_in_one_read() -> None:
    """The same later in the stream."""
    error, text = await interruption(says("a"), says("b") + error_event("boom"))

    assert "ab" == text == error.text


async def test_one_malformed_event_among_good_ones_is_skipped() -> None:
    """After commit, once."""
    exchange = await ask(ScriptedTransport(Answer([says("a"), GARBAGE, says("b"), STOP, DONE])))

    assert "ab" == "".join(chunk.text for chunk in await read_all(exchange))
    assert exchange.complete
    await exchange.aclose()


async def test_a_malformed_event_in_the_read_that_commits_is_skipped() -> None:
    """Content before it in the same bytes counts as commit: the same events for every chunking."""
    exchange = await ask(ScriptedTransport(Answer([says("a") + GARBAGE + says("b") + STOP + DONE])))

    assert "ab" == "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_the_chunking_of_the_bytes_does_not_matter(size: int) -> None:
    """Byte by byte or all at once: the same text, usage and end."""
    data = b"".join([COMMENT, ROLE, says("Hé"), says("llo"), STOP, USAGE, DONE])
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    exchange = await ask(ScriptedTransport(Answer(parts)), stream_options={"include_usage": True})

    assert "Héllo" == "".join(chunk.text for chunk in await read_all(exchange))
    assert Usage(3, 2, source="reported") == exchange.usage
    await exchange.aclose()


async def test_the_end_of_the_body_after_a_finish_reason_completes() -> None:
    """Vendors that send no [DONE] are complete at once."""
    transport = ScriptedTransport(Answer([says("Hi"), STOP]))
    exchange = await ask(transport)
    await read_all(exchange)
    await exchange.aclose()

    assert exchange.outcome is not None
    assert "complete" == exchange.outcome.state
    assert [True] == transport.closed


async def test_data_after_the_end_marker_is_ignored_and_not_trusted() -> None:
    """It reaches nobody, and the connection is not used again."""
    transport = ScriptedTransport(Answer([says("Hi"), STOP, DONE, says("more")]))
    exchange = await ask(transport)

    assert "Hi" == "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()
    assert exchange.outcome is not None
    assert "complete" == exchange.outcome.state
    assert [False] == transport.closed


async def test_data_after_the_end_marker_in_the_same_read_is_ignored() -> None:
    """Also when it came together with the marker."""
    exchange = await ask(ScriptedTransport(Answer([says("Hi") + STOP + DONE + says("more") + GARBAGE])))

    assert "Hi" == "".join(chunk.text for chunk in await read_all(exchange))
    await exchange.aclose()


async def test_a_whole_answer_to_a_stream_request_is_told_as_a_stream() -> None:
    """One JSON object instead of events: content, end, usage."""
    transport = ScriptedTransport(Answer([body(WHOLE)], headers=JSON))
    exchange = await ask(transport)
    chunks = await read_all(exchange)
    await exchange.aclose()

    assert ["Hi", "", ""] == [chunk.text for chunk in chunks]
    assert [None, "stop", None] == [chunk.finish_reason for chunk in chunks]
    assert Usage(3, 2, source="reported") == exchange.usage
    assert {"m"} == {chunk.body["model"] for chunk in chunks}
    assert exchange.outcome is not None
    assert "complete" == exchange.outcome.state


async def test_an_error_object_to_a_stream_request_is_classified() -> None:
    """A 200 with an error inside fails over like any error."""
    transport = ScriptedTransport(
        Answer([body({"error": {"message": "x", "code": "insufficient_quota"}})], headers=JSON)
    )
    with pytest.raises(ProviderError) as error:
        await ask(transport)

    assert Kind.INSUFFICIENT_FUNDS is error.value.kind
    assert transport.is_clean


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "kind"), [(401, Kind.AUTH), (429, Kind.RATE_LIMIT), (500, Kind.SERVER_ERROR), (400, Kind.BAD_REQUEST)]
)
async def test_an_error_status_is_classified(stream: bool, status: int, kind: Kind) -> None:
    """By its body and headers; the response is closed."""
    headers = {**JSON, "retry-after": "7"}
    transport = ScriptedTransport(Answer([body({"error": {"message": "no"}})], status, headers))
    with pytest.raises(ProviderError) as error:
        await ask(transport, stream=stream)

    assert kind is error.value.kind
    assert kind is not Kind.RATE_LIMIT or error.value.retry_after == 7
    assert [False] == transport.closed


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_whose_body_breaks_off_is_still_classified(stream: bool) -> None:
    """What arrived is enough."""
    transport = ScriptedTransport(Answer([b'{"err', wire(Kind.STREAM_INTERRUPTED)], 401, JSON))
    with pytest.raises(ProviderError) as error:
        await ask(transport, stream=stream)

    assert Kind.AUTH is error.value.kind
    assert transport.is_clean


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", [Kind.CONNECT, Kind.TIMEOUT, Kind.PROTOCOL_ERROR, Kind.STREAM_INTERRUPTED])
async def test_a_failed_send_is_the_loops_to_mend(stream: bool, kind: Kind) -> None:
    """Only a refused connection is certainly free of charge."""
    with pytest.raises(ProviderError) as error:
        await ask(ScriptedTransport(Answer(head=[wire(kind)])), stream=stream)

    assert kind is error.value.kind
    assert (kind is not Kind.CONNECT) is error.value.may_have_cost
    assert "yes" == error.value.remedy.other_target
