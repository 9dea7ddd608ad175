"""The gateway as programs use it, with providers that live in this process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from aigateway import ConfigurationError, Gateway, NoAnswer, ProviderError, RequestError, StreamInterrupted
from aigateway.config import parse
from aigateway.errors import REMEDIES, Kind, PluginError, UnknownModel
from aigateway.types import ChatRequest, Reply, Target, Usage

from .exchange.parts import Parts, Watch, fails, gateway, in_flight, reply_of, stream_of

pytestmark = pytest.mark.anyio


async def test_a_chat_is_answered_and_explained() -> None:
    """The reply has text, usage, and the decision that led to it."""
    async with gateway(Parts(a=lambda _: "Hello")) as made:
        reply = await made.chat("smart", "hi")

    assert ("Hello", "a-1", 2) == (reply.text, reply.model, reply.usage.total_tokens)
    assert reply.decision is not None
    assert "'smart' is the route 'smart'.\na/a-1 answered in" in reply.decision.explain()


async def test_failover_is_invisible_to_the_caller() -> None:
    """The next target answers; every step is in the decision."""
    parts = Parts(a=fails(Kind.AUTH), b=fails(Kind.SERVER_ERROR, remedy=None), c=lambda _: "Hello")
    made = gateway(parts, retries={"same_target": 0})
    reply = await made.chat("smart", "hi")

    assert "Hello" == reply.text
    assert ["a/a-1", "b/b-1", "c/c-1"] == parts.calls
    assert reply.decision is not None
    assert ["auth", "server_error", "complete"] == [step.outcome for step in reply.decision.steps]
    assert 0 == in_flight(made, "a/a-1", "b/b-1", "c/c-1")
    await made.aclose()


def with_keys(parts: Parts, *groups: str) -> Gateway:
    """Give each provider a key per quota group."""
    keys = [{"secret": f"k{n}", "allow_literal": True, "quota_group": group} for n, group in enumerate(groups)]
    return gateway(parts, providers={name: {"keys": keys} for name in parts.providers})


@pytest.mark.parametrize(("kind", "calls"), [(Kind.AUTH, 3), (Kind.INSUFFICIENT_FUNDS, 2), (Kind.PROTOCOL_ERROR, 1)])
async def test_keys_are_tried_before_the_next_target(kind: Kind, calls: int) -> None:
    """Any key, one per account, or none, as the failure says; each has a step with its masked id."""
    remedy = replace(REMEDIES[kind], again=False)
    parts = Parts(a=fails(kind, remedy=remedy), b=lambda _: "Hello")
    made = with_keys(parts, "x", "x", "y")
    reply = await made.chat("smart", "hi")
    assert reply.decision is not None
    steps = reply.decision.steps

    assert ["a/a-1"] * calls + ["b/b-1"] == [step.target for step in steps]
    assert calls == len({step.key for step in steps[:-1]})
    assert all(step.key.startswith("key-") for step in steps)
    assert not any(count for ring in made.parts.rings.values() for count in ring.in_use.values())


async def test_a_stream_keeps_its_key_until_it_ends() -> None:
    """It counts as in use while it is open, and is given back once."""
    made = with_keys(Parts(a=lambda _: "x y"), "x")
    async with made.stream("smart", "hi") as chunks:
        in_use = sum(made.parts.rings["a"].in_use.values())
        async for _ in chunks:
            pass

    assert (1, 0) == (in_use, sum(made.parts.rings["a"].in_use.values()))


async def test_a_cancelled_call_gives_its_key_back() -> None:
    """Before content too."""
    made = with_keys(Parts(a=lambda _: anyio.sleep(10)), "x")
    with anyio.move_on_after(0.01):
        await made.chat("smart", "hi")

    assert 0 == sum(made.parts.rings["a"].in_use.values())


async def test_when_everything_failed_all_reasons_are_there() -> None:
    """NoAnswer is a group, and has the decision."""
    async with gateway(Parts(a=fails(Kind.AUTH), b=fails(Kind.RATE_LIMIT))) as made:
        with pytest.raises(NoAnswer) as error:
            await made.chat("smart", "hi")

    assert [Kind.AUTH, Kind.RATE_LIMIT] == [e.kind for e in error.value.exceptions if isinstance(e, ProviderError)]
    assert error.value.decision is not None
    assert 2 == error.value.decision.attempts


async def test_what_the_caller_must_change_stops() -> None:
    """Nobody else is asked."""
    parts = Parts(a=fails(Kind.BAD_REQUEST), b=lambda _: "no")
    async with gateway(parts) as made:
        with pytest.raises(ProviderError) as error:
            await made.chat("smart", "hi")

    assert (400, ["a/a-1"]) == (error.value.status, parts.calls)
    assert error.value.decision is not None


async def test_chat_with_stream_names_the_right_method() -> None:
    """A TypeError, as Python's own for a wrong argument."""
    made = gateway(Parts(a=lambda _: "x"))
    with pytest.raises(TypeError, match=r"gateway\.stream"):
        await made.chat("smart", "hi", stream=True)
    assert "x" == (await made.chat("smart", "hi", stream=False)).text


async def test_stream_cannot_be_told_not_to() -> None:
    """`stream(stream=False)` streams, or says that it cannot; it is never silently empty."""
    made = gateway(Parts(a=lambda _: "x y"))
    try:
        async with made.stream("smart", "hi", stream=False) as chunks:
            text = [chunk.text async for chunk in chunks]
    except (TypeError, RequestError):
        return

    assert "xy" == "".join(text)


async def test_a_stream_has_its_end_in_view() -> None:
    """Outcome, usage and decision are known after it; usage chunks come only to those who asked."""
    made = gateway(Parts(a=lambda _: "Hel lo"))
    for options in (None, {"include_usage": True}):
        async with made.stream("smart", "hi", stream_options=options) as chunks:
            assert (None, None) == (chunks.outcome, chunks.decision)
            seen = [chunk async for chunk in chunks]

        assert "Hello" == "".join(chunk.text for chunk in seen)
        assert bool(options) == any(chunk.is_usage for chunk in seen)
        assert Usage(1, 2, source="reported") == chunks.usage
        assert chunks.outcome is not None
        assert "complete" == chunks.outcome.state
        assert chunks.decision is not None
    assert 0 == in_flight(made, "a/a-1")


async def test_a_stream_must_be_entered() -> None:
    """Reading before is a mistake with a hint; nothing is known then."""
    chunks = gateway(Parts(a=lambda _: "x")).stream("smart", "hi")

    assert (None, None, None) == (chunks.usage, chunks.outcome, chunks.decision)
    with pytest.raises(RuntimeError, match="async with"):
        async for _ in chunks:
            pass


async def test_a_stream_is_entered_once() -> None:
    """A second time would be a second call upstream that nobody meant."""
    parts = Parts(a=lambda _: "x")
    chunks = gateway(parts).stream("smart", "hi")
    async with chunks:
        with pytest.raises(RuntimeError, match="entered once"):
            await chunks.__aenter__()
        assert ["x"] == [chunk.text async for chunk in chunks if chunk.text]

    assert ["a/a-1"] == parts.calls


async def test_leaving_a_stream_early_is_clean() -> None:
    """`break` is a cancelled answer, on both event loops, without a complaint."""
    diary: list[str] = []
    made = gateway(Parts({"watch": Watch(diary)}, a=lambda _: "a b c"))
    async with made.stream("smart", "hi") as chunks:
        async for _ in chunks:
            break

    assert chunks.outcome is not None
    assert "cancelled" == chunks.outcome.state
    assert ["enter", "leave cancelled"] == diary
    assert 0 == in_flight(made, "a/a-1")


async def test_a_broken_stream_carries_what_arrived() -> None:
    """StreamInterrupted, and the next target is not asked."""
    parts = Parts(a=lambda _: stream_of("Hel lo", ProviderError(Kind.SERVER_ERROR, "x")), b=lambda _: "no")
    async with gateway(parts) as made, made.stream("smart", "hi") as chunks:
        with pytest.raises(StreamInterrupted) as error:
            async for _ in chunks:
                pass

    assert ("Hello", ["a/a-1"]) == (error.value.text, parts.calls)
    assert chunks.outcome is not None
    assert "interrupted" == chunks.outcome.state


async def test_aclose_while_a_stream_is_open() -> None:
    """What is under way goes on to its end."""
    made = gateway(Parts(a=lambda _: "Hel lo"))
    async with made.stream("smart", "hi") as chunks:
        await made.aclose()
        text = "".join([chunk.text async for chunk in chunks])
    await made.aclose()

    assert "Hello" == text


async def test_a_closed_gateway_opens_again() -> None:
    """Connections are opened on use."""
    made = gateway(Parts(a=lambda _: "x"))
    for _ in range(2):
        async with made:
            assert "x" == (await made.chat("smart", "hi")).text


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "5", [1]])
async def test_a_timeout_is_a_positive_number(seconds: object) -> None:
    """Anything else names the option."""
    with pytest.raises(RequestError, match="timeout") as error:
        await gateway(Parts(a=lambda _: "x")).chat("smart", "hi", timeout=seconds)

    assert "timeout" == error.value.param


@pytest.mark.parametrize(("timeout", "seconds"), [(7, 7), (None, 600), (10_000, 600)])
def test_a_timeout_bounds_everything_and_only_shortens(timeout: float | None, seconds: float) -> None:
    """Over all targets together, never beyond the configured total."""

    async def hangs(request: ChatRequest) -> None:
        await trio.sleep_forever()

    async def story() -> float:
        made = gateway(Parts(a=hangs, b=hangs, c=hangs), retries={"attempts": 20})
        with pytest.raises(NoAnswer) as error:
            await made.chat("smart", "hi", timeout=timeout)
        assert 503 == error.value.status
        return trio.current_time()

    start = 0.0
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def timed() -> float:
        nonlocal start
        start = trio.current_time()
        return await story() - start

    assert pytest.approx(seconds) == trio.run(timed, clock=clock)


def test_waits_between_attempts_are_on_the_clock() -> None:
    """A throttled target is waited for as long as patience allows, and the decision says so."""
    errors: list[Any] = [ProviderError(Kind.RATE_LIMIT, "x", retry_after=7.5), "Hello"]

    async def story() -> tuple[float, Reply]:
        start = trio.current_time()
        reply = await gateway(Parts(a=lambda _: errors.pop(0)), retries={"patience": 10.0}).chat("smart", "hi")
        return trio.current_time() - start, reply

    took, reply = trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))

    assert pytest.approx(7.5) == took
    assert reply.decision is not None
    assert 7.5 == reply.decision.steps[1].wait


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_cap_on_tokens_is_named(name: str) -> None:
    """Above it is a 400, the cap itself passes."""
    made = gateway(Parts(a=lambda _: "x"), limits={"max_tokens": 100})
    with pytest.raises(RequestError, match="100") as error:
        await made.chat("smart", "hi", **{name: 101})

    assert (400, name) == (error.value.status, error.value.param)
    assert "x" == (await made.chat("smart", "hi", **{name: 100})).text


async def test_the_cap_holds_for_fields_of_one_provider() -> None:
    """`extra` is no way around it."""
    made = gateway(Parts(a=lambda _: "x"), limits={"max_tokens": 100})

    with pytest.raises(RequestError, match="100"):
        await made.chat("smart", "hi", extra={"a": {"max_tokens": 101}})


async def test_options_reach_routing() -> None:
    """Names, pins, allow-lists and retired names, with a warning in the decision."""
    parts = Parts(a=lambda _: "A", b=lambda _: "B")
    made = gateway(parts)

    assert "B" == (await made.chat("b-1", "hi")).text
    assert "B" == (await made.chat("smart", "hi", routing={"only": ["b"]})).text
    assert "A" == (await made.chat("", "hi")).text
    reply = await made.chat("b-0", "hi")
    assert reply.decision is not None
    assert ("b/b-0 is retired; b/b-1 answers instead",) == reply.decision.warnings
    with pytest.raises(UnknownModel):
        await made.chat("zzz", "hi")
    with pytest.raises(RequestError, match="messages"):
        await made.chat("smart", 7)  # type: ignore[arg-type]  # the mistake is the test


async def test_two_hundred_calls_at_once() -> None:
    """Each gets its own answer, and nothing is left in flight."""

    async def echoes(request: ChatRequest) -> str:
        await anyio.sleep(0.001)
        return str(request.messages[0]["content"])

    diary: list[str] = []
    made = gateway(Parts({"watch": Watch(diary)}, a=echoes, b=echoes))
    answers: dict[int, str] = {}

    async def one(number: int) -> None:
        if number % 2:
            answers[number] = (await made.chat("smart", f"n{number}")).text
        else:
            async with made.stream("smart", f"n{number}") as chunks:
                answers[number] = "".join([chunk.text async for chunk in chunks])

    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(one, number)

    assert {number: f"n{number}" for number in range(200)} == answers
    assert 200 == made.memory.facts(Target("a", "a-1")).answered
    assert 0 == in_flight(made, "a/a-1", "b/b-1")
    assert 200 == diary.count("leave complete")


async def test_two_gateways_share_nothing() -> None:
    """Settings, facts, plug-ins and guards belong to one gateway."""
    one, other = gateway(Parts(a=fails(Kind.SERVER_ERROR))), gateway(Parts(a=lambda _: "x", b=lambda _: "y"))
    with pytest.raises(NoAnswer):
        await one.chat("smart", "hi")
    await other.chat("smart", "hi")

    assert (0, 1) == (one.memory.facts(Target("a", "a-1")).answered, other.memory.facts(Target("a", "a-1")).answered)
    assert 0 == other.memory.facts(Target("a", "a-1")).failed
    assert one.registry is not other.registry
    with pytest.raises(UnknownModel):
        await one.chat("b-1", "hi")


async def test_a_mapping_is_a_configuration() -> None:
    """`from_config` takes a mapping and discovers nothing then."""
    async with Gateway.from_config({"providers": {"echo": {}}}) as made:
        assert "hi" == (await made.chat("echo", "hi")).text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"providers": {"ech": {}}}, "'echo'"),
        ({"providers": {"echo": {"colour": 1}}}, "providers.echo.colour"),
        ({"providers": {"deepseek": {}}}, "env:DEEPSEEK_API_KEY"),
        ({"guards": [{"use": "lgo"}]}, "'log'"),
        ({"guards": [{"use": "log", "level": 1}]}, r"guards\[0\].level"),
        ({"providers": {"echo": {}}, "routes": {"r": {"targets": ["nothing"]}}}, "provider/model"),
        ({"providers": {"x": {"type": "openai-compatible", "base_url": "ftp://x"}}}, "https://"),
    ],
)
def test_a_part_that_does_not_exist_refuses_the_start(settings: dict[str, Any], words: str) -> None:
    """The error names it and what to do."""
    with pytest.raises((ConfigurationError, PluginError), match=words):
        Gateway(parse(settings))


def test_a_route_bounds_everything_it_does() -> None:
    """A route's `timeouts.total` is for all attempts together, not for each."""

    async def silent(request: ChatRequest) -> Reply:
        await anyio.sleep(1000)
        raise AssertionError

    async def story() -> float:
        route = {"smart": {"targets": ["a/a-1", "b/b-1", "c/c-1"], "timeouts": {"total": 20.0, "answer": 15.0}}}
        made = gateway(Parts(a=silent, b=silent, c=silent), routes=route)
        began = anyio.current_time()
        with pytest.raises(NoAnswer):
            await made.chat("smart", "hi")
        return anyio.current_time() - began

    assert 20.0 == pytest.approx(trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0)))


async def test_clients_who_leave_while_we_wait_cost_no_budget() -> None:
    """Thirty-five clients gone before a second call was made: its price is given back each time."""
    made = gateway(Parts(a=fails(Kind.TOOL_USE_FAILED)))
    full = made.health.budgets["a"].left
    for _ in range(35):
        waits = anyio.Event()

        async def sleep(seconds: float, /, waits: anyio.Event = waits) -> None:
            waits.set()
            await anyio.sleep_forever()

        made.clock.sleep = sleep  # type: ignore[method-assign]
        async with anyio.create_task_group() as group:
            group.start_soon(made.chat, "smart", "hi")
            await waits.wait()
            assert made.health.budgets["a"].left < full
            group.cancel_scope.cancel()

    assert full == made.health.budgets["a"].left


def test_no_second_key_is_tried_past_the_deadline() -> None:
    """A key that failed at the deadline is the last one: no call is made that nobody waits for."""

    async def late(_: ChatRequest) -> Any:
        await anyio.sleep(0.9)
        return ProviderError(Kind.AUTH, "who are you?")

    parts = Parts(a=lambda request: late(request))

    async def story() -> None:
        made = with_keys(parts, "x", "y", "z")
        now = made.clock.now
        made.clock.now = lambda: now() + (2.0 if parts.calls else 0.0)  # type: ignore[method-assign]
        with pytest.raises(NoAnswer):
            await made.chat("smart", "hi", timeout=1.0)

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))

    assert ["a/a-1"] == parts.calls


def test_a_targets_own_total_is_its_fault_in_this_process_too() -> None:
    """A provider that hangs past the `total` its route gives it has failed; the caller still had time."""

    async def hangs(_: ChatRequest) -> str:
        await anyio.sleep(1000)
        raise AssertionError

    targets = [{"to": "a/a-1", "timeouts": {"total": 20}}, "b/b-1"]

    async def story() -> None:
        routes = {"smart": {"targets": targets, "retries": {"same_target": 0}}}
        made = gateway(Parts(a=hangs, b=lambda _: "fine"), routes=routes)
        for _ in range(5):
            assert "fine" == (await made.chat("smart", "hi")).text

        assert None is not made.health.rest(Target("a", "a-1"), made.clock.now())

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_who_lists_nothing_is_told_so() -> None:
    """A provider in this process has no list to ask for: neither an error nor a key that is good."""
    keys = [{"secret": "one-key-0123456789", "allow_literal": True}]
    async with gateway(Parts(a=lambda _: "Hi", b=lambda _: "Hi"), providers={"a": {"keys": keys}, "b": {}}) as made:
        rows = await made.verify_keys()
        with pytest.raises(RequestError, match="there is no provider 'c'"):
            await made.verify_keys("c")

    assert ["a", "b"] == [row["provider"] for row in rows]
    assert all("no list to ask for" in row["result"] for row in rows)
    assert "one-key" not in str(rows)
    assert rows[:1] == [row for row in rows if row["provider"] == "a"]


async def test_an_answer_of_another_kind() -> None:
    """A plug-in that says it makes vectors and gives words is told from a vendor that fails."""
    parts = Parts(a=lambda _: reply_of("words"))
    made = gateway(parts)
    vars(made.parts.providers["a"])["operations"] = made.plan.operations["a"] = frozenset({"embeddings"})
    with pytest.raises(TypeError, match="its plug-in is wrong"):
        await made.embed("a/vectors-1", "x")
    await made.aclose()
