"""Paths, methods, envelopes, ids: what every answer has in common."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

CHAT = {"messages": [{"role": "user", "content": "hi there"}]}


def error_of(reply: httpx2.Response, status: int) -> dict[str, Any]:
    """Check the envelope of an error; give what is in it."""
    assert status == reply.status_code, reply.text
    assert "application/json" == reply.headers["content-type"]
    body = reply.json()
    assert {"error"} == body.keys()
    assert {"message", "type", "param", "code", "request_id"} <= body["error"].keys()
    assert reply.headers["x-request-id"] == body["error"]["request_id"]
    assert body["error"]["message"]
    return dict(body["error"])


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_with_and_without_v1(http: httpx2.Client, prefix: str) -> None:
    """Every path under /v1 is there without it too."""
    chat = http.post(f"{prefix}/chat/completions", json=CHAT)
    listed = http.get(f"{prefix}/models")
    card = http.get(f"{prefix}/models/echo/echo")

    assert "hi there" == chat.json()["choices"][0]["message"]["content"]
    assert ["smart", "echo"] == [model["id"] for model in listed.json()["data"]]
    assert "list" == listed.json()["object"]
    assert "echo" == card.json()["id"]


def test_streams_as_events(http: httpx2.Client) -> None:
    """A stream is a line of data per event, ends with [DONE], and is never to be buffered or cached."""
    reply = http.post("/v1/chat/completions", json={**CHAT, "stream": True})
    *events, last, nothing = reply.text.split("\n\n")

    assert "text/event-stream; charset=utf-8" == reply.headers["content-type"]
    assert "no-cache" == reply.headers["cache-control"]
    assert "no" == reply.headers["x-accel-buffering"]
    assert ("data: [DONE]", "") == (last, nothing)
    assert "hi there" == "".join(
        json.loads(event.removeprefix("data: "))["choices"][0]["delta"].get("content") or "" for event in events
    )


def test_health(http: httpx2.Client) -> None:
    """GET says in words how it is; HEAD says it with the head alone."""
    got, head = http.get("/health"), http.head("/health")

    assert {"status", "service", "timestamp", "state", "providers"} == got.json().keys()
    assert "healthy" == got.json()["status"]
    assert {"echo": "healthy"} == got.json()["providers"]
    assert "no-store" == got.headers["cache-control"]
    assert 200 == head.status_code
    assert b"" == head.content
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/chat/completions/", "/v1/v1/models", "/%00", "/ä"])
def test_unknown_paths(http: httpx2.Client, path: str) -> None:
    """What is not there is a 404 that names the chat path."""
    error = error_of(http.post(path, json=CHAT), 404)

    assert "unknown_url" == error["code"]
    assert "/v1/chat/completions" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/echo", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("PROPFIND", "/health", "GET, HEAD"),
    ],
)
def test_wrong_methods(http: httpx2.Client, method: str, path: str, allowed: str) -> None:
    """A method that does not fit is a 405 that names those that do."""
    reply = http.request(method, path)
    error = error_of(reply, 405)

    assert allowed == reply.headers["allow"]
    assert allowed in error["message"]


def test_too_large(http: httpx2.Client) -> None:
    """A body over 10 MiB is a 413, whether its length was said or not."""
    large = b'{"messages": [{"role": "user", "content": "' + b"x" * (10 * 1024 * 1024) + b'"}]}'
    said = http.post("/v1/chat/completions", content=large)
    unsaid = http.post("/v1/chat/completions", content=(large[i : i + 65536] for i in range(0, len(large), 65536)))

    assert "body_too_large" == error_of(said, 413)["code"]
    assert "body_too_large" == error_of(unsaid, 413)["code"]


def test_just_not_too_large(http: httpx2.Client) -> None:
    """A body a little under it is served."""
    reply = http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x" * 10_000_000}]})

    assert 200 == reply.status_code


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate, gzip"])
def test_encoded_bodies(http: httpx2.Client, coding: str) -> None:
    """An encoded body is a 415 that says how to send it."""
    error = error_of(http.post("/v1/chat/completions", content=b"x", headers={"content-encoding": coding}), 415)

    assert "Content-Encoding" in error["message"]


@pytest.mark.parametrize("supplied", ["abc-1", "a.b_c:d", "x" * 128])
def test_request_ids_are_kept(http: httpx2.Client, supplied: str) -> None:
    """A safe request id comes back on every kind of answer."""
    headers = {"x-request-id": supplied}
    replies = [
        http.post("/v1/chat/completions", json=CHAT, headers=headers),
        http.post("/v1/chat/completions", json={**CHAT, "stream": True}, headers=headers),
        http.post("/v1/chat/completions", content=b"{", headers=headers),
        http.get("/health", headers=headers),
        http.get("/nothing", headers=headers),
    ]

    assert {supplied} == {reply.headers["x-request-id"] for reply in replies}


@pytest.mark.parametrize("supplied", ["", "a b", "x" * 129, "a;b", "a/b", '"a"', "<a>", "a\tb", "{}"])
def test_request_ids_are_replaced(http: httpx2.Client, supplied: str) -> None:
    """Any other is replaced by one of ours."""
    reply = http.get("/health", headers={"x-request-id": supplied})

    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


def test_ids_differ(http: httpx2.Client) -> None:
    """Two requests without an id get two."""
    assert http.get("/health").headers["x-request-id"] != http.get("/health").headers["x-request-id"]


def test_card_of_nobody(http: httpx2.Client) -> None:
    """A card of a model that is not there is a 404 that names the list; a HEAD of it is a head alone."""
    reply = http.head("/v1/models/no/such/model")

    assert "model_not_found" == error_of(http.get("/v1/models/no/such/model"), 404)["code"]
    assert (404, b"") == (reply.status_code, reply.content)
