"""Groq's plug-in: its fixtures, and each rule for requests, streams and failures by itself."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from aigateway.errors import Kind, ProviderError, Scope
from aigateway.plugins import Registry
from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.testing import ProviderConformance
from aigateway.types import ChatRequest, Chunk, Event, HTTPRequest, Target, WireFailure, WireResponse
from aigateway_groq import Groq

HELLO = [{"role": "user", "content": "Hello"}]
GPT, QWEN = "openai/gpt-oss-120b", "qwen/qwen3.6-27b"


class TestConformance(ProviderConformance):
    """Groq keeps to what every provider must do."""

    provider = Groq
    fixtures = Path(__file__).parent / "fixtures"


def encoded(model: str = GPT, **fields: Any) -> HTTPRequest:
    request = ChatRequest.parse({"messages": HELLO, **fields})
    return Groq(Options("groq")).encode(request, Secret("gsk_test0123456789"), Target("groq", model))


def sent(model: str = GPT, **fields: Any) -> dict[str, Any]:
    return json.loads(encoded(model, **fields).body)


def failed(status: int, headers: dict[str, str] | None = None, **error: Any) -> ProviderError:
    return Groq(Options("groq")).classify(WireFailure(status, headers or {}, json.dumps({"error": error}).encode()))


def fed(*bodies: dict[str, Any], done: bool = True) -> list[Chunk]:
    decoder = Groq(Options("groq")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    events = [Event(json.dumps(body).encode()) for body in bodies] + [Event(b"[DONE]")] * done
    return [chunk for event in events for chunk in decoder.feed(event)]


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def test_is_offered_by_name_with_its_key_variable() -> None:
    """The entry point gives a provider called groq whose key is usually in GROQ_API_KEY."""
    record = Registry().provider("groq")

    assert Groq is record.factory
    assert record.key_variables == ("GROQ_API_KEY",)


def test_asks_groq_for_the_whole_model_name() -> None:
    """Requests go to Groq, and a model id keeps its slash."""
    request = encoded()

    assert request.url == "https://api.groq.com/openai/v1/chat/completions"
    assert json.loads(request.body)["model"] == "openai/gpt-oss-120b"


def test_max_tokens_is_sent_under_its_new_name() -> None:
    """max_tokens is deprecated here; max_completion_tokens is sent."""
    body = sent(max_tokens=7)

    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


def test_refused_fields_are_dropped_with_a_note() -> None:
    """What gives 400 is dropped and named; unknown fields pass, as Groq may learn them."""
    refused = {
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"7": 1},
        "metadata": {"a": "b"},
        "store": True,
        "n": 2,
    }
    foreign = {"thinking": {}, "reasoning_split": True, "user_id": "7", "verbosity": "low", "prompt_cache_key": "a"}
    request = encoded(**refused, **foreign, service_tier="priority", something_new=1)

    assert set(json.loads(request.body)) == {"model", "messages", "something_new"}
    assert len(request.notes) == len(refused) + len(foreign) + 1


def test_what_groq_knows_passes() -> None:
    """One answer, and Groq's own service tiers, are sent as they are, without a note."""
    request = encoded(n=1, service_tier="flex", documents=[])

    assert {"n": 1, "service_tier": "flex", "documents": []}.items() <= json.loads(request.body).items()
    assert request.notes == []


def test_messages_keep_only_what_groq_knows() -> None:
    """Names, thoughts and nulls in the history give 400; they are left out, a null content stays."""
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    said = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "function_call": None,
        "refusal": None,
        "reasoning_content": "Hm.",
        "reasoning": "Hm.",
    }
    result = {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}
    request = encoded(messages=[{**HELLO[0], "name": "someone"}, said, result])

    assert json.loads(request.body)["messages"] == [
        HELLO[0],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        result,
    ]
    assert request.notes == [
        "'name' in a message was dropped: Groq refuses it",
        "'reasoning' in a message was dropped: Groq refuses it",
        "'reasoning_content' in a message was dropped: Groq refuses it",
    ]


def test_developer_is_sent_as_system() -> None:
    """Groq's message types know no developer role."""
    body = sent(messages=[{"role": "developer", "content": "Be brief."}, *HELLO])

    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (GPT, "none", "low"),
        (GPT, "minimal", "low"),
        (GPT, "medium", "medium"),
        (GPT, "max", "high"),
        (GPT, "default", None),
        (QWEN, "none", "none"),
        (QWEN, "high", "default"),
        (QWEN, "default", "default"),
        ("groq/compound", "high", "high"),
    ],
)
def test_effort_becomes_the_nearest_known(model: str, asked: str, expected: str | None) -> None:
    """gpt-oss knows low, medium and high, qwen none and default; other models get what was asked."""
    request = encoded(model, reasoning_effort=asked)

    assert json.loads(request.body).get("reasoning_effort") == expected
    assert bool(request.notes) == (expected is not None and expected != asked)


def test_an_effort_of_any_shape_is_passed_on() -> None:
    """A value of a shape nobody expects is the vendor's to refuse."""
    body = sent(reasoning_effort=["high"], service_tier=["a"])

    assert (body["reasoning_effort"], body["service_tier"]) == (["high"], ["a"])


def test_format_and_inclusion_exclude_each_other() -> None:
    """reasoning_format goes alone; include_reasoning alone is left as it is."""
    both = encoded(QWEN, reasoning_format="hidden", include_reasoning=True)
    one = sent(QWEN, include_reasoning=False)

    assert json.loads(both.body)["reasoning_format"] == "hidden"
    assert "include_reasoning" not in json.loads(both.body)
    assert both.notes == ["include_reasoning was dropped: it excludes reasoning_format"]
    assert one["include_reasoning"] is False
    assert "reasoning_format" not in one


def test_qwen_is_asked_to_keep_thoughts_apart() -> None:
    """qwen would think inside the content; gpt-oss does not and gets no format."""
    assert sent(QWEN)["reasoning_format"] == "parsed"
    assert sent(QWEN, reasoning_format="raw")["reasoning_format"] == "raw"
    assert "reasoning_format" not in sent(GPT)


def test_thoughts_become_reasoning_content() -> None:
    """Whole answers and streams give `reasoning` as reasoning_content, without the channel mark."""
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "reasoning": "Hm."}, "finish_reason": "stop"}]}
    reply = Groq(Options("groq")).decode(
        ChatRequest.parse({"messages": HELLO}), WireResponse(200, {}, json.dumps(body).encode())
    )
    first = fed(piece(reasoning="Hm.", channel="analysis"), done=False)[0]

    assert reply.body["choices"][0]["message"] == {"role": "assistant", "reasoning_content": "Hm.", "content": None}
    assert json.loads(first.to_json())["choices"][0]["delta"] == {"reasoning_content": "Hm."}


def test_a_channel_alone_is_removed_too() -> None:
    """A delta that only marks a channel loses the mark, in the bytes as well."""
    first = fed(piece(content="a", channel="final"), done=False)[0]

    assert json.loads(first.to_json())["choices"][0]["delta"] == {"content": "a"}


@pytest.mark.parametrize("places", [("usage",), ("x_groq",), ("usage", "x_groq"), ("zero", "x_groq")])
def test_usage_is_counted_once(places: tuple[str, ...]) -> None:
    """Usage may be at the top, in x_groq, or in both; it comes once, in a chunk of its own."""
    usage = {"prompt_tokens": 46, "completion_tokens": 12, "total_tokens": 58}
    last = piece("stop")
    if "usage" in places:
        last["usage"] = usage
    if "zero" in places:
        last["usage"] = {"prompt_tokens": 0, "completion_tokens": 0}
    if "x_groq" in places:
        last["x_groq"] = {"id": "req_1", "usage": usage}
    chunks = fed(piece(content="a"), last)

    assert [chunk.usage and chunk.usage.total for chunk in chunks] == [None, None, 58]
    assert b"prompt_tokens" not in chunks[1].to_json()


def test_an_error_text_in_x_groq_fails_the_stream() -> None:
    """x_groq.error is a text inside a chunk that looks fine."""
    with pytest.raises(ProviderError) as caught:
        fed({**piece(content="a"), "x_groq": {"error": "over capacity"}})

    assert caught.value.kind is Kind.SERVER_ERROR
    assert caught.value.message == "over capacity"


def test_what_the_model_wrote_stays_out_of_messages() -> None:
    """failed_generation holds private data; no message, repr or vendor field shows it."""
    error = failed(
        400, message="Failed to call a function.", code="tool_use_failed", failed_generation="<private>Anna</private>"
    )

    assert error.kind is Kind.TOOL_USE_FAILED
    assert "Anna" not in f"{error} {error!r} {error.vendor}"


def test_a_restricted_organization_disables_its_group() -> None:
    """organization_restricted comes as 400 and concerns every key of the organization."""
    error = failed(400, message="Organization has been restricted.", code="organization_restricted")

    assert error.kind is Kind.AUTH
    assert (error.remedy.rest, error.remedy.scope, error.remedy.other_key) == (
        "disabled",
        Scope.QUOTA_GROUP,
        "other_group",
    )


def test_413_is_not_a_rate_limit() -> None:
    """A request larger than the limit says rate_limit_exceeded, and no wait helps."""
    error = failed(413, message="Request too large for model.", type="tokens", code="rate_limit_exceeded")

    assert error.kind is Kind.REQUEST_TOO_LARGE
    assert error.remedy.again is False


@pytest.mark.parametrize("limit", ["tokens per day (TPD)", "requests per day (RPD)"])
def test_a_day_that_is_used_up_is_not_waited_for(limit: str) -> None:
    """Day limits rest the group and go on elsewhere, however short the named wait is."""
    message = f"Rate limit reached for model on {limit}: Limit 1, Used 1. Please try again in 4.1s."
    error = failed(429, message=message, type="tokens", code="rate_limit_exceeded")

    assert (error.kind, error.remedy.again, error.remedy.rest) == (Kind.RATE_LIMIT, False, "cooldown")
    assert error.retry_after == 4.1


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "No.", "code": "json_validate_failed"}, Kind.TOOL_USE_FAILED),
        (400, {"message": "Please reduce the length of the messages or completion."}, Kind.CONTEXT_LENGTH),
        (400, {"message": "property 'verbosity' is unsupported"}, Kind.UNSUPPORTED_PARAM),
        (400, {"message": "'temperature' : must be at most 2"}, Kind.BAD_REQUEST),
        (403, {"message": "No.", "type": "permissions_error"}, Kind.PERMISSION),
        (424, {"message": "No."}, Kind.BAD_REQUEST),
        (498, {"message": "No.", "code": "capacity_exceeded"}, Kind.OVERLOADED),
        (499, {"message": "No."}, Kind.CANCELLED),
        (500, {"message": "No."}, Kind.SERVER_ERROR),
    ],
)
def test_failures_are_told_apart(status: int, error: dict[str, str], kind: Kind) -> None:
    """Status, code and wording together say what a failure is."""
    assert failed(status, **error).kind is kind


def test_retired_names_have_successors() -> None:
    """The llama names of old tutorials name who answers for them."""
    models = {model.id: model for model in Groq(Options("groq")).models()}

    assert models["llama3-70b-8192"].successor == models["llama-3.3-70b-versatile"].successor == "openai/gpt-oss-120b"
    assert models["llama3-8b-8192"].successor == models["llama-3.1-8b-instant"].successor == "openai/gpt-oss-20b"
    assert models["llama-3.1-8b-instant"].shutdown == date(2026, 8, 16)


def test_prices_are_exact() -> None:
    """Prices are whole picodollars per token."""
    models = {model.id: model for model in Groq(Options("groq")).models()}
    (price,) = models["openai/gpt-oss-20b"].prices

    assert (price.input, price.cached, price.output) == (75_000, 37_500, 300_000)


def test_responses_hold_to_the_same_rules() -> None:
    """What Groq refuses in a chat it is not sent in a Responses request either."""
    hints = {"prompt_cache_key": "k", "include": ["reasoning.encrypted_content"], "truncation": "auto", "store": False}
    native = {"input": "Hello", "reasoning": {"effort": "minimal"}, "stream_options": {"include_obfuscation": False}}
    request = ChatRequest.translated("responses", {**native, **hints}, {"messages": HELLO})
    written = Groq(Options("groq")).encode(request, Secret("gsk_test0123456789"), Target("groq", GPT))

    assert "https://api.groq.com/openai/v1/responses" == written.url
    assert {"model": GPT, "input": "Hello", "reasoning": {"effort": "low"}} == json.loads(written.body)
    assert native["reasoning"] == {"effort": "minimal"}
