"""Chat requests are checked once, strictly, and what we do not know passes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import RequestError
from aigateway.types import ChatRequest, Routing, messages_from

HI = [{"role": "user", "content": "hi"}]


def parsed(**fields: Any) -> ChatRequest:
    return ChatRequest.parse_json(json.dumps({"model": "m", "messages": HI, **fields}).encode())


def refusal(**fields: Any) -> RequestError:
    """Give the one error both doors tell: JSON over HTTP and keywords in-process."""
    body = {"model": "m", "messages": HI, **fields}
    with pytest.raises(RequestError) as over_http:
        ChatRequest.parse_json(json.dumps(body).encode())
    with pytest.raises(RequestError) as in_process:
        ChatRequest.parse(body)
    assert over_http.value.param == in_process.value.param
    return over_http.value


def test_what_is_asked_is_taken_apart() -> None:
    """The model, the stream flag and our own fields leave the body; the rest is the vendor's."""
    request = parsed(temperature=0.5, stream=True, stream_options={"include_usage": True}, seed=7)

    assert "m" == request.model
    assert request.stream
    assert request.wants_usage
    assert {"messages": HI, "temperature": 0.5, "seed": 7} == request.body
    assert HI == request.messages
    assert "chat" == request.operation


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", "yes"),
        ("stream", 1),
        ("stream", "true"),
        ("max_tokens", 1.0),
        ("max_tokens", "5"),
        ("max_tokens", True),
        ("max_tokens", 0),
        ("max_completion_tokens", -1),
        ("n", 0),
        ("n", 17),
        ("n", 2.5),
        ("temperature", "hot"),
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("top_p", 1.1),
        ("presence_penalty", -2.5),
        ("frequency_penalty", 3),
        ("model", 7),
        ("model", ["m"]),
        ("user", 7),
        ("tools", {"type": "function"}),
        ("tools", ["x"]),
        ("tool_choice", 3),
        ("stop", 3),
        ("stop", [1]),
        ("response_format", "json"),
        ("messages", []),
        ("messages", "hi"),
        ("messages", None),
        ("messages", [HI[0]] * 4097),
    ],
)
def test_checked_fields_are_strict(field: str, value: object) -> None:
    """A wrong value names its field and is a 400; nothing is coerced."""
    error = refusal(**{field: value})

    assert 400 == error.status
    assert (error.param or "").startswith(field)
    assert repr(error.param) in error.message
    assert "invalid_request_error" == error.type


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 1),
        ("n", 16),
        ("temperature", 0),
        ("temperature", 2),
        ("top_p", 1),
        ("stop", ["a", "b"]),
        ("stop", "a"),
        ("tool_choice", "none"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("user", "u"),
        ("messages", [HI[0]] * 4096),
    ],
)
def test_the_edges_of_what_is_allowed_pass(field: str, value: object) -> None:
    """The bounds themselves are inside, and an integer is a number."""
    assert value == parsed(**{field: value}).body[field]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "hi"}, "messages[0].role"),
        ({"role": "robot", "content": "hi"}, "messages[0].role"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        ({"role": "user", "content": ["hi"]}, None),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, None),
        ({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}, None),
        ("hi", "messages[0]"),
    ],
)
def test_a_wrong_message_is_named_by_its_place(message: object, param: str | None) -> None:
    """`messages[0].role` says which message and which part of it."""
    error = refusal(messages=[message])

    assert param is None or param == error.param
    assert (error.param or "").startswith("messages[0]")


def test_a_missing_field_says_so() -> None:
    """No messages at all is the missing parameter, in OpenAI's words."""
    with pytest.raises(RequestError) as error:
        ChatRequest.parse({"model": "m"})

    assert ("messages", "missing_required_parameter") == (error.value.param, error.value.code)


def test_unknown_fields_pass_at_every_level() -> None:
    """What a vendor added yesterday reaches it, in the body, in messages and in tool calls."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}", "strict": 1}, "x": 1}
    message = {"role": "assistant", "reasoning_content": "hm", "tool_calls": [call], "vendor": {"a": [None]}}
    request = parsed(messages=[message], thinking={"type": "enabled", "budget": None}, new_field=[1])

    assert {"messages": [message], "thinking": {"type": "enabled", "budget": None}, "new_field": [1]} == request.body


def test_nulls_are_not_given() -> None:
    """A null field is as if it were not there; nulls inside messages are the vendor's business."""
    names = ("stream", "stream_options", "temperature", "tools", "stop", "user", "routing", "extra", "models", "x")
    request = parsed(**dict.fromkeys(names))

    assert {"messages": HI} == request.body
    assert (False, False, Routing(), {}) == (request.stream, request.wants_usage, request.routing, request.extra)


def test_no_model_is_the_empty_name() -> None:
    """Whether that is an error is for the configuration to say."""
    assert "" == ChatRequest.parse({"messages": HI}).model
    assert "" == ChatRequest.parse({"messages": HI, "model": None}).model


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    "template",
    [
        '"temperature": %s',
        '"new_field": %s',
        '"new_field": {"deep": [1, {"er": %s}]}',
        '"extra": {"deepseek": {"x": %s}}',
        '"tools": [{"type": "function", "function": {"parameters": {"maximum": %s}}}]',
        '"messages": [{"role": "user", "content": "hi", "x": %s}]',
    ],
)
def test_json_numbers_are_finite_everywhere(number: str, template: str) -> None:
    """NaN and infinities are no JSON; no vendor gets them, wherever they are."""
    text = '{"model": "m", "messages": [{"role": "user", "content": "hi"}], ' + template % number + "}"

    with pytest.raises(RequestError) as error:
        ChatRequest.parse_json(text.encode())
    assert 400 == error.value.status


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["field", "object", "list"])
def test_python_numbers_are_finite_everywhere(number: float, where: str) -> None:
    """In-process the same: what is not JSON is refused, not sent."""
    value = {"field": number, "object": {"y": [number]}, "list": [[number]]}[where]

    with pytest.raises(RequestError) as error:
        ChatRequest.parse({"messages": HI, "new_field": value})
    assert 400 == error.value.status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"7",
        b"\xff\xfe",
        b'{"messages": "\xff"}',
        b"[" * 100_000,
        b'{"messages": [{"role": "user", "content": "x", "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
        b'{"a": ' * 100_000,
    ],
)
def test_what_is_no_json_object_is_a_400(body: bytes) -> None:
    """Broken, wrong or bottomless JSON is one sentence to the caller, never a crash."""
    with pytest.raises(RequestError) as error:
        ChatRequest.parse_json(body)

    assert 400 == error.value.status
    assert len(error.value.message) < 400


def test_a_depth_bomb_in_process_is_refused() -> None:
    """Nesting without end is told, not recursed into."""
    bomb: list[Any] = []
    for _ in range(100_000):
        bomb = [bomb]

    try:
        ChatRequest.parse({"messages": HI, "x": bomb})
    except RequestError as error:
        assert 400 == error.status


FORBIDDEN = ["api_base", "api_key", "base_url", "extra_headers", "headers", "proxy", "organization", "extra_body"]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_fields_that_would_redirect_do_not_exist(name: str) -> None:
    """Neither at the top nor inside `extra` can a caller say where a request goes or with which key."""
    assert name == refusal(**{name: "x"}).param
    error = refusal(extra={"deepseek": {name: "x"}})

    assert "extra" == error.param
    assert repr(name) in error.message


def test_stream_options_need_a_stream() -> None:
    """OpenAI's rule; other options than ours go on to the vendor."""
    assert "stream_options" == refusal(stream_options={"include_usage": True}).param
    request = parsed(stream=True, stream_options={"include_obfuscation": False})

    assert {"include_obfuscation": False} == request.body["stream_options"]
    assert not request.wants_usage
    assert "stream_options" not in parsed(stream=True, stream_options={"include_usage": True}).body


def test_models_is_an_alias_of_routing_models() -> None:
    """OpenRouter's list means our object."""
    assert Routing(models=("a", "b")) == parsed(models=["a", "b"]).routing
    assert Routing(models=("a",)) == parsed(routing={"models": ["a"]}).routing


def test_models_beside_routing_is_not_lost() -> None:
    """A request may hold both: the alias fills what `routing` leaves out."""
    request = parsed(models=["a"], routing={"ignore": ["groq"]})

    assert Routing(models=("a",), ignore=("groq",)) == request.routing


@pytest.mark.parametrize(
    ("routing", "param"),
    [
        ("groq", "routing"),
        ([], "routing"),
        ({"onyl": ["groq"]}, "routing.onyl"),
        ({"only": "groq"}, "routing.only"),
        ({"only": [1]}, "routing.only"),
        ({"ignore": {"a": 1}}, "routing.ignore"),
        ({"models": 7}, "routing.models"),
        ({"fallback": "yes"}, "routing.fallback"),
        ({"fallback": 1}, "routing.fallback"),
    ],
)
def test_a_wrong_routing_object_names_the_field(routing: object, param: str) -> None:
    """The error says which part of `routing` is wrong."""
    error = refusal(routing=routing)

    assert param == error.param
    assert param in error.message


def test_routing_is_read_whole() -> None:
    """Every field arrives; nulls are the defaults."""
    given_fields = {"models": ["a"], "only": ["groq", "deepseek/x"], "ignore": [], "fallback": False}

    assert Routing(("a",), ("groq", "deepseek/x"), (), False) == parsed(routing=given_fields).routing
    assert Routing() == parsed(routing={"models": None, "only": None, "fallback": None}).routing


@pytest.mark.parametrize("extra", ["x", ["deepseek"], {"deepseek": 7}, {"deepseek": None}])
def test_extra_maps_providers_to_fields(extra: object) -> None:
    """Anything else names `extra` and shows what it looks like."""
    assert "extra" == refusal(extra=extra).param


def test_extra_is_kept_apart() -> None:
    """Fields for one provider do not reach the others."""
    request = parsed(extra={"deepseek": {"user_id": "7"}})

    assert {"deepseek": {"user_id": "7"}} == request.extra
    assert "extra" not in request.body


def test_a_prompt_becomes_messages() -> None:
    """A text is one user message, a list stays what it is (a copy), anything else is refused."""
    assert [{"role": "user", "content": "hi"}] == messages_from("hi")
    assert HI == messages_from(HI)
    assert HI[0] is not messages_from(HI)[0]
    for wrong in (7, ["hi"], b"hi", {"role": "user"}):
        with pytest.raises(RequestError, match="messages"):
            messages_from(wrong)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Whatever a caller sends as a body, the answer is a request or a RequestError."""
    for body in (value, {"messages": HI, "routing": value}, {"messages": HI, "extra": value}, {"messages": value}):
        try:
            request = ChatRequest.parse_json(json.dumps(body).encode())
        except RequestError as error:
            assert 400 == error.status
        else:
            assert request.messages


@given(JSON)
def test_unknown_values_arrive_unchanged(value: Any) -> None:
    """A field we do not know is the same after us, except a null, which is not given."""
    request = parsed(**{"x-new": value})

    assert ({} if value is None else {"x-new": value}) == {k: v for k, v in request.body.items() if k == "x-new"}
