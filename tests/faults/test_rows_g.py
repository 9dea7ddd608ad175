"""G. Who may do what, and whose is it: what one caller may, has and uses is not another's.

Each docstring is a line of docs/explanation/faults.md.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from aigateway.asgi._app import ROUTES

from ..asgi.test_client_keys import CHAT, ROOT, Serve, World, root, static
from ..asgi.test_kept_answers import A, B, Make, said
from ..flows.test_client_leaves import until

# -- row 74: everybody at every route ---------------------------------------------------------

ADMIN = "admin-key-0123456789"
KEYS = [
    static("user", "user-key-0123456789", models=["a/*"]),
    static("other", "other-key-0123456789", models=["b/*"]),
    static("operator", ADMIN, scopes=["admin"]),
]
WHO = {
    "none": (),
    "unknown": (("authorization", "Bearer nobody"),),
    "user": (("authorization", "Bearer user-key-0123456789"),),
    "other": (("authorization", "Bearer other-key-0123456789"),),
    "admin": (("authorization", f"Bearer {ADMIN}"),),
    "root": (("admin-secret", ROOT),),
}
# What is sent instead of a chat; null says "not given".
PROMPT: dict[str, Any] = {"prompt": "hi", "messages": None}
SENT: dict[str, Any] = {
    "/v1/responses": {"input": "hi", "messages": None},
    "/v1/messages": {"max_tokens": 9},
    "/v1/inference/complete": PROMPT,
    "/v1/inference/stream": PROMPT,
    "/chat/json": PROMPT,
    "/chat": b"prompt=hi",
    "/v1/completions": PROMPT,
    "/v1/embeddings": {"input": "hi"},
    "/v1/images/generations": PROMPT,
    "/images/generate": PROMPT,
}
# By what is asked for: what both may, `user` alone, `other` alone; for none, unknown, user, other, admin, root.
Row = tuple[int, int, int, int, int, int]
CALLS: dict[str, Row] = {
    "r": (401, 401, 200, 200, 200, 401),
    "a/echo": (401, 401, 200, 403, 200, 401),
    "b/echo": (401, 401, 403, 200, 200, 401),
}
# The echo has no vectors, nor pictures: 400 is an answer of its own.
UNABLE: dict[str, Row] = {
    "r": (401, 401, 400, 400, 400, 401),
    "a/echo": (401, 401, 400, 403, 400, 401),
    "b/echo": (401, 401, 403, 400, 400, 401),
}
CARDS: dict[str, Row] = {
    "r": (401, 401, 200, 200, 200, 401),
    "a/echo": (401, 401, 200, 404, 200, 401),
    "b/echo": (401, 401, 404, 200, 200, 401),
}


def same(*row: int) -> dict[str, Any]:
    """Expect the same whatever is asked for."""
    return dict.fromkeys(CALLS, row)


LISTS, PUBLIC, ADMINS = (same(401, 401, 200, 200, 200, 401), same(*[200] * 6), same(401, 401, 403, 403, 200, 401))
MATRIX: Mapping[str, Mapping[str, Row]] = {
    "POST /v1/chat/completions": CALLS,
    "POST /v1/messages": CALLS,
    "POST /v1/messages/count_tokens": CALLS,
    "POST /v1/chat/completions/stream": CALLS,
    "POST /v1/inference/complete": CALLS,
    "POST /v1/inference/stream": CALLS,
    "POST /chat": CALLS,
    "POST /chat/json": CALLS,
    "POST /v1/responses": CALLS,
    "POST /v1/completions": CALLS,
    "POST /v1/embeddings": UNABLE,
    "POST /v1/images/generations": UNABLE,
    "POST /images/generate": UNABLE,
    "GET /v1/models": LISTS,
    "GET /v1/models/MODEL": CARDS,
    "GET /models/providers": LISTS,
    "GET /ranking/models": LISTS,
    "GET /": PUBLIC,
    "GET /ping": PUBLIC,
    "GET /health": PUBLIC,
    "GET /health/detailed": ADMINS,
    "GET /openapi.json": ADMINS,
    "GET /docs": ADMINS,
    "GET /docs/assets/swagger-ui.css": ADMINS,
    "GET /redoc": ADMINS,
    "GET /metrics": same(401, 401, 403, 403, 404, 401),
    "GET /current-key": same(403, 403, 403, 403, 403, 200),
    "GET /admin/keys": ADMINS,
    "POST /admin/keys/reload": ADMINS,
    "POST /admin/reload": same(401, 401, 403, 403, 409, 401),  # the gateway is its owner's
    "POST /admin/rests/clear": ADMINS,
    "GET /admin/decisions": ADMINS,
    "GET /admin/decisions/none": same(401, 401, 403, 403, 404, 401),
    "GET /admin/explain": ADMINS,
}


def filled(path: str, named: Mapping[str, str]) -> str:
    for name, value in named.items():
        path = path.replace("{" + name + "}", value)
    return path


@pytest.mark.parametrize("model", CALLS)
def test_row_74_everybody_at_every_route(model: str) -> None:
    """nobody, an unknown key, a user, another user, an operator, the root secret; at every route, under each of its
    paths; for a model of one's own, of another's, of both → exactly the table in the test
    """
    world = World({"keys": KEYS, "weekly": root(ROOT)})
    for name, expected in MATRIX.items():
        method, path = name.replace("MODEL", model).split(" ")
        also = {path.removeprefix("/v1"), f"/openai{path}"} if path.startswith("/v1/") else set()
        body = SENT.get(path, {})
        body = body + f"&model={model}".encode() if isinstance(body, bytes) else {**body, "model": model}
        for spelled in {path, *also}:
            asks = [world.ask(*headers, path=spelled, method=method, body=body) for headers in WHO.values()]
            assert expected[model] == tuple(answer.status for answer in asks), f"{method} {spelled}"
    named = {"id:path": "MODEL", "name": "swagger-ui.css", "request_id": "none"}
    assert set(MATRIX) == {f"{entry.methods.split()[0]} {filled(entry.path, named)}" for entry in ROUTES}


# -- row 74: what belongs to one caller -----------------------------------------------------------

ONCE: dict[str, Any] = {"headers": {"idempotency-key": "k1"}}
LIMIT: dict[str, Any] = {"use": "rate_limit", "requests_per_minute": 10, "burst": 3}
LEFT = "x-ratelimit-remaining-requests"


def test_row_74_kept_answers(world: Make) -> None:
    """another's question, another's idempotency key, also for something else, another's request id → an answer of
    one's own, and no word of theirs
    """
    with world({"use": "idempotency"}, {"use": "cache"}) as it:
        mine = it.ask("secret", who=A, **ONCE)
        theirs = [it.ask("secret", who=B), it.ask("other", who=B, **ONCE), it.ask("other", who=B, **ONCE)]
        by_id = it.ask("third", who=B, headers={"x-request-id": mine.headers["x-request-id"]})
        again = it.ask("secret", who=A, **ONCE)

    assert ["answer 1", "answer 2", "answer 3", "answer 3"] == [said(reply) for reply in (mine, *theirs)]
    assert ("answer 4", "answer 1") == (said(by_id), said(again))
    assert [None, None, "true", "true"] == [
        reply.headers.get("idempotent-replayed") for reply in (theirs[0], theirs[1], theirs[2], again)
    ]


def test_row_74_a_key_under_way(world: Make) -> None:
    """another's idempotency key while they wait for their answer → neither waited for, nor answered by theirs"""
    with world({"use": "idempotency"}) as it:
        it.provider.go.clear()
        told: dict[str, str] = {}

        def ask(name: str, who: Mapping[str, str]) -> None:
            told[name] = it.said(name, who=who, **ONCE)

        threads = [threading.Thread(target=ask, args=pair) for pair in (("a", A), ("b", B))]
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda at_least=number: it.provider.asked > at_least, 20)
        it.provider.go.set()
        for thread in threads:
            thread.join(20)

    assert {"a": "answer 1", "b": "answer 2"} == told


def test_row_74_limits(serve: Serve) -> None:
    """another's use of a limit, another's limit headers → neither counts for, nor shows to, anybody else"""
    keys = {name: {"x-api-key": f"key-of-{name}-0123456789"} for name in "ab"}
    callers = {"keys": [static(name, key["x-api-key"]) for name, key in keys.items()]}
    with serve(callers=callers, guards=[LIMIT]) as client:
        used = [client.post("/v1/chat/completions", json=CHAT, headers=keys["a"]) for _ in range(4)]
        seen = [client.get("/health", headers=key).headers[LEFT] for key in keys.values()]
        other = client.post("/v1/chat/completions", json=CHAT, headers=keys["b"] | {"x-forwarded-user": "a"})
        nobody = client.get("/health")

    assert [200, 200, 200, 429] == [reply.status_code for reply in used]
    assert ["0", "3"] == seen
    assert (200, "2") == (other.status_code, other.headers[LEFT])
    assert LEFT not in nobody.headers


def test_row_74_records_of_calls() -> None:
    """the record of a call, by its id, of one's own or another's → an operator's alone; an id that is sent again, by
    whomever, gives nobody another's answer; a response that is not there cannot be gone on with, whosever it was
    """
    world = World({"keys": KEYS})
    who = {name: WHO[name] for name in ("none", "user", "other", "admin")}
    calls = {name: world.ask(*who[name], ("x-request-id", f"of-{name}")) for name in ("user", "other")}
    found = {
        name: [
            world.ask(*headers, path=f"/admin/decisions/{call.headers['x-request-id']}", method="GET").status
            for call in calls.values()
        ]
        for name, headers in who.items()
    }
    again = world.ask(*who["other"], ("x-request-id", "of-user"), body={"messages": CHAT["messages"][:1]})
    further = {"input": "hi", "messages": None, "previous_response_id": calls["user"].body["id"]}
    others = [world.ask(*who[name], path="/v1/responses", body=further) for name in ("user", "other")]
    stored = world.ask(*who["other"], path=f"/v1/responses/{calls['user'].body['id']}", method="GET")

    assert {"none": [401, 401], "user": [403, 403], "other": [403, 403], "admin": [200, 200]} == found
    assert calls["user"].body["id"] != again.body["id"]
    assert [400, 400] == [answer.status for answer in others]
    assert others[0].error == others[1].error
    assert 404 == stored.status


def test_row_74_lists() -> None:
    """every page that lists or names models → what a key may use, no more; errors and hints name no other either"""
    world = World({"keys": KEYS})
    pages = ("/v1/models", "/models/providers", "/ranking/models")
    texts = {name: "".join(world.ask(*WHO[name], path=page, method="GET").text for page in pages) for name in WHO}
    wrong = world.ask(*WHO["user"], body={"model": "b/ecoh"}), world.ask(*WHO["user"], body={"model": "b/echo"})

    assert ("a/echo" in texts["user"], "b/echo" in texts["user"]) == (True, False)
    assert ("a/echo" in texts["other"], "b/echo" in texts["other"]) == (False, True)
    assert ("a/echo" in texts["admin"], "b/echo" in texts["admin"]) == (True, True)
    assert "echo" not in texts["none"] + texts["unknown"] + texts["root"]
    assert "'b/echo'" not in wrong[0].text


# -- row 76: from where -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (["198.51.100.0/24"], "198.51.100.7", 200),
        (["198.51.100.0/24"], "::ffff:198.51.100.7", 200),
        (["::ffff:198.51.100.0/120"], "198.51.100.7", 200),
        (["198.51.100.0/24"], "198.51.101.7", 403),
        (["2001:db8::/32"], "2001:db8::1", 200),
        (["2001:db8::/32"], "2001:db9::1", 403),
        (["fe80::/10"], "fe80::1%eth0", 200),
        (["fe80::1"], "fe80::1%25eth0", 200),
        (["fe80::1"], "fe80::2%fe80::1", 403),
        (["198.51.100.0/24"], "::ffff:198.51.100.7%eth0", 200),
        (["198.51.100.0/24"], "::198.51.100.7", 403),
        (["198.51.100.0/24"], "198.51.100.7:443", 403),
        (["2001:db8::/32"], "[2001:db8::1]:443", 403),
        (["198.51.100.0/24"], "198.51.100.7.", 403),
        (["198.51.100.7"], "", 403),
        (["198.51.100.7"], "unix:/socket", 403),
        (["0.0.0.0/0"], "2001:db8::1", 403),
    ],
)
def test_row_76_addresses(networks: list[str], address: str, status: int) -> None:
    """a key bound to networks, from IPv4 mapped into IPv6, with a zone id, with a port → works from there alone"""
    world = World({"keys": [static(networks=networks)]})

    assert status == world.with_key("static-key-0123456789", address=address).status


@pytest.mark.parametrize(
    "address", ["10.0.0.1:443", "[2001:db8::1]:443", "10.0.0.1.", "10.0.0.1%eth0", "::ffff:10.0.0.1"]
)
def test_row_76_what_a_proxy_writes(address: str) -> None:
    """the same as our proxy writes it → an address alone counts, with or without a zone; what else it is, is nowhere"""
    world = World({"keys": [static(networks=["10.0.0.0/8", "2001:db8::/32"])], "proxies": 1})
    answer = world.ask(("x-api-key", "static-key-0123456789"), ("x-forwarded-for", address), address="192.0.2.1")

    assert (200 if address in {"10.0.0.1%eth0", "::ffff:10.0.0.1"} else 403) == answer.status


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no socket for both")
def test_row_76_a_socket_for_both(serve: Serve) -> None:
    """IPv4 over a listener of IPv6, which maps the address → the key of that network works; over IPv6 it does not"""
    callers = {"keys": [static(networks=["127.0.0.0/8"])]}
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        serve(listener=listener, callers=callers) as client,
    ):
        port = listener.getsockname()[1]
        found = [
            client.get(f"http://{host}:{port}/v1/models", headers={"x-api-key": "static-key-0123456789"}).status_code
            for host in ("127.0.0.1", "[::1]")
        ]

    assert [200, 403] == found


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (("Origin", "https://app.example.com"), 200),
        (("Origin", "https://app.example.com:8443"), 200),
        (("Origin", "https://APP.example.com."), 200),
        (("Referer", "https://app.example.com/page?x=https://evil.test"), 200),
        (("Origin", "https://deep.below.example.org"), 200),
        (("Origin", "https://example.org"), 403),
        (("Origin", "https://app.example.com.evil.test"), 403),
        (("Origin", "https://evilapp.example.com"), 403),
        (("Origin", "https://app.example.com@evil.test"), 403),
        (("Origin", "https://xn--bcher-kva.example"), 200),
        (("Origin", "https://xn--bcher-kva.example.:8443"), 200),
        (("Origin", "https://bucher.example"), 403),
        (("Origin", "https://app.example.com:8443.evil.test"), 403),
        (("Origin", "https://app.example.com:x@evil.test:443"), 403),
        (("Origin", "https://app.example.com..evil.test"), 403),
        (("Origin", "null"), 403),
        (("Origin", "http://["), 403),
        (("X-Nothing", ""), 403),
    ],
    ids=lambda value: str(value),
)
def test_row_76_sites(header: tuple[str, str], status: int) -> None:
    """a key bound to sites, from pages with a port, a dot at the end, upper case, IDN → works from their pages alone"""
    domains = ["app.example.com", "*.below.example.org", "bücher.example"]
    world = World({"keys": [static(domains=domains)]})

    assert status == world.ask(("x-api-key", "static-key-0123456789"), header).status


def test_row_76_origin_goes_before_referer() -> None:
    """an allowed site in `Referer`, another in `Origin` → 403: what a page can choose does not outweigh the browser"""
    world = World({"keys": [static(domains=["app.example.com"])]})
    key = ("x-api-key", "static-key-0123456789")

    assert 403 == world.ask(key, ("Origin", "https://evil.test"), ("Referer", "https://app.example.com/")).status


# -- row 78: the cache -----------------------------------------------------------------------------

SYSTEM = {"role": "system", "content": "x"}
OTHERS: dict[str, dict[str, Any]] = {
    "tenant": {"who": B},
    "system prompt": {"messages": [SYSTEM, {"role": "user", "content": "hi"}]},
    "another system prompt": {"messages": [SYSTEM | {"content": "y"}, {"role": "user", "content": "hi"}]},
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "other tools": {"tools": [{"type": "function", "function": {"name": "g"}}]},
    "tool choice": {"tool_choice": "none"},
    "temperature": {"temperature": 0.5},
    "temperature 0": {"temperature": 0},
    "seed": {"seed": 1},
    "response format": {"response_format": {"type": "json_object"}},
    "role": {"messages": [{"role": "developer", "content": "hi"}]},
    "user": {"user": "somebody"},
    "model": {"model": "counting/m"},
    "routing": {"routing": {"fallback": False}},
    "extra": {"extra": {"counting": {"a": 1}}},
    "unknown field": {"reasoning_effort": "low"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_row_78_cache(world: Make, stream: bool) -> None:
    """the same prompt of another tenant, with another system prompt, tools, temperature, model, or whatever else →
    another question: nobody gets another's answer, whole or streamed; the same in all is answered again
    """
    with world({"use": "cache"}) as it:
        first = it.said(stream=stream)
        told = {name: it.said(**{"stream": stream, **other}) for name, other in OTHERS.items()}
        again = {name: it.said(**{"stream": not stream, **other}) for name, other in OTHERS.items()}

        assert len(OTHERS) + 1 == len({first, *told.values()}), told
        assert told == again
        assert first == it.said(stream=not stream)
        assert len(OTHERS) + 1 == it.provider.asked


DIALECTS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/chat/completions": ({"messages": [{"role": "user", "content": "hi"}]}, "chat.completion"),
    "/v1/messages": ({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}, "message"),
    "/v1/responses": ({"input": "hi"}, "response"),
    "/v1/completions": ({"prompt": "hi"}, "text_completion"),
}


def test_row_78_dialects(world: Make) -> None:
    """the same prompt in another dialect → an answer in that dialect, of its own; in each for each tenant apart"""
    with world({"use": "cache"}) as it:
        asks = [(path, who) for path in DIALECTS for who in (A, B)] * 2
        replies = [it.client.post(path, json=DIALECTS[path][0], headers=who) for path, who in asks]
        found = [(reply.json().get("object") or reply.json()["type"], text(reply)) for reply in replies]

        assert [DIALECTS[path][1] for path, _ in asks] == [kind for kind, _ in found]
        assert 8 == it.provider.asked == len({answer for _, answer in found})
        assert found[:8] == found[8:]


def text(reply: httpx2.Response) -> str:
    """Find what the provider said, in whatever dialect."""
    (number,) = set(re.findall(r"answer \d+", reply.text))
    return str(number)
