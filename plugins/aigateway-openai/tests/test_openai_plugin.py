"""OpenAI's plug-in: its fixtures, and each rule for requests and failures by itself."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from aigateway.errors import ConfigurationError, Kind, ProviderError, Scope
from aigateway.plugins import Registry
from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.testing import ProviderConformance
from aigateway.types import ChatRequest, Event, HTTPRequest, Target, WireFailure
from aigateway_openai import OpenAI

HELLO = [{"role": "user", "content": "Hello"}]


class TestConformance(ProviderConformance):
    """OpenAI keeps to what every provider must do."""

    provider = OpenAI
    fixtures = Path(__file__).parent / "fixtures"


def encoded(model: str = "gpt-6.1-sol", *, settings: dict[str, Any] | None = None, **fields: Any) -> HTTPRequest:
    provider = OpenAI(Options("openai", settings=settings or {}))
    request = ChatRequest.parse({"messages": HELLO, **fields})
    return provider.encode(request, Secret("sk-test-0123456789"), Target("openai", model))


def sent(model: str = "gpt-6.1-sol", **fields: Any) -> dict[str, Any]:
    return json.loads(encoded(model, **fields).body)


def failed(status: int, **error: Any) -> ProviderError:
    body = json.dumps({"error": {"param": None, **error}}).encode()
    return OpenAI(Options("openai")).classify(WireFailure(status, body=body))


def test_is_offered_by_name_with_its_key_variable() -> None:
    """The entry point gives a provider called openai whose key is usually in OPENAI_API_KEY."""
    record = Registry().provider("openai")

    assert OpenAI is record.factory
    assert record.key_variables == ("OPENAI_API_KEY",)
    assert record.settings == {"operations", "organization", "project"}


def test_asks_openai() -> None:
    """Without a base_url, requests go to OpenAI itself."""
    request = encoded()

    assert request.url == "https://api.openai.com/v1/chat/completions"


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-4o"])
def test_max_tokens_is_sent_under_its_new_name(model: str) -> None:
    """max_tokens always travels as max_completion_tokens."""
    request = encoded(model, max_tokens=7)
    body = json.loads(request.body)

    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body
    assert request.notes == ["max_tokens was sent as max_completion_tokens"]


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.4-mini", "gpt-6.2-astra", "o3", "ft:gpt-5.4:team"])
def test_sampling_is_dropped_for_models_that_reason(model: str) -> None:
    """temperature and top_p do not reach a reasoning model, and notes say so."""
    request = encoded(model, temperature=0.2, top_p=0.9)

    assert not {"temperature", "top_p"} & json.loads(request.body).keys()
    assert len(request.notes) == 2


def test_sampling_passes_where_it_is_allowed() -> None:
    """A model without reasoning, and effort "none", keep temperature and top_p."""
    plain = sent("gpt-4o", temperature=0.2, top_p=0.9)
    effortless = sent("gpt-5.4", temperature=0.2, reasoning_effort="none")

    assert (plain["temperature"], plain["top_p"]) == (0.2, 0.9)
    assert effortless["temperature"] == 0.2


def test_default_sampling_is_dropped_without_a_note() -> None:
    """Dropping a temperature of 1 changes nothing, so nothing is said."""
    request = encoded(temperature=1, top_p=1.0)

    assert request.notes == []
    assert "temperature" not in json.loads(request.body)


def test_effort_below_the_least_is_raised() -> None:
    """gpt-6.2-sol refuses the efforts none and minimal; low is sent."""
    request = encoded("gpt-6.2-sol", reasoning_effort="none", temperature=0.2)
    body = json.loads(request.body)

    assert body["reasoning_effort"] == "low"
    assert "temperature" not in body
    assert sent("gpt-6.1-sol", reasoning_effort="none")["reasoning_effort"] == "none"


def test_fields_of_other_vendors_are_dropped() -> None:
    """What DeepSeek, MiniMax or Groq add would give 400 here."""
    body = sent(
        thinking={"type": "enabled"},
        user_id="7",
        reasoning_split=True,
        reasoning_format="parsed",
        reasoning_effort="default",
        service_tier="on_demand",
        verbosity="low",
        something_new=1,
    )

    assert set(body) == {"model", "messages", "verbosity", "something_new"}


def test_values_of_any_shape_are_passed_on() -> None:
    """A field of a shape nobody expects is the vendor's to refuse, and breaks nothing here."""
    body = sent("gpt-6.2-sol", reasoning_effort=["high"], service_tier={"a": 1})

    assert (body["reasoning_effort"], body["service_tier"]) == (["high"], {"a": 1})


def test_thoughts_in_the_history_are_dropped() -> None:
    """Reasoning of earlier answers, whatever its spelling, is not sent back."""
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "a", "reasoning": "b", "reasoning_details": []}
    request = encoded(messages=[*HELLO, said, *HELLO, said, *HELLO])

    assert json.loads(request.body)["messages"][1] == {"role": "assistant", "content": "Hi"}
    assert len(set(request.notes)) == len(request.notes) == 3


def test_extra_cannot_change_what_was_routed() -> None:
    """`extra` adds fields for this provider, but never another model, prompt or way of answering."""
    extra = {"openai": {"model": "gpt-6.2-astra", "messages": [], "stream": True, "seed": 3}}
    body = sent(extra=extra)

    assert body == {"model": "gpt-6.1-sol", "messages": HELLO, "seed": 3}


def test_usage_is_asked_for_whatever_the_options_are() -> None:
    """A stream always brings usage; options of the wrong shape do not break that."""
    kept = sent(stream=True, stream_options={"include_obfuscation": False})
    odd = sent(stream=True, extra={"openai": {"stream_options": 5}})

    assert kept["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert odd["stream_options"] == {"include_usage": True}


def test_operations_are_chosen() -> None:
    """A server that has not all of OpenAI's operations is asked for those the operator lists; odd lists are refused."""
    listed = OpenAI(Options("local", settings={"operations": ["chat", "embeddings"]}))

    assert listed.operations == {"chat", "embeddings"}
    assert OpenAI(Options("openai")).operations == {"chat", "embeddings", "images", "responses"}
    for wrong in ("chat", [], ["chat", "messages"], [7], None):
        with pytest.raises(ConfigurationError, match="operations must be a list of some of these: chat,"):
            OpenAI(Options("local", settings={"operations": wrong}))


def test_organization_and_project_are_headers() -> None:
    """The settings organization and project travel as OpenAI's headers."""
    headers = encoded(settings={"organization": "org-example", "project": "proj_example"}).headers

    assert headers["openai-organization"] == "org-example"
    assert headers["openai-project"] == "proj_example"
    assert "openai-project" not in encoded().headers


@pytest.mark.parametrize("value", [7, "", "a b", "a\r\nx-injected: 1"])
def test_settings_that_are_no_ids_are_refused(value: object) -> None:
    """A setting that cannot be a header value stops the start and is named."""
    with pytest.raises(ConfigurationError, match=r"providers\.main\.project"):
        OpenAI(Options("main", settings={"project": value}))


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    ],
)
def test_no_money_suspends_the_group(code: str) -> None:
    """Every spelling of "no money" suspends the quota group and is never asked again."""
    error = failed(429, message="No.", type="insufficient_quota", code=code)

    assert error.kind is Kind.INSUFFICIENT_FUNDS
    assert (error.remedy.again, error.remedy.rest) == (False, "suspended")
    assert error.remedy.scope is Scope.QUOTA_GROUP


def test_a_project_without_money_suspends_only_its_key() -> None:
    """project_spend_limit_exceeded leaves the organization's other projects alone."""
    error = failed(429, message="No.", type="insufficient_quota", code="project_spend_limit_exceeded")

    assert error.kind is Kind.INSUFFICIENT_FUNDS
    assert (error.remedy.other_key, error.remedy.rest, error.remedy.scope) == ("any", "suspended", Scope.KEY)


def test_a_request_larger_than_the_limit_is_not_a_rate_limit() -> None:
    """ "Request too large" says rate_limit_exceeded, and no wait helps."""
    error = failed(
        429,
        message="Request too large for gpt-6.1-sol on tokens per min (TPM): Limit 30000, Requested 40000.",
        type="tokens",
        code="rate_limit_exceeded",
    )

    assert error.kind is Kind.REQUEST_TOO_LARGE
    assert (error.remedy.again, error.remedy.other_key, error.remedy.rest) == (False, "other_group", "ok")


def test_a_barred_network_bars_the_whole_group() -> None:
    """A 401 about the address we call from disables the group: its other keys meet it too."""
    barred = failed(401, message="Your IP is not authorized for this project.", type="invalid_request_error", code=None)
    stranger = failed(401, message="You must be a member of an organization to use the API.", code=None)

    assert (barred.kind, barred.remedy.scope, barred.remedy.other_key) == (Kind.AUTH, Scope.QUOTA_GROUP, "other_group")
    assert (stranger.kind, stranger.remedy.scope, stranger.remedy.other_key) == (Kind.AUTH, Scope.KEY, "any")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, Kind.INSUFFICIENT_FUNDS),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, Kind.RATE_LIMIT),
        ({"type": "rate_limit_error", "code": "slow_down"}, Kind.RATE_LIMIT),
        ({"type": "service_unavailable_error", "code": None}, Kind.OVERLOADED),
        ({"type": "server_error", "code": None}, Kind.SERVER_ERROR),
        ({"type": "invalid_request_error", "code": "content_policy_violation"}, Kind.CONTENT_POLICY),
    ],
)
def test_failures_inside_a_stream_are_told_apart(error: dict[str, Any], kind: Kind) -> None:
    """An error object inside a 200 stream has no status; its code or type says what it is."""
    decoder = OpenAI(Options("openai")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    event = Event(json.dumps({"error": {"message": "No.", **error}}).encode())

    with pytest.raises(ProviderError) as caught:
        decoder.feed(event)

    assert caught.value.kind is kind


def test_chunks_keep_their_bytes() -> None:
    """A chunk that needs no change is forwarded as it came, obfuscation included."""
    decoder = OpenAI(Options("openai")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    raw = b'{"id": "1", "choices":[{"index":0,"delta":{"content":"a"}}], "obfuscation":"xY"}'
    (chunk,) = decoder.feed(Event(raw))

    assert chunk.to_json() == raw


def test_large_requests_have_their_own_price() -> None:
    """From 5.4 on, above 272K of input: input and cache twice, output one and a half times."""
    models = [model for model in OpenAI(Options("openai")).models() if model.window == 1_050_000]

    assert len(models) == 13
    for model in models:
        small, large = model.prices
        assert (small.above_tokens, large.above_tokens) == (0, 272_000)
        assert (large.input, large.cached, large.output) == (2 * small.input, 2 * small.cached, small.output * 3 // 2)
        if small.cache_write is not None:
            assert (small.cache_write, large.cache_write) == (small.input * 5 // 4, large.input * 5 // 4)


def test_retired_names_have_successors() -> None:
    """Old names name who answers for them; gpt-4o answers itself until its last day."""
    models = {model.id: model for model in OpenAI(Options("openai")).models()}

    assert models["gpt-4"].successor == models["gpt-4-turbo"].successor == "gpt-5.4"
    assert models["gpt-3.5-turbo"].successor == "gpt-5.4-mini"
    assert models["dall-e-3"].successor == "gpt-image-2"
    assert (models["gpt-4o"].successor, models["gpt-4o"].shutdown) == ("gpt-5.4", date(2027, 1, 14))


def responded(model: str = "gpt-6.2-sol", **fields: Any) -> HTTPRequest:
    """Write a request in the responses dialect."""
    provider = OpenAI(Options("openai"))
    request = ChatRequest.translated("responses", {"input": "Hello", **fields}, {"messages": HELLO})
    return provider.encode(request, Secret("sk-test-0123456789"), Target("openai", model))


def test_responses_hold_to_the_same_rules() -> None:
    """What a model refuses in a chat it is not sent in a Responses request: foreign fields, sampling, efforts."""
    request = responded(temperature=0.2, reasoning={"effort": "minimal", "summary": "auto"}, thinking={"type": "x"})

    assert "https://api.openai.com/v1/responses" == request.url
    assert {
        "model": "gpt-6.2-sol",
        "input": "Hello",
        "reasoning": {"effort": "low", "summary": "auto"},
    } == json.loads(request.body)
    assert 3 == len(request.notes)
    assert 0.2 == json.loads(responded("gpt-5.4", temperature=0.2, reasoning={"effort": "none"}).body)["temperature"]


def test_thoughts_of_others_are_not_sent() -> None:
    """Of thoughts OpenAI takes what it sealed itself; any in clear give a 400."""
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB"}
    clear = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    items = [{"role": "user", "content": "Hello"}, clear, {**sealed, "content": clear["content"]}]

    assert [items[0], {**sealed, "content": []}] == json.loads(responded(input=items).body)["input"]
