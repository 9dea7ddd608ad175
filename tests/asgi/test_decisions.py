"""Decisions over HTTP: one, the last ones, a dry run; and the headers that say the same in short."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest

from aigateway.types import Decision

Serve = Callable[..., AbstractContextManager[httpx2.Client]]
PROMPT = "the words of the caller"
CHAT: dict[str, Any] = {"model": "smart", "messages": [{"role": "user", "content": PROMPT}]}
DOWN: dict[str, Any] = {
    "providers": {
        "dead": {"type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"},
        "echo": {},
    },
    "routes": {"smart": {"targets": ["dead/m", "echo/echo"]}, "dead": {"targets": ["dead/m"]}},
}


def test_a_call_can_be_looked_up(http: httpx2.Client) -> None:
    """By the id its answer names: the record, lossless, and its sentences; never what was said."""
    named = http.post("/v1/chat/completions", json=CHAT).headers["x-request-id"]
    found = http.get(f"/admin/decisions/{named}")
    decision = Decision.from_json(json.dumps(found.json()["decision"]))

    assert (named, "smart", "echo/echo", "complete") == (
        decision.id, decision.asked, decision.answered_by, decision.ended.state
    )  # fmt: skip  # one row
    assert decision.explain() == found.json()["explained"]
    assert PROMPT not in found.text


def test_the_newest_of_an_id_is_found(http: httpx2.Client) -> None:
    """A client may send one id twice."""
    for model in ("smart", "echo/echo"):
        http.post("/v1/chat/completions", json={**CHAT, "model": model}, headers={"x-request-id": "twice"})

    assert "echo/echo" == http.get("/admin/decisions/twice").json()["decision"]["asked"]


def test_one_that_is_not_kept(http: httpx2.Client, serve: Serve) -> None:
    """404, with what to do about it."""
    found = http.get("/admin/decisions/never")
    with serve(decisions={"keep": 0}) as client:
        client.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": "one"})
        off = client.get("/admin/decisions/one")

    assert (404, "not_kept") == (found.status_code, found.json()["error"]["code"])
    assert "several workers" in found.json()["error"]["message"]
    assert "set decisions.keep" in off.json()["error"]["message"]


def test_the_last_ones(serve: Serve) -> None:
    """Newest first, as many as are asked for; failures have their status."""
    with serve(**DOWN) as client:
        for model in ("smart", "dead", "nothing-like-it"):
            client.post("/v1/chat/completions", json={**CHAT, "model": model}, headers={"x-request-id": model})
        every = client.get("/admin/decisions").json()
        two = client.get("/admin/decisions?limit=2").json()["decisions"]
        wrong = [client.get(f"/admin/decisions?limit={n}").status_code for n in ("0", "x", "1001", "-1", "9" * 30)]

    assert [("nothing-like-it", 404, 0), ("dead", 503, 2), ("smart", None, 2)] == [
        (row["id"], row["status"], row["attempts"]) for row in every["decisions"]
    ]
    assert 1000 == every["kept"]
    assert every["decisions"][:2] == two
    assert [400] * 5 == wrong


@pytest.mark.parametrize("stream", [False, True])
def test_headers_on_answers_streams_and_errors(serve: Serve, stream: bool) -> None:
    """Who answered, which model, how many calls; an error says how many, too."""
    with serve(**DOWN) as client:
        answered = client.post("/v1/chat/completions", json={**CHAT, "stream": stream})
        failed = client.post("/v1/chat/completions", json={**CHAT, "model": "dead", "stream": stream})
        named = client.get(f"/admin/decisions/{answered.headers['x-request-id']}").json()["decision"]

    assert ("echo", "echo") == (answered.headers["x-aigateway-provider"], answered.headers["x-aigateway-model"])
    assert str(len(named["steps"])) == answered.headers["x-aigateway-attempts"]
    assert float(answered.headers["x-aigateway-overhead-ms"]) > 0
    assert 503 == failed.status_code
    assert int(failed.headers["x-aigateway-attempts"]) >= 0
    assert failed.headers["x-request-id"]


CLIENTS: dict[str, Any] = {
    "keys": [
        {"name": "boss", "secret": "boss-key-0123456789", "allow_literal": True, "scopes": ["admin"]},
        {"name": "editor", "secret": "editor-old-0123456", "allow_literal": True, "expires": "2020-01-01"},
        {"name": "editor", "secret": "editor-key-01234567", "allow_literal": True, "models": ["echo/*", "only-echo"]},
        {"name": "gone", "secret": "gone-key-012345678", "allow_literal": True, "expires": "2020-01-01"},
    ],
    "weekly": {"root": "0123456789abcdefghijklmnopqrstuv", "allow_literal": True, "clients": ["phone"]},
}


def test_a_dry_run_for_a_caller(serve: Serve) -> None:
    """With the allow-list of the valid key of that name, and what it would be refused; any sort of key has a name."""
    routes = {**DOWN["routes"], "closed": {"targets": ["dead/m"]}}
    only = {"targets": [{"to": "dead/m", "when": {"caller": "phone"}}, "echo/echo"]}
    tables = {**DOWN, "callers": CLIENTS, "routes": {**routes, "mine": only}}
    with serve(**tables) as client:
        client.headers["authorization"] = "Bearer boss-key-0123456789"

        def ask(model: str, caller: str) -> Any:
            return client.get("/admin/explain", params={"model": model, "caller": caller})

        boss, editor = ask("smart", "boss").json()["decision"], ask("smart", "editor").json()["decision"]
        sent = client.post("/admin/explain?caller=editor", json=CHAT).json()["decision"]
        closed, unknown, gone = ask("closed", "editor"), ask("smart", "editr"), ask("smart", "gone")
        weekly, other = ask("mine", "phone").json()["decision"], ask("mine", "boss").json()["decision"]

    assert (["dead/m", "echo/echo"], "boss") == (boss["candidates"], boss["caller"])
    assert (["echo/echo"], "editor") == (editor["candidates"], editor["caller"])
    assert [("dead/m", "not_allowed")] == [(drop["target"], drop["code"]) for drop in editor["dropped"]]
    assert editor["candidates"] == sent["candidates"]
    assert (400, "not_allowed") == (closed.status_code, closed.json()["error"]["code"])
    assert "'editor' would be refused (403): this key may not use 'closed'" in closed.json()["error"]["message"]
    assert [404, 404] == [unknown.status_code, gone.status_code]
    assert "no valid client key of 'editr'. Did you mean 'editor'?" in unknown.json()["error"]["message"]
    assert (["dead/m", "echo/echo"], ["echo/echo"]) == (weekly["candidates"], other["candidates"])


def test_a_dry_run(serve: Serve) -> None:
    """Of a name, or of a whole request: on what this process knows now, and nobody is asked."""
    with serve(**DOWN) as client:
        fresh = client.get("/admin/explain?model=smart").json()
        for _ in range(6):
            client.post("/v1/chat/completions", json=CHAT)
        asked = len(client.get("/admin/decisions").json()["decisions"])
        later = client.get("/admin/explain?model=smart").json()
        whole = client.post("/admin/explain", json={**CHAT, "routing": {"ignore": ["dead"]}}).json()
        unknown = client.get("/admin/explain?model=smrt")
        bad = client.post("/admin/explain", json={"model": "smart"})
        still = len(client.get("/admin/decisions").json()["decisions"])

    assert ["dead/m", "echo/echo"] == fresh["decision"]["candidates"]
    assert "dead/m would be asked first; if that fails, echo/echo." in fresh["explained"]
    assert [("dead/m", "rest")] == [(drop["target"], drop["code"]) for drop in later["decision"]["dropped"]]
    assert ["echo/echo"] == whole["decision"]["candidates"]
    assert {"ignore": ["dead"]} == whole["decision"]["routing"]
    assert (404, 400) == (unknown.status_code, bad.status_code)
    assert (6, 6) == (asked, still)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "000000001" + "9" * 30, "9" * 5000])
def test_a_limit_that_is_none(http: httpx2.Client, limit: str) -> None:
    """Is refused, however it is written."""
    assert 400 == http.get("/admin/decisions", params={"limit": limit}).status_code


def test_what_cost_nothing_is_written_as_money(serve: Serve) -> None:
    """An answer that was kept cost 0, and that is no power of ten."""
    with serve(guards=[{"use": "cache"}]) as client:
        for _ in range(2):
            client.post("/v1/chat/completions", json={**CHAT, "model": "echo/echo"})
        newest = client.get("/admin/decisions").json()["decisions"][0]

    assert {"usd": "0.000000000000", "source": "priced"} == newest["cost"]
