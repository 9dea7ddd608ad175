"""What clients know from other servers and this one has not is a clear answer, in the dialect it belongs to."""

from __future__ import annotations

import re
import socket
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aigateway.asgi._app import ROUTES
from aigateway.asgi._unserved import UNSERVED

OPENING = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


@pytest.mark.parametrize("name", UNSERVED)
@pytest.mark.parametrize("prefix", ["/v1/", "/", "/openai/v1/"])
def test_known_endpoints(http: httpx2.Client, name: str, prefix: str) -> None:
    """Each is a 404 with a code of its own, which says what it is and what to do instead."""
    reply = http.post(f"{prefix}{name}{'some-id' if name.endswith('/') else ''}", json={})
    error = reply.json()["error"]

    assert 404 == reply.status_code
    assert "does not serve" in error["message"]
    assert all(part in error["message"] for part in UNSERVED[name])
    assert reply.headers["x-request-id"] == (reply.json() if "type" in reply.json() else error)["request_id"]


@pytest.mark.parametrize(
    "path",
    ["/v1/audio/speech", "/v1/batches/batch_1/cancel", "/v1/responses/resp_1/cancel", "/v1/images/edits"],
)
def test_what_is_below_them(http: httpx2.Client, path: str) -> None:
    """Whatever stands below such a path is not served either, by any method."""
    assert ["not_served"] * 3 == [http.request(m, path).json()["error"]["code"] for m in ("GET", "POST", "DELETE")]


@pytest.mark.parametrize(
    ("path", "ends"),
    [
        ("/v1/openai/v1/chat/completions", "of Groq's clients is the address without /v1"),
        ("/v1/chat/completion", "ends in /v1"),
    ],
)
def test_where_a_base_url_ends(http: httpx2.Client, path: str, ends: str) -> None:
    """A path with a beginning too many comes of a base URL; the error says where the one of that client ends."""
    assert f"the base URL {ends}." in http.post(path, json={}).json()["error"]["message"]


def test_no_route_is_called_unserved() -> None:
    """The list says nothing about what is served, but for what would be below it."""
    served = {entry.path.removeprefix("/v1").strip("/") for entry in ROUTES}

    assert set() == served & set(UNSERVED)
    assert {"chat/completions", "responses"} == {name.strip("/") for name in UNSERVED if name.endswith("/")}


# What the clients' sources ask of a server: the first parts of a path that are not filled in.
ASKED = re.compile(r"""(?:path_template|self\._(?:get|post|put|patch|delete|get_api_list))\(\s*f?"(/[^"{?]*)""")


@pytest.mark.parametrize("client", ["openai", "anthropic", "groq"])
def test_all_that_clients_know(http: httpx2.Client, client: str) -> None:
    """No endpoint of theirs is unknown here: it is served, or said to be not served."""
    folder = Path(next(iter(import_module(client).__path__)), "resources")
    sources = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    found = {path.rstrip("/") for text in sources for path in ASKED.findall(text)}
    replies = {path: http.request("DELETE", path) for path in found}  # a method nothing is served by

    assert len(found) > 5
    assert {404, 405} >= {reply.status_code for reply in replies.values()}
    assert [] == sorted(
        path for path, reply in replies.items() if '"unknown_url"' in reply.text or "nothing" in reply.text
    )


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/v1/nothing", {}, "the base URL ends in /v1"),
        ("/v1/v1/messages", {"anthropic-version": "2023-06-01"}, "the address without /v1"),
        ("/v1/chat/completions/chat/completions", {}, "the base URL ends in /v1"),
        ("/v1/responses/responses", {}, "the base URL ends in /v1"),
        ("/v1/messages/v1/messages", {}, "the address without /v1"),
        ("/v1/responses/", {}, "there is nothing at"),
        ("/v1/responses/input_tokens", {}, "count_tokens"),
        ("/v1/responses/compact", {}, "compaction"),
        ("/v1/filesystem", {}, "there is nothing at"),
    ],
)
def test_the_way_on(http: httpx2.Client, path: str, headers: dict[str, str], said: str) -> None:
    """What is said fits the path and the client: no slash at the end is an endpoint, and base URLs differ."""
    reply = http.post(path, json={}, headers=headers)

    assert 404 == reply.status_code
    assert said in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/messages/batches", {}), ("/v1/complete", {}), ("/v1/files", {"anthropic-version": "2023-06-01"})],
)
def test_in_anthropics_dialect(http: httpx2.Client, path: str, headers: dict[str, str]) -> None:
    """A path of Anthropic's, and a client that says it speaks that dialect, get its envelope."""
    reply = http.post(path, json={}, headers=headers)
    body = reply.json()

    assert (404, "error", "not_found_error") == (reply.status_code, body["type"], body["error"]["type"])
    assert body["request_id"] == reply.headers["request-id"]


def upgraded(http: httpx2.Client, path: str, more: str = "") -> tuple[int, dict[str, str], str]:
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=20) as opened:
        opened.sendall(OPENING.format(path=path, more=more).encode())
        head, _, body = opened.makefile("rb").read().decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return int(first.split(" ")[1]), {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}, body


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/responses", 426, "websocket"),
        ("/v1/models/echo/echo", 426, "websocket"),
        ("/v1/realtime", 404, "not_served"),
        ("/v1/nothing", 404, "unknown_url"),
    ],
)
def test_websockets(http: httpx2.Client, path: str, status: int, code: str) -> None:
    """A websocket is answered as any request is: with a status clients go on from, an error and a request id."""
    got, headers, body = upgraded(http, path, "X-Request-ID: socket-1\r\n")

    assert status == got
    assert "socket-1" == headers["x-request-id"]
    assert f'"code":"{code}"' in body


def test_a_websocket_in_anthropics_dialect(http: httpx2.Client) -> None:
    """Its error is written as the path's clients read it."""
    got, _, body = upgraded(http, "/v1/messages")

    assert 426 == got
    assert '"type":"error"' in body


def test_a_form_of_parts(http: httpx2.Client) -> None:
    """A form sent as parts, or JSON, is a 415 that names what is read and where JSON goes; a plain form is answered."""
    parts = http.post("/chat", files={"prompt": (None, "hi")})
    written = http.post("/chat", json={"prompt": "hi"})
    form = http.post("/chat", data={"prompt": "hi"})
    errors: list[Any] = [reply.json()["error"] for reply in (parts, written)]

    assert [415, 415, 200] == [reply.status_code for reply in (parts, written, form)]
    assert all("urlencoded" in error["message"] and "/chat/json" in error["message"] for error in errors)
    assert ["content_type"] * 2 == [error["code"] for error in errors]
