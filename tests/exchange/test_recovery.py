"""What a stream that breaks becomes: ended, answered whole by another, or gone on with."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.config import parse
from aigateway.errors import Kind, NoAnswer, StreamInterrupted
from aigateway.guards._log import line_of
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.state import of_model
from aigateway.types import IN_PROCESS, ChatRequest, Target

from .scripted import (
    DONE,
    JSON,
    ROLE,
    STOP,
    USAGE,
    WHOLE,
    Answer,
    LoopClock,
    Plain,
    ScriptedTransport,
    body,
    error_event,
    event,
    says,
    virtually,
    wire,
)

END = (STOP, USAGE, DONE)
LOST = wire(Kind.STREAM_INTERRUPTED)


class Able(Plain):
    """Speak plain chat, and go on after a prefix."""

    def continuation(self, request: ChatRequest, text: str) -> ChatRequest | None:
        """Put what arrived at the end of the conversation."""
        if request.body.get("tools"):
            return None
        messages = [*request.body["messages"], {"role": "assistant", "content": text}]
        return ChatRequest.parse({**request.body, "messages": messages, "stream": request.stream})


class Vendors:
    """Offer `a` and `b`, which cannot go on, `c` and `d`, which can, and `e`, whose bill cancelling does not stop."""

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer them."""
        counted = type("Counted", (Plain,), {"cancel_stops_billing": False})
        stops = type("Stops", (Plain,), {"cancel_stops_billing": True})
        kinds = {"a": stops, "b": Plain, "c": Able, "d": Able, "e": counted}
        return [ProviderRecord(name, kind, needs_key=False) for name, kind in kinds.items()]


def gateway(transport: ScriptedTransport, names: str = "ab", *, drain: float = 0.0, **route: Any) -> Gateway:
    """Make a gateway whose route is those vendors."""
    registry = Registry(entries=[])
    registry.register(Vendors(), "vendors")
    settings = {
        "providers": {name: {"drain": drain} for name in names},
        "routes": {"r": {"targets": [f"{name}/m" for name in names], **route}},
    }
    return Gateway(parse(settings), registry=registry, transport=transport, clock=LoopClock(), seed=1)


async def read(made: Gateway, **fields: Any) -> tuple[str, list[str], StreamInterrupted | None, Any]:
    """Read a stream; give its text, the pieces, how it broke, and the decision."""
    pieces: list[str] = []
    broke = None
    async with made.stream("r", "hi", **fields) as chunks:
        try:
            async for chunk in chunks:
                pieces.append(chunk.text)
        except StreamInterrupted as error:
            broke = error
    return "".join(pieces), pieces, broke, chunks


def run(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return virtually(story)


BREAKS = {
    "cut": [LOST],
    "clean end without a finish reason": [],
    "error event": [error_event("boom")],
    "silence": [31.0, says("too late"), *END],
    "two malformed events": [b"data: {nonsense\n\n", b"data: {again\n\n"],
}


@pytest.mark.parametrize("broken", BREAKS)
def test_buffer_answers_whole_from_another(broken: str) -> None:
    """With `buffer` a caller sees one whole answer, whatever broke the first."""
    transport = ScriptedTransport(
        Answer([ROLE, says("one "), says("two"), *BREAKS[broken]]), Answer([ROLE, says("all of it"), *END])
    )
    text, _, broke, chunks = run(lambda: read(gateway(transport, recovery="buffer")))

    assert ("all of it", None, "complete") == (text, broke, chunks.outcome.state)
    assert "b/m" == chunks.decision.answered_by
    assert 2 == chunks.decision.attempts
    assert transport.is_clean


def test_buffer_tolerates_one_malformed_event() -> None:
    """One event that is no JSON among good ones costs nothing, also while the answer is held back."""
    transport = ScriptedTransport(Answer([says("one "), b"data: {nonsense\n\n", says("two"), *END]))

    assert "one two" == run(lambda: read(gateway(transport, recovery="buffer")))[0]


def test_buffer_with_one_target_asks_it_again() -> None:
    """Where there is no other target the same one is asked once more."""
    transport = ScriptedTransport(Answer([says("one"), LOST]), Answer([says("whole"), *END]))

    assert "whole" == run(lambda: read(gateway(transport, "a", recovery="buffer")))[0]


def test_buffer_and_everybody_breaks() -> None:
    """When every answer breaks the caller gets an error and no text, never a cut answer."""
    transport = ScriptedTransport(*[Answer([says("one"), LOST]) for _ in range(3)])

    async def story() -> None:
        with pytest.raises(NoAnswer) as caught:
            await read(gateway(transport, recovery="buffer"))
        assert 503 == caught.value.status

    run(story)
    assert transport.is_clean


@pytest.mark.parametrize(("held", "sees_break"), [(3, True), (7, True), (8, False), (100, False)])
def test_hold_promises_after_so_many_characters(held: int, sees_break: bool) -> None:
    """A stream that breaks before `hold` characters is answered by another, one that breaks later is interrupted."""
    transport = ScriptedTransport(Answer([ROLE, says("1234"), says("567"), LOST]), Answer([says("other"), *END]))
    text, _, broke, _ = run(lambda: read(gateway(transport, recovery="hold", hold=held)))

    assert ("1234567" if sees_break else "other") == text
    assert sees_break == (broke is not None)


def test_hold_ends_with_the_answer() -> None:
    """An answer shorter than what is held back is whole."""
    transport = ScriptedTransport(Answer([ROLE, says("short"), *END]))
    text, _, _, chunks = run(lambda: read(gateway(transport, recovery="hold", hold=1000), include_usage=True))

    assert "short" == text
    assert "complete" == chunks.outcome.state


def test_the_silence_limit_holds_while_holding_back() -> None:
    """Held back or not, silence between contents counts: 30 s after the last content the next target is asked."""
    transport = ScriptedTransport(Answer([says("one"), 1000.0]), Answer([says("two"), *END]))

    async def story() -> float:
        began = anyio.current_time()
        assert "two" == (await read(gateway(transport, recovery="buffer")))[0]
        return anyio.current_time() - began

    assert 30.0 == pytest.approx(run(story), abs=0.2)


@pytest.mark.parametrize("broken", BREAKS)
def test_continue_goes_on_where_it_broke(broken: str) -> None:
    """With `continue` another target that can goes on after what arrived; nothing is lost or doubled."""
    transport = ScriptedTransport(
        Answer([ROLE, says("one "), says("tw"), *BREAKS[broken]]), Answer([ROLE, says("o three"), *END])
    )
    text, _, broke, chunks = run(lambda: read(gateway(transport, "cd", recovery="continue")))

    assert ("one two three", None, "complete") == (text, broke, chunks.outcome.state)
    assert b'"one tw"' in transport.requests[1].body
    assert ["c/m", "d/m"] == [step.target for step in chunks.decision.steps]
    assert chunks.decision.steps[0].outcome != "complete"
    assert transport.is_clean


def test_an_answer_has_one_role() -> None:
    """What goes on does not begin again: clients add pieces up, and some vendors repeat the role in each."""
    again = event({"role": "assistant", "content": "o three"})
    transport = ScriptedTransport(Answer([ROLE, says("one tw"), LOST]), Answer([ROLE, again, again, *END]))

    async def story() -> list[Any]:
        async with gateway(transport, "cd", recovery="continue").stream("r", "hi") as chunks:
            return [chunk.body["choices"][0]["delta"] async for chunk in chunks]

    deltas = run(story)

    assert 1 == sum("role" in delta for delta in deltas)
    assert "one two threeo three" == "".join(delta.get("content", "") for delta in deltas)


@pytest.mark.parametrize("recovery", ["buffer", "hold", "terminate"])
def test_usage_is_not_lost_in_long_answers(recovery: str) -> None:
    """However long an answer is, its usage chunk reaches a caller who asked for it."""
    transport = ScriptedTransport(Answer([ROLE, *[says("x")] * 100, *END]))
    _, pieces, _, chunks = run(
        lambda: read(gateway(transport, recovery=recovery), stream_options={"include_usage": True})
    )

    assert 1 == sum(not piece for piece in pieces) - 2  # beside the role and the end
    assert 5 == chunks.usage.total_tokens


def test_continue_skips_who_cannot() -> None:
    """Only targets that declare it go on; the one that broke is the last choice."""
    transport = ScriptedTransport(Answer([says("one "), LOST]), Answer([says("two"), *END]))
    _, _, _, chunks = run(lambda: read(gateway(transport, "cba", recovery="continue")))

    assert ["c/m", "c/m"] == [step.target for step in chunks.decision.steps]


@pytest.mark.parametrize(
    ("first", "second", "fields"),
    [
        (
            [says("one "), LOST],
            Answer(status=400, headers=JSON, parts=[body({"error": {"message": "no prefill"}})]),
            {},
        ),
        ([says("one "), LOST], Answer(status=500, headers=JSON, parts=[body({"error": {"message": "no"}})]), {}),
        ([says("one "), event({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f"}}]}), LOST], None, {}),
        ([event({"reasoning_content": "thinking"}), LOST], None, {}),
        ([says("one "), LOST], None, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ],
    ids=["refused", "failed", "a tool call", "no text yet", "tools"],
)
def test_continue_never_masks_the_first_error(first: list[Any], second: Answer | None, fields: dict[str, Any]) -> None:
    """Where nobody can go on the caller is told how the answer broke, not how going on failed."""
    answers = [Answer(first)] + [second] * 3 if second else [Answer(first)]
    transport = ScriptedTransport(*answers)  # type: ignore[arg-type]  # no None is left in it
    text, _, broke, chunks = run(lambda: read(gateway(transport, "cd", recovery="continue"), **fields))

    assert broke is not None
    assert (Kind.STREAM_INTERRUPTED, "c") == (broke.cause_kind, broke.provider)
    assert text == broke.text
    assert "interrupted" == chunks.outcome.state
    assert transport.is_clean


def test_continue_can_break_again() -> None:
    """An answer goes on more than once, within the attempts of a request."""
    parts = [Answer([says(word), LOST]) for word in ("one ", "two ")] + [Answer([says("three"), *END])]
    transport = ScriptedTransport(*parts)
    text, _, broke, _ = run(lambda: read(gateway(transport, "cd", recovery="continue")))

    assert ("one two three", None) == (text, broke)


def test_continue_does_not_go_on_for_ever() -> None:
    """A stream that breaks each time ends with the error after a bounded number of calls."""
    transport = ScriptedTransport(*[Answer([says("x"), LOST]) for _ in range(20)])
    text, _, broke, _ = run(lambda: read(gateway(transport, "cd", recovery="continue")))

    assert broke is not None
    assert len(text) == len(transport.requests) <= 3


def test_whole_answers_need_no_recovery() -> None:
    """A whole-body call is the same under every mode."""
    for mode in ("terminate", "hold", "buffer", "continue"):
        transport = ScriptedTransport(Answer([body(WHOLE)], headers=JSON))

        async def story(transport: ScriptedTransport = transport, mode: str = mode) -> str:
            return (await gateway(transport, recovery=mode).chat("r", "hi")).text

        assert "Hi" == run(story)


@pytest.mark.parametrize(("name", "drain", "usage"), [("e", 5.0, True), ("e", 0.0, False), ("a", 5.0, False)])
def test_a_cancelled_stream_is_read_on_where_cancelling_does_not_stop_the_bill(
    name: str, drain: float, usage: bool
) -> None:
    """With `drain`, and only at such a vendor, a stream that was left is read for a while to learn its usage."""
    transport = ScriptedTransport(Answer([says("one"), says("two"), *END]))

    async def story() -> Any:
        made = gateway(transport, name, drain=drain)
        async with made.stream("r", "hi") as chunks:
            async for _ in chunks:
                break
        return chunks

    chunks = run(story)

    assert "cancelled" == chunks.outcome.state
    assert usage == (chunks.outcome.usage is not None and chunks.outcome.usage.source == "reported")
    assert transport.is_clean


def test_reading_on_is_bounded() -> None:
    """A vendor that does not end is left after `drain` seconds."""
    transport = ScriptedTransport(Answer([says("one"), *[1.0, says("x")] * 1000]))

    async def story() -> float:
        made = gateway(transport, "e", drain=5.0)
        began = anyio.current_time()
        async with made.stream("r", "hi") as chunks:
            async for _ in chunks:
                break
        return anyio.current_time() - began

    assert run(story) <= 5.1
    assert transport.is_clean


def test_what_has_ended_is_not_gone_on_with() -> None:
    """Its finish reason was seen and then the connection broke: interrupted, with nobody asked to write on."""
    transport = ScriptedTransport(Answer([ROLE, says("All done."), STOP, LOST]), Answer([says("x"), *END]))
    text, _, broke, _ = run(lambda: read(gateway(transport, "cd", recovery="continue")))

    assert "All done." == text
    assert broke is not None
    assert 1 == len(transport.requests)


def test_a_closed_gateway_asks_nobody_to_go_on() -> None:
    """Closed in the middle of an answer, it opens no new connection for the rest of it."""
    transport = ScriptedTransport(Answer([says("one "), LOST]), Answer([says("two"), *END]))

    async def story() -> None:
        made = gateway(transport, "cd", recovery="continue")
        with pytest.raises(StreamInterrupted):
            async with made.stream("r", "hi") as chunks:
                async for _ in chunks:
                    await made.aclose()

    run(story)

    assert 1 == len(transport.requests)


def test_going_on_is_measured_by_who_goes_on() -> None:
    """The first target's own `total` is over when it breaks; the second one's rest is not cut short by it."""
    transport = ScriptedTransport(
        Answer([ROLE, says("one "), 100.0]), Answer([ROLE, says("two "), 1.0, says("three"), *END])
    )
    made = gateway(transport, "cd", recovery="continue", targets=[{"to": "c/m", "timeouts": {"total": 3.0}}, "d/m"])
    text, _, broke, chunks = run(lambda: read(made))

    assert ("one two three", None, "complete") == (text, broke, chunks.outcome.state)


def test_going_on_takes_over_what_reading_on_costs() -> None:
    """Who goes on says how long it is read on after its reader has left, not the one that broke."""
    transport = ScriptedTransport(Answer([says("one "), LOST]), Answer([says("two"), says("three"), *END]))

    async def story() -> Any:
        made = gateway(transport, "ce", recovery="continue")
        made.parts.providers["e"].continuation = made.parts.providers["c"].continuation  # type: ignore[union-attr]
        made.parts.drains.update(e=5.0)
        async with made.stream("r", "hi") as chunks:
            async for chunk in chunks:
                if chunk.text == "two":
                    break
        return chunks

    chunks = run(story)

    assert "cancelled" == chunks.outcome.state
    assert chunks.outcome.usage is not None
    assert "reported" == chunks.outcome.usage.source


@pytest.mark.parametrize("bug", [True, False])
def test_who_cannot_go_on_does_not_mask_the_first_error(bug: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a plug-in says that it cannot, or fails to say: the caller is told how the answer broke."""

    def cannot(*_: object) -> None:
        if bug:
            raise ZeroDivisionError

    monkeypatch.setattr(Able, "continuation", cannot)
    transport = ScriptedTransport(Answer([says("one "), LOST]))
    text, _, broke, _ = run(lambda: read(gateway(transport, "cd", recovery="continue")))

    assert "one " == text
    assert broke is not None
    assert (Kind.STREAM_INTERRUPTED, "c") == (broke.cause_kind, broke.provider)


def test_the_log_names_who_broke() -> None:
    """Nobody could go on: the line about the call is about who held the answer, not who failed to."""
    no = Answer(status=500, headers=JSON, parts=[body({"error": {"message": "no"}})])
    transport = ScriptedTransport(Answer([says("one "), LOST]), no, no, no)
    _, _, _, chunks = run(lambda: read(gateway(transport, "cd", recovery="continue")))
    call = SimpleNamespace(trace=chunks.decision, id="", caller=IN_PROCESS, operation="chat")
    line = line_of(call, chunks.outcome)  # type: ignore[arg-type]  # what it reads of a call

    assert ("c/m", "interrupted") == (line["target"], line["outcome"])
    assert all(name.startswith("d/m") for name in line["failed"])


@pytest.mark.parametrize(
    "silent", [Answer(head=[1000.0]), Answer([ROLE, 1000.0]), Answer([says("x"), 1000.0])], ids=["head", "role", "text"]
)
def test_a_targets_own_total_is_its_fault(silent: Answer) -> None:
    """Silent past the `total` its own settings give it, while the caller has time: it counts, and it rests."""
    transport = ScriptedTransport(*[each for _ in range(5) for each in (silent, Answer([says("y"), *END]))])
    route = {"retries": {"same_target": 0}, "targets": [{"to": "a/m", "timeouts": {"total": 20}}, "b/m"]}

    async def story() -> Any:
        made = gateway(transport, "ab", recovery="buffer", **route)
        for _ in range(5):
            assert "y" == (await read(made))[0]
        return made.memory.facts(Target("a", "m")), made.memory.rests.find(of_model("a", "m"), anyio.current_time())

    facts, rest = run(story)

    assert (5, "timeout") == (facts.failed, facts.last_kind)
    assert None is not rest
