"""`aigateway explain`: a fresh gateway's view, a state file's, a running server's; of a name or of a whole request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from aigateway.types import Decision

Invoke = Callable[..., Any]
TWO = """
[providers.one]
type = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
keys = [{ secret = "one-key-0123456789", allow_literal = true }]
[providers.echo]
[routes.smart]
targets = ["one/m", "echo/echo"]
[state]
url = "file:state.json"
"""
REQUEST = {"messages": [{"role": "user", "content": "the words of the caller"}], "routing": {"ignore": ["one"]}}

MESSAGES = {"messages": REQUEST["messages"]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "aigateway.toml").write_text(TWO)
    return tmp_path


def test_where_a_name_would_go(invoke: Invoke, config: Path) -> None:
    """In sentences, or as the record; nobody is asked."""
    told = invoke("explain", "smart")
    record = invoke("explain", "smart", "--json")
    decision = Decision.from_json(record.out)

    assert (0, 0) == (told.code, record.code)
    assert told.out.startswith("'smart' is the route 'smart'. one/m would be asked first; if that fails, echo/echo.\n")
    assert "This was a dry run: nobody was asked." in told.out
    assert (("one/m", "echo/echo"), "dry") == (decision.candidates, decision.ended.state)


def test_what_rests_is_remembered(invoke: Invoke, config: Path) -> None:
    """What an earlier process wrote into the state file counts."""
    rest = {"name": ["model", "one", "m"], "until": time.time() + 600, "state": "cooldown", "kind": "rate_limit"}
    (config / "state.json").write_text(json.dumps({"version": 1, "rests": [{**rest, "times": 1, "proofs": 0}]}))
    (config / "state.json").chmod(0o600)
    told = invoke("explain", "smart")

    assert told.out.startswith("'smart' is the route 'smart'. echo/echo would be asked first.\n")
    assert "one/m would not be asked: it rests for " in told.out


def test_where_a_request_would_go(invoke: Invoke, config: Path) -> None:
    """Its routing, its size and its needs count; the model is the one that is named; it is not repeated."""
    (config / "request.json").write_text(json.dumps({**REQUEST, "model": "other"}))
    file = invoke("explain", "smart", "--request", "request.json", "--json")
    piped = invoke("explain", "smart", "--request", "-", "--json", stdin=json.dumps(REQUEST))

    assert ["echo/echo"] == json.loads(file.out)["candidates"]
    assert json.loads(file.out)["candidates"] == json.loads(piped.out)["candidates"]
    assert "smart" == json.loads(file.out)["asked"]
    assert "the words of the caller" not in file.out


def test_where_a_caller_would_be_sent(invoke: Invoke, config: Path) -> None:
    """By the list of its key: one that is written down, or one that is kept in a file."""
    (config / "aigateway.toml").write_text(
        TWO + '[callers]\nstore = "file:keys.json"\nroots = ["env:ROOT"]\n[[callers.keys]]\nname = "editor"\n'
        'secret = "editor-key-0123456"\nallow_literal = true\nmodels = ["echo/*"]\n'
    )
    env = {"ROOT": "0123456789abcdefghijklmnopqrstuv"}
    made = invoke("callers", "new", "phone", "--model", "one/*", env=env)
    editor = invoke("explain", "smart", "--caller", "editor", "--json", env=env)
    phone = invoke("explain", "smart", "--caller", "phone", "--request", "-", env=env, stdin=json.dumps(MESSAGES))
    nobody = invoke("explain", "smart", "--caller", "phon", env=env)
    refused = invoke("explain", "echo/echo", "--caller", "phone", env=env)

    assert 0 == made.code
    assert ["echo/echo"] == json.loads(editor.out)["candidates"]
    assert "one/m would be asked first." in phone.out
    assert "This was a dry run for 'phone': nobody was asked." in phone.out
    assert (2, "error: there is no valid client key of 'phon'. Did you mean 'phone'?\n") == (nobody.code, nobody.err)
    assert (2, True) == (refused.code, "'phone' would be refused (403)" in refused.err)


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("smrt",), "", 2, "smart"),
        (("smart", "--request", "-"), "no JSON", 2, "is not JSON"),
        (("smart", "--request", "-"), "[]", 2, "must be a JSON object"),
        (("smart", "--request", "-"), '{"messages": []}', 2, "messages"),
        (("smart", "--request", "none.json"), "", 1, "No such file"),
        (("smart", "--url", "ftp://x"), "", 2, "--url must begin with"),
    ],
)
def test_what_cannot_be_explained(invoke: Invoke, config: Path, words: Any, stdin: str, code: int, said: str) -> None:
    """One line with what is wrong, and the exit code of its sort."""
    done = invoke("explain", *words, stdin=stdin)

    assert code == done.code
    assert said in done.err
    assert "" == done.out


class Server(BaseHTTPRequestHandler):
    """Answer as a gateway's operator routes do; note what is asked."""

    asked: list[tuple[str, str, str | None, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.asked.append((self.command, self.path, self.headers["authorization"], body))
        status = 404 if "unknown" in self.path else 200
        error = {"error": {"message": "there is no model 'unknown'. Did you mean 'smart'?"}}
        found = (
            error
            if status == 404
            else {"decision": {"version": 1, "asked": "smart"}, "explained": "It would go there."}
        )
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815  # the standard library's names

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    asked: list[Any] = []
    found = HTTPServer(("127.0.0.1", 0), type("Noting", (Server,), {"asked": asked}))
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", asked
    found.shutdown()
    thread.join()
    found.server_close()


def test_a_running_server_is_asked(invoke: Invoke, server: tuple[str, list[Any]]) -> None:
    """By its admin API, with the operator's key; a request goes along as it is; its refusals are told."""
    url, asked = server
    env = {"AI_GATEWAY_ADMIN_API_KEY": "admin-key-0123456789"}
    told = invoke("explain", "a b/c", "--url", url, env=env)
    record = invoke("explain", "smart", "--url", url, "--request", "-", "--json", env=env, stdin=json.dumps(REQUEST))
    unknown = invoke("explain", "unknown", "--url", url, env=env)
    invoke("explain", "smart", "--url", url, "--caller", "a&b c", env=env)
    invoke("explain", "smart", "--url", url, "--caller", "x", "--request", "-", env=env, stdin=json.dumps(REQUEST))

    assert "It would go there.\n" == told.out
    assert {"version": 1, "asked": "smart"} == json.loads(record.out)
    assert ("GET", "/admin/explain?model=a%20b%2Fc", "Bearer admin-key-0123456789", b"") == asked[0]
    assert ("POST", "/admin/explain", {**REQUEST, "model": "smart"}) == (*asked[1][:2], json.loads(asked[1][3]))
    assert ["/admin/explain?model=smart&caller=a%26b%20c", "/admin/explain?caller=x"] == [
        path for _, path, *_ in asked[3:]
    ]
    assert (1, True) == (unknown.code, unknown.err.endswith("Did you mean 'smart'?\n"))


def test_a_request_that_cannot_be_read(invoke: Invoke, config: Path) -> None:
    """By its name and why: not there, or no text."""
    (config / "odd.json").write_bytes(b"\xff")
    for name, why in (("none.json", "No such file"), ("odd.json", "not JSON"), (".", "Is a directory")):
        told = invoke("explain", "smart", "--request", name)

        assert told.code
        assert name in told.err
        assert why in told.err
