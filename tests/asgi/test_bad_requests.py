"""A request that cannot be served is a 4xx that names the field and what it must be; nothing reaches a provider."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

HELLO: Any = [{"role": "user", "content": "hi"}]


def refused(reply: httpx2.Response, status: int = 400) -> dict[str, Any]:
    assert status == reply.status_code, reply.text
    error = dict(reply.json()["error"])
    assert "invalid_request_error" == error["type"]
    return error


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"hello", b'{"messages": [}', b"\xff\xfe", b'{"messages": ' + b"[" * 100_000, b"messages=hi"],
    ids=["empty", "open", "text", "broken", "bytes", "deep", "form"],
)
def test_not_json(http: httpx2.Client, body: bytes) -> None:
    """A body that is no JSON is told so."""
    error = refused(http.post("/v1/chat/completions", content=body))

    assert "invalid_json" == error["code"]
    assert "JSON" in error["message"]


@pytest.mark.parametrize("body", [[], "hi", 7, None, True])
def test_not_an_object(http: httpx2.Client, body: Any) -> None:
    """JSON that is no object is told what it must be."""
    assert "JSON object" in refused(http.post("/v1/chat/completions", json=body))["message"]


def test_missing_messages(http: httpx2.Client) -> None:
    """Without messages there is nothing to answer."""
    error = refused(http.post("/v1/chat/completions", json={"model": "smart"}))

    assert ("messages", "missing_required_parameter") == (error["param"], error["code"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": HELLO * 4097}, "messages"),
        ({"model": 7}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"n": True}, "n"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"stop": 7}, "stop"),
        ({"user": 7}, "user"),
        ({"response_format": "json"}, "response_format"),
        ({"routing": 7}, "routing"),
        ({"routing": {"onyl": []}}, "routing.onyl"),
        ({"routing": {"only": "groq"}}, "routing.only"),
        ({"models": "groq"}, "routing.models"),
        ({"extra": []}, "extra"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_types(http: httpx2.Client, fields: dict[str, Any], param: str) -> None:
    """The first wrong field is named, in the place where it stands."""
    error = refused(http.post("/v1/chat/completions", json={"messages": HELLO, **fields}))

    assert param == error["param"]
    assert error["message"].startswith(f"'{param}'")


def test_4096_messages(http: httpx2.Client) -> None:
    """4,096 messages are served, 4,097 are not."""
    assert 200 == http.post("/v1/chat/completions", json={"messages": HELLO * 4096}).status_code
    assert 400 == http.post("/v1/chat/completions", json={"messages": HELLO * 4097}).status_code


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("where", ["temperature", "seed", "extra"])
def test_numbers_that_are_none(http: httpx2.Client, number: str, where: str) -> None:
    """NaN and infinities are no JSON, wherever they stand."""
    value = f'{{"echo": {{"x": {number}}}}}' if where == "extra" else number
    body = f'{{"messages": [{{"role": "user", "content": "hi"}}], "{where}": {value}}}'

    refused(http.post("/v1/chat/completions", content=body.encode()))


@pytest.mark.parametrize(
    "name",
    ["api_base", "api_key", "base_url", "extra_headers", "extra_body", "extra_query", "custom_llm_provider", "headers"],
)
@pytest.mark.parametrize("value", ["http://evil", None], ids=["value", "null"])
def test_forbidden_fields(http: httpx2.Client, name: str, value: object) -> None:
    """What would change where a request goes, or with which key, is refused by name; so it is inside `extra`."""
    own = refused(http.post("/v1/chat/completions", json={"messages": HELLO, name: value}))
    inside = refused(http.post("/v1/chat/completions", json={"messages": HELLO, "extra": {"echo": {name: value}}}))

    assert name == own["param"]
    assert "configuration" in own["message"]
    assert "extra" == inside["param"]
    assert repr(name) in inside["message"]


def test_unknown_model(http: httpx2.Client) -> None:
    """A model nobody has is a 404 with the nearest names."""
    error = refused(http.post("/v1/chat/completions", json={"model": "smrat", "messages": HELLO}), 404)

    assert ("model", "model_not_found") == (error["param"], error["code"])
    assert "Did you mean 'smart'?" in error["message"]


def test_routing_that_leaves_nobody(http: httpx2.Client) -> None:
    """`routing` that leaves no target says what would have been there."""
    error = refused(http.post("/v1/chat/completions", json={"messages": HELLO, "routing": {"only": ["groq"]}}))

    assert "echo/echo" in error["message"]


def test_unknown_fields_pass(http: httpx2.Client) -> None:
    """Parameters we do not know are the provider's business."""
    reply = http.post("/v1/chat/completions", json={"messages": HELLO, "seed": 7, "brand_new": {"a": [1]}})

    assert 200 == reply.status_code


@pytest.mark.parametrize("name", ["\u2028", "x" * 500, "a\r\nset-cookie: b=c", "é", "\x00", "'); DROP TABLE"])
def test_model_names_are_not_trusted(http: httpx2.Client, name: str) -> None:
    """Whatever is in a model name, it is a 404, short, and no header of ours is broken by it."""
    reply = http.post("/v1/chat/completions", json={"model": name, "messages": HELLO})

    assert 404 == reply.status_code
    assert len(reply.json()["error"]["message"]) < 1500
    assert "set-cookie" not in reply.headers
