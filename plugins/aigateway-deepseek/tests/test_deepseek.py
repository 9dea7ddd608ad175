"""DeepSeek's dialect: every change to a request, every failure of its own."""

import json
from pathlib import Path

import pytest

from aigateway.errors import Kind, ProviderError
from aigateway.plugins import Registry
from aigateway.providers import Options
from aigateway.secrets import Secret
from aigateway.testing import ProviderConformance
from aigateway.types import ChatRequest, Event, Target, WireFailure, WireResponse
from aigateway_deepseek import DeepSeek, aigateway_providers

HELLO = [{"role": "user", "content": "Hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
OFF = {"type": "disabled"}


class TestDeepSeekConformance(ProviderConformance):
    provider = DeepSeek
    fixtures = Path(__file__).parent / "fixtures"


def encode(target_params=(), **fields):
    """Give the body and the notes of a request with these fields."""
    request = ChatRequest.parse({"messages": HELLO, **fields})
    target = Target("deepseek", "deepseek-flash", params=dict(target_params))
    sent = DeepSeek(Options("deepseek")).encode(request, Secret("sk-test"), target)
    return json.loads(sent.body), sent.notes


def test_goes_to_the_documented_address():
    """Chat goes to https://api.deepseek.com/chat/completions, or under the operator's base URL."""
    request, target = ChatRequest.parse({"messages": HELLO}), Target("deepseek", "deepseek-flash")
    official = DeepSeek(Options("deepseek")).encode(request, Secret("sk-test"), target)
    own = DeepSeek(Options("deepseek", "https://proxy.example.com/v1/")).encode(request, Secret("sk-test"), target)

    assert official.url == "https://api.deepseek.com/chat/completions"
    assert own.url == "https://proxy.example.com/v1/chat/completions"


def test_is_offered_with_its_key_variable():
    """The plug-in yields one record, found under its name."""
    (record,) = aigateway_providers()

    assert (record.name, record.key_variables) == ("deepseek", ("DEEPSEEK_API_KEY",))
    assert "deepseek" in Registry().names()


def test_max_completion_tokens_is_renamed():
    """The vendor knows max_tokens only, and the change is noted."""
    body, notes = encode(max_completion_tokens=7)

    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body
    assert notes == ["max_completion_tokens was sent as max_tokens"]


def test_developer_becomes_system():
    """The role developer would be answered with 400."""
    body, _ = encode(messages=[{"role": "developer", "content": "Be brief."}, *HELLO])

    assert body["messages"][0]["role"] == "system"


def test_texts_are_joined_and_images_kept():
    """A list of texts becomes one text; a list with an image stays a list."""
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    image = [texts[0], {"type": "image_url", "image_url": {"url": "https://img.example.com/a.png"}}]
    body, _ = encode(messages=[{"role": "user", "content": texts}, {"role": "user", "content": image}])

    assert ["a\nb", image] == [message["content"] for message in body["messages"]]


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_user_is_hashed(name):
    """The end user is told apart, within 512 bytes, and not named."""
    body, _ = encode(**{name: "person@example.com"})
    other, _ = encode(**{name: "other@example.com"})

    assert name not in body
    assert "person" not in json.dumps(body)
    assert len(body["user_id"]) == 64
    assert body["user_id"] != other["user_id"]


def test_user_id_of_the_caller_wins():
    """A user_id sent on purpose is left as it is."""
    body, _ = encode(user="person", user_id="7")

    assert body["user_id"] == "7"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "high"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "max"),
        ("ultra", "max"),
    ],
)
def test_effort_is_folded(asked, sent):
    """Efforts fold into the three there are; a change is noted."""
    body, notes = encode(reasoning_effort=asked)

    assert sent == body["reasoning_effort"]
    assert (asked != sent) == bool(notes)


def test_effort_none_switches_thinking_off():
    """OpenAI's "none" is sent as thinking disabled."""
    body, _ = encode(reasoning_effort="none")

    assert body["thinking"] == OFF
    assert "reasoning_effort" not in body


def test_required_tool_choice_only_without_thinking():
    """While thinking, required is sent as auto with a note; else it stays."""
    thinking, notes = encode(tool_choice="required")
    plain, quiet = encode(tool_choice="required", thinking=OFF)

    assert thinking["tool_choice"] == "auto"
    assert len(notes) == 1
    assert plain["tool_choice"] == "required"
    assert not quiet


@pytest.mark.parametrize(
    ("thinking", "before", "after"),
    [(None, None, " "), (None, "kept", "kept"), ({"type": "enabled"}, None, " "), (OFF, None, None)],
)
def test_tool_calls_keep_their_thoughts(thinking, before, after):
    """While thinking, an earlier call has its reasoning_content, or a space where it was lost."""
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    if before:
        message["reasoning_content"] = before
    history = [*HELLO, message, {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}]
    body, _ = encode(messages=history, thinking=thinking)

    assert after == body["messages"][1].get("reasoning_content")


def test_plain_assistant_messages_need_no_thoughts():
    """Without tool calls nothing is put in."""
    body, _ = encode(messages=[*HELLO, {"role": "assistant", "content": "Hi"}, *HELLO])

    assert body["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_thoughts_of_other_vendors_are_dropped():
    """`reasoning` and `reasoning_details` in the history come from elsewhere and stay here."""
    foreign = {"role": "assistant", "content": "Hi", "reasoning": "hm", "reasoning_details": [{"text": "hm"}]}
    body, _ = encode(messages=[*HELLO, foreign, *HELLO])

    assert body["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_what_the_vendor_takes_passes():
    """Fields nobody documents as refused are sent as they came."""
    body, notes = encode(n=2, logit_bias={"7": 1}, temperature=0.0, response_format={"type": "json_object"})

    assert (body["n"], body["logit_bias"], body["temperature"]) == (2, {"7": 1}, 0.0)
    assert not notes


def test_retired_names_keep_their_behaviour():
    """deepseek-chat did not think and deepseek-reasoner did; so do their successors."""
    models = {model.id: model for model in DeepSeek(Options("deepseek")).models()}
    chat, reasoner = models["deepseek-chat"], models["deepseek-reasoner"]
    body, _ = encode(target_params=chat.successor_params)
    own, _ = encode(target_params=chat.successor_params, thinking={"type": "enabled"})

    assert (chat.successor, reasoner.successor) == ("deepseek-flash", "deepseek-flash")
    assert reasoner.successor_params == {"thinking": {"type": "enabled"}}
    assert body["thinking"] == OFF
    assert own["thinking"] == {"type": "enabled"}


def test_prices_are_exact_and_double_at_peak():
    """Flash costs 0.15 in, 0.003 cached, 0.60 out, twice that at peak."""
    flash = next(model for model in DeepSeek(Options("deepseek")).models() if model.id == "deepseek-flash")
    usual, peak = flash.prices

    assert (usual.input, usual.cached, usual.output) == (150_000, 3_000, 600_000)
    assert (peak.input, peak.cached, peak.output) == (300_000, 6_000, 1_200_000)
    assert peak.hours == ("Mon-Fri 01:00-04:00", "Mon-Fri 06:00-10:00")


def test_plain_text_422_is_a_bad_request():
    """Older 422 bodies are plain text; the text is kept for people."""
    failure = WireFailure(422, {"content-type": "text/plain"}, b"Failed to parse the request body as JSON")
    error = DeepSeek(Options("deepseek")).classify(failure)

    assert error.kind == Kind.BAD_REQUEST
    assert "Failed to parse" in error.message


def test_no_part_of_a_key_is_shown():
    """The vendor quotes the end of a wrong key; we do not."""
    body = b'{"error": {"message": "Authentication Fails, Your api key: ****0f3a is invalid"}}'
    error = DeepSeek(Options("deepseek")).classify(WireFailure(401, body=body))

    assert "0f3a" not in error.message
    assert error.kind == Kind.AUTH


def test_blank_lines_alone_are_a_timeout():
    """A request that waited too long is closed after blank lines: nothing was answered."""
    with pytest.raises(ProviderError) as caught:
        DeepSeek(Options("deepseek")).decode(ChatRequest.parse({"messages": HELLO}), WireResponse(200, {}, b"\n\n\n"))

    assert caught.value.kind == Kind.TIMEOUT


def test_comments_alone_are_a_timeout():
    """A stream of keep-alives that ends without an event never began."""
    decoder = DeepSeek(Options("deepseek")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    with pytest.raises(ProviderError) as caught:
        decoder.end()

    assert caught.value.kind == Kind.TIMEOUT


def test_stream_cut_by_the_server_fails():
    """insufficient_system_resource is an overload in a stream too, never a finish."""
    decoder = DeepSeek(Options("deepseek")).decoder(ChatRequest.parse({"messages": HELLO, "stream": True}))
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "insufficient_system_resource"}
    with pytest.raises(ProviderError) as caught:
        decoder.feed(Event(json.dumps({"choices": [choice]}).encode()))

    assert caught.value.kind == Kind.OVERLOADED
    assert not decoder.finished


def going_on(**fields):
    """Give the request that goes on after a text, or None; the one it was made of stays as it was."""
    request = ChatRequest.parse({"messages": HELLO, **fields})
    before = json.dumps(request.body)
    found = DeepSeek(Options("deepseek")).continuation(request, "Good mor")

    assert before == json.dumps(request.body)
    return found


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.deepseek.com/beta/chat/completions"),
        ("https://api.deepseek.com/v1", "https://api.deepseek.com/beta/chat/completions"),
        ("https://api.deepseek.com/beta", "https://api.deepseek.com/beta/chat/completions"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/beta/chat/completions"),
    ],
)
def test_goes_on_after_a_text(base_url, url):
    """The text so far is sent as a prefix, to the beta address, without more thinking; other requests go as before."""
    provider, target = DeepSeek(Options("deepseek", base_url)), Target("deepseek", "deepseek-flash")
    request = ChatRequest.parse({"messages": HELLO, "max_tokens": 7})
    sent = provider.encode(provider.continuation(request, "Good mor"), Secret("sk-test"), target)
    plain = provider.encode(request, Secret("sk-test"), target)
    body = json.loads(sent.body)

    assert url == sent.url
    assert [*HELLO, {"role": "assistant", "content": "Good mor", "prefix": True}] == body["messages"]
    assert (body["thinking"], body["max_tokens"]) == (OFF, 7)
    assert provider.url == plain.url
    assert json.loads(plain.body)["messages"] == HELLO


def test_no_more_thinking_wins_over_a_name_that_thinks():
    """A target whose name stands for thinking goes on without it."""
    target = Target("deepseek", "deepseek-flash", params={"thinking": {"type": "enabled"}})
    sent = DeepSeek(Options("deepseek")).encode(going_on(), Secret("sk-test"), target)

    assert json.loads(sent.body)["thinking"] == OFF


@pytest.mark.parametrize("fields", [{}, {"thinking": OFF}, {"reasoning_effort": "none"}, {"n": 1}])
def test_goes_on_with_plain_text(fields):
    """One plain text without thoughts can be gone on with."""
    assert going_on(**fields) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "look"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"thinking": {"type": "enabled"}},
        {"reasoning_effort": "high"},
        {"extra": {"deepseek": {"thinking": {"type": "enabled"}}}},
        {"extra": {"deepseek": {"n": 3}}},
        {"messages": [*HELLO, {"role": "assistant", "content": "Good"}]},
    ],
)
def test_does_not_go_on_with_anything_else(fields):
    """Calls, objects, several answers, asked-for thoughts, a beginning of the caller's own: no."""
    assert going_on(**fields) is None


def test_there_is_nothing_to_go_on_with():
    """Without a text there is no prefix."""
    assert DeepSeek(Options("deepseek")).continuation(ChatRequest.parse({"messages": HELLO}), "") is None
