"""Who may come in: with client keys, those who have one; without, this machine alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest

Serve = Callable[..., AbstractContextManager[httpx2.Client]]

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
EDITOR, OPERATOR = "canary-editor-1234567890", "canary-operator-1234567890"
KEYS = {
    "keys": [
        {"name": "editor", "secret": EDITOR, "allow_literal": True},
        {"name": "operator", "secret": OPERATOR, "allow_literal": True, "scopes": ["admin"]},
    ]
}


def chat(client: httpx2.Client, *headers: tuple[str, str]) -> httpx2.Response:
    return client.post("/v1/chat/completions", json=CHAT, headers=list(headers))


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Bearer {EDITOR}"),
        ("authorization", f"bearer {EDITOR}"),
        ("X-API-Key", EDITOR),
        ("api-key", EDITOR),
        ("Authorization", f"Bearer {OPERATOR}"),
    ],
    ids=["Bearer", "bearer", "X-API-Key", "api-key", "operator"],
)
def test_known_keys(serve: Serve, header: tuple[str, str]) -> None:
    """A known key is let in, in each of the headers clients use."""
    with serve(callers=KEYS) as client:
        reply = chat(client, header)

    assert 200 == reply.status_code
    assert "hi" == reply.json()["choices"][0]["message"]["content"]


def test_no_key_and_a_wrong_one(serve: Serve) -> None:
    """No key and a wrong one get the same 401, so that nobody learns which it was."""
    wrong = [
        (),
        (("Authorization", "Bearer canary-wrong"),),
        (("Authorization", f"Bearer {EDITOR}x"),),
        (("Authorization", f"Bearer {EDITOR[:-1]}"),),
        (("Authorization", f"Basic {EDITOR}"),),
        (("Authorization", EDITOR),),
        (("Authorization", "Bearer"),),
        (("Authorization", f"Bearer {'x' * 5000}"),),
        (("X-API-Key", EDITOR.upper()),),
        (("X-API-Key", ""),),
    ]
    with serve(callers=KEYS) as client:
        replies = [chat(client, *headers) for headers in wrong]
        bodies = [reply.json()["error"] for reply in replies]
    for body in bodies:
        del body["request_id"]

    assert [401] * len(wrong) == [reply.status_code for reply in replies]
    assert [bodies[0]] * len(wrong) == bodies
    assert "invalid_api_key" == bodies[0]["code"]
    assert all("canary" not in reply.text for reply in replies)


def test_different_keys(serve: Serve) -> None:
    """Two keys that differ, or one header twice, are none; the same key twice is one."""
    with serve(callers=KEYS) as client:
        differ = chat(client, ("Authorization", f"Bearer {EDITOR}"), ("X-API-Key", OPERATOR))
        twice = chat(client, ("X-API-Key", EDITOR), ("X-API-Key", OPERATOR))
        same = chat(client, ("Authorization", f"Bearer {EDITOR}"), ("X-API-Key", EDITOR))

    assert [401, 401, 200] == [differ.status_code, twice.status_code, same.status_code]
    assert "several API keys" in differ.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", 401), ("GET", "/models/echo", 401), ("GET", "/health", 200), ("PUT", "/v1/models", 401)],
)
def test_what_needs_a_key(serve: Serve, method: str, path: str, status: int) -> None:
    """Health is public; the rest needs a key, before anything else is said about it."""
    with serve(callers=KEYS) as client:
        assert status == client.request(method, path).status_code


def test_names_without_keys_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The access line names the caller and a masked key, also for those who were refused."""
    with caplog.at_level(logging.INFO, logger="aigateway.access"), serve(callers=KEYS) as client:
        chat(client, ("Authorization", f"Bearer {EDITOR}"))
        chat(client, ("Authorization", "Bearer canary-wrong"))
        client.get("/v1/models?api_key=canary-query")
    first, second, third = (record.getMessage() for record in caplog.records)

    assert '"caller":"editor","key":"key-' in first
    assert '"status":200' in first
    assert '"caller":"anyone"' in second
    assert '"status":401' in second
    assert '"status":401' in third
    assert "canary" not in caplog.text


# -- without client keys ----------------------------------------------------------------------


def test_this_machine_is_served(http: httpx2.Client) -> None:
    """Without client keys any key, or none, will do from this machine."""
    replies = [chat(http), chat(http, ("Authorization", "Bearer any")), chat(http, ("Origin", "http://localhost:3000"))]

    assert [200, 200, 200] == [reply.status_code for reply in replies]


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost.evil.example"),
        ("Origin", "http://127.0.0.1.evil.example"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=203.0.113.7"),
        ("X-Real-IP", "203.0.113.7"),
    ],
    ids=lambda header: ": ".join(header),
)
def test_strangers_are_not(http: httpx2.Client, header: tuple[str, str]) -> None:
    """Another site's page, and what came through a proxy, are refused with what to configure."""
    reply = chat(http, header)
    error: dict[str, Any] = reply.json()["error"]

    assert 403 == reply.status_code
    assert "permission_error" == error["type"]
    assert "no client keys" in error["message"]


def test_a_name_that_points_here(http: httpx2.Client) -> None:
    """A page whose own name was pointed at this machine is another site's page: its Origin says so."""
    reply = chat(http, ("Host", "evil.example"), ("Origin", "http://evil.example"))

    assert 403 == reply.status_code
