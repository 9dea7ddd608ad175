"""One line of JSON per call: who, where, how; never what, never a key."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigateway.errors import ConfigurationError, Kind, ProviderError, Refusal
from aigateway.guards import GuardOptions, LogGuard
from aigateway.secrets import Secret
from aigateway.testing import LoopClock
from aigateway.types import Call, Caller, ChatRequest, Chunk, Outcome, Reply, Step, Trace, Usage

pytestmark = pytest.mark.anyio
KEY = Secret("sk-ours-0123456789abcdef")


def a_call(asked: str = "smart") -> Call:
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "my private words"}]})
    steps = [
        Step("a/x", "rate_limit", key=KEY.id, reason="private reason"),
        Step("b/y", "complete", key=KEY.id, seconds=1),
    ]
    return Call(request, Caller("editor", key=KEY.id), "req-1", trace=Trace(asked=asked, steps=steps))


async def lines(call: Call, outcome: Outcome, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Let a call pass and give what was logged."""
    caplog.clear()
    guard = LogGuard.from_options(GuardOptions("log", LoopClock(), Random(0)))
    with caplog.at_level(logging.INFO, "aigateway.calls"):
        await guard.enter(call)
        await guard.leave(call, outcome)
    return [record.getMessage() for record in caplog.records]


async def test_a_call_is_one_object(caplog: pytest.LogCaptureFixture) -> None:
    """With everything an operator asks for."""
    outcome = Outcome("complete", Usage(3, 2, 1, source="reported"), None, 1.23456, 0.5)
    (line,) = await lines(a_call(), outcome, caplog)

    assert {
        "request_id": "req-1",
        "caller": "editor",
        "operation": "chat",
        "asked": "smart",
        "target": "b/y",
        "key": KEY.id,
        "outcome": "complete",
        "attempts": 2,
        "failed": ["a/x: rate_limit"],
        "ms": 1234.6,
        "first_content_ms": 500.0,
        "usage": {"input": 3, "output": 2, "cached": 1},
    } == json.loads(line)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ProviderError(Kind.TIMEOUT, "private words"), "timeout"), (Refusal("full"), "rate_limit_exceeded")],
)
async def test_a_failure_is_told_by_its_code(error: Any, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not by its words, which a vendor may have written."""
    call = a_call()
    call.trace.steps.clear()
    (line,) = await lines(call, Outcome("failed", error=error), caplog)

    assert (code, None, 0) == (json.loads(line)["error"], json.loads(line)["target"], json.loads(line)["attempts"])
    assert "private" not in line


async def test_content_and_keys_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the question, nor a vendor's reason, nor a key."""
    (line,) = await lines(a_call(), Outcome("complete"), caplog)

    assert "private" not in line
    assert KEY.reveal() not in line


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nfake line",
        "\x1b[31mred\x1b[0m",
        '"}{"outcome":"complete',
        "\u2028x\u2029",
        "\x85x",
        "\x9b31mred",
        "\x00\x7f",
    ],
    ids=ascii,
)
async def test_a_hostile_model_name_stays_inside_its_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Line ends and terminal controls of every kind are escaped."""
    (line,) = await lines(a_call(name), Outcome("complete"), caplog)

    assert name == json.loads(line)["asked"]
    assert [line] == line.splitlines()
    assert line.isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_makes_one_json_line(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Whatever a caller names, a log reader sees one object."""
    import anyio

    (line,) = anyio.run(lines, a_call(name), Outcome("complete"), caplog)

    assert name == json.loads(line)["asked"]
    assert "\n" not in line


async def test_nothing_is_built_for_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Without a listener there is no line."""
    caplog.set_level(logging.WARNING, "aigateway.calls")
    await LogGuard().leave(a_call(), Outcome("complete"))

    assert [] == caplog.records


async def test_every_bucket_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Rare ones where there is something in them; an estimate says that it is one; what nobody knows is no 0."""
    usage = Usage(9, 8, 1, 2, 3, "estimated", images=4, image_input=5, image_output=6, tier="flex")
    told = (json.loads((await lines(a_call(), Outcome("complete", usage), caplog))[0]))["usage"]
    caplog.clear()
    (unknown,) = await lines(a_call(), Outcome("complete", Usage()), caplog)

    assert {
        "input": 9,
        "output": 8,
        "cached": 1,
        "cache_write": 2,
        "reasoning": 3,
        "images": 4,
        "image_input": 5,
        "image_output": 6,
        "tier": "flex",
        "source": "estimated",
    } == told
    assert "usage" not in json.loads(unknown)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, "Hi"),
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"choices": [{"message": None}]}, ""),
        ({"choices": []}, ""),
        ({"choices": 7}, ""),
        ({"data": [{"embedding": [0.5]}]}, ""),
    ],
)
async def test_what_was_answered(body: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where answers are logged, the words of one that has words; vectors are no words."""
    (line,) = await answered(Outcome("complete", reply=Reply(body, Usage())), caplog)

    assert said == line["response"]
    assert "response_cut" not in line


@pytest.mark.parametrize("size", [10, 1_990, 1_999, 2_001, 20_000])
async def test_a_long_stream_is_cut(size: int, caplog: pytest.LogCaptureFixture) -> None:
    """A line holds the beginning and says that it is one; a key that lies across the cut is not half shown."""
    words = ("x" * size + KEY.reveal()).encode().decode()
    pieces = [words[at : at + 700] for at in range(0, len(words), 700)]
    (line,) = await answered(Outcome("complete"), caplog, pieces, (KEY,))

    assert len(line["response"]) <= 2_000
    assert words.startswith(line["response"].rstrip("*"))
    assert "sk-ours" not in line["response"]
    assert (len(words) > 2_000) == line.get("response_cut", False)


async def answered(
    outcome: Outcome, caplog: pytest.LogCaptureFixture, pieces: Sequence[str] = (), keys: Sequence[Secret] = ()
) -> list[dict[str, Any]]:
    """Let an answer pass a guard that logs answers; give the lines."""
    guard, call = LogGuard.from_options(GuardOptions("log", LoopClock(), Random(0), {"responses": True})), a_call()
    guard._redact.follow(lambda: keys)
    with caplog.at_level(logging.INFO, "aigateway.calls"):
        await guard.enter(call)
        for piece in pieces:
            for listen in call.listeners:
                listen([Chunk({"choices": [{"index": 0, "delta": {"content": piece}}]})])
        await guard.leave(call, outcome)
    return [json.loads(record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_a_setting_that_is_neither_true_nor_false(value: object) -> None:
    """What is logged is no matter for guesses."""
    with pytest.raises(ConfigurationError, match="responses must be true or false"):
        LogGuard.from_options(GuardOptions("log", LoopClock(), Random(0), {"responses": value}))
