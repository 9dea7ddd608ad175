"""E. Clients that mean harm: what they send is refused early and cheaply, in our words, and changes nothing.

Each docstring is a line of docs/explanation/faults.md. Row 58 with 20,000 cases is `nox -s fuzz`; row 63 with eight
processes over one Redis is in plugins/aigateway-redis/tests/test_redis_limits.py, and for minutes `nox -s limits`.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import httpx2
import pytest
from benchmarks.fuzz import Fuzz

from aigateway import Gateway, Settings
from aigateway.asgi import create_app
from aigateway.callers import Grant, Visit, admit, domain_of, networks
from aigateway.cli._server import Server
from aigateway.errors import Forbidden, UnknownModel
from aigateway.routing import Names, Rules
from aigateway.testing.sandbox import Sandbox
from aigateway.types import Caller, ModelInfo, Routing, Target

from ..asgi.test_client_keys import Serve, World, static
from .elsewhere import FIELDS, SURFACES, connections, placed
from .hostile import AUTH, CHAT, HEAD, Answer, Served, attacked, read_all


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run a gateway for all rows but the first."""
    with attacked(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest.fixture
def served(process: Served) -> Iterator[Served]:
    """Give it, and hold the test to little CPU for each request, and to no memory."""
    with process.cheaply():
        yield process


# -- row 51: slow ones ------------------------------------------------------------------------

# `aigateway serve`, whose patience ends after seconds that a test can wait for.
HASTY = """
import sys
from aigateway.cli import run
from aigateway.cli._connection import Bounded, Patience
Bounded.patience = Patience(head_within=float(sys.argv[1]), body_within=float(sys.argv[1]))
sys.exit(run(sys.argv[2:]))
"""
PATIENCE = 8.0
SLOW, SAMPLES = 500, 100


@pytest.mark.alone("it compares times")
def test_row_51_slow_senders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """500 connections whose heads and bodies trickle → others are served, their p99 at most doubled; each slow one is
    refused with 408 and closed when its time is up
    """
    with attacked(tmp_path_factory.mktemp("slow"), ("-c", HASTY, str(PATIENCE))) as served:
        quiet = sorted(p99(served) for _ in range(5))[2]
        began = time.monotonic()
        slow = [served.connect() for _ in range(SLOW)]
        for number, client in enumerate(slow):
            client.sendall(f"{HEAD}{AUTH}content-length: 9999\r\n".encode()[: None if number % 2 else 40])
            client.sendall(b"\r\n{" if number % 2 else b"")
        busy, took = [], 0.0
        while took < PATIENCE and (not busy or min(busy) > 2 * quiet):  # the machine may be busy with something else
            busy.append(slower(served, slow))
            took = time.monotonic() - began
        answers = [closed(client) for client in slow]

    assert took < PATIENCE  # they all were there
    assert min(busy) <= 2 * quiet
    assert {(408, "request_timeout")} == {(answer.status, answer.error()["code"]) for answer in answers}


def p99(served: Served) -> float:
    """Give the second longest of a hundred times, in seconds, that a request takes."""
    client, took = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30), []
    name, _, value = AUTH.strip().partition(": ")
    for _ in range(SAMPLES):
        began = time.perf_counter()
        client.request("POST", "/v1/chat/completions", CHAT, {name: value})
        reply = client.getresponse()
        reply.read()
        took.append(time.perf_counter() - began)
        assert 200 == reply.status
    client.close()
    return sorted(took)[-2]


def slower(served: Served, slow: Sequence[socket.socket]) -> float:
    """Give the same while one byte more comes from each slow one."""
    for client in slow:
        with suppress(OSError):
            client.sendall(b"x")
    return p99(served)


def closed(client: socket.socket) -> Answer:
    """Wait until it is."""
    with client:
        return Answer.parse(read_all(client))


# -- row 52: bodies ---------------------------------------------------------------------------

ELEVEN = 11 * 1024 * 1024
CAP = 16 * 1024  # KiB: ten mebibytes, and what comes with them


def test_row_52_eleven_mebibytes_with_a_length(served: Served) -> None:
    """a body of 11 MiB that says so → 413 on its head alone, also for a client that asks whether to go on"""
    for more in ("", "expect: 100-continue\r\n"):
        answer = served.send(f"{HEAD}{AUTH}{more}content-length: {ELEVEN}\r\n\r\n")

        assert 413 == answer.status
        assert "body_too_large" == answer.error()["code"]
        assert b" 100 " not in answer.read


def test_row_52_eleven_mebibytes_without_a_length(served: Served) -> None:
    """a body of 11 MiB in chunks, without a length → 413 or a closed connection at 10 MiB; no more is held"""
    piece = b"x" * 65536
    chunks = b"%x\r\n%s\r\n" % (len(piece), piece)
    with served.cheaply(CAP):
        answer = served.send(f"{HEAD}{AUTH}transfer-encoding: chunked\r\n\r\n", *[chunks] * 176, b"0\r\n\r\n")

    assert answer.status in {0, 413}  # a client that goes on sending may lose the answer with the connection
    assert b"200 OK" not in answer.read


def test_row_52_a_large_body_without_a_key(served: Served) -> None:
    """a body of 11 MiB without a key → 401 before anything of it is read"""
    assert 401 == served.send(f"{HEAD}content-length: {ELEVEN}\r\n\r\n").status


@pytest.mark.parametrize(
    "length",
    ["9" * 30, "9" * 5000, "-1", "+5", "0x10", "5, 5", "5,6", "", " ", "5 5", "1e3", "\xb2", "5\r\ncontent-length: 6"],
    ids=lambda length: f"{length[:12]!r} {len(length)}",
)
def test_row_52_lengths_that_are_none(served: Served, length: str) -> None:
    """a length that is none, or two → 400, 413, 431 or a closed connection, never an answer"""
    answer = served.send(f"{HEAD}{AUTH}content-length: {length}\r\n\r\n{CHAT}")

    assert answer.status in {0, 400, 413, 431}, answer.read
    assert b"200 OK" not in answer.read


@pytest.mark.parametrize(
    "chunks",
    ["zz\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n", "f" * 20 + "\r\nhello\r\n", "5\r\nhelloworld\r\n0\r\n\r\n"],
    ids=["not hex", "negative", "endless", "too long"],
)
def test_row_52_chunks_that_are_none(served: Served, chunks: str) -> None:
    """chunks that do not add up → 400 or a closed connection"""
    answer = served.send(f"{HEAD}{AUTH}transfer-encoding: chunked\r\n\r\n{chunks}")

    assert answer.status in {0, 400}, answer.read


def test_row_52_less_than_was_said(served: Served) -> None:
    """less than the length says → 400 or a closed connection: half a request is none"""
    answer = served.send(f"{HEAD}{AUTH}content-length: {len(CHAT) + 1}\r\n\r\n{CHAT}")

    assert answer.status in {0, 400}, answer.read


def test_row_52_more_than_was_said(served: Served) -> None:
    """more than the length says → the rest is no part of the body, nor a second request with the first one's key"""
    head = HEAD.replace("connection: close", "connection: keep-alive")
    smuggled = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answer = served.send(f"{head}{AUTH}content-length: {len(CHAT)}\r\n\r\n{CHAT}{smuggled}")

    assert 200 == answer.status
    assert 1 == answer.read.count(b" 200 OK")
    assert b'"object":"list"' not in answer.read


# -- row 54: what is packed --------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity, gzip", "gzip, gzip", "deflate", "br", "zstd"])
def test_row_54_gzip_bomb(served: Served, coding: str) -> None:
    """a mebibyte that unpacks to a gibibyte → 415, also before a byte of it came: nothing is unpacked"""
    head = f"{AUTH}content-encoding: {coding}\r\n"
    for answer in (served.chat(BOMB, head), served.send(f"{HEAD}{head}content-length: {len(BOMB)}\r\n\r\n")):
        assert 415 == answer.status
        assert "encoding" == answer.error()["code"]


BOMB = gzip.compress(b"\0" * 1024 * 1024) * 1024


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, gzip", "identity"])
def test_row_54_a_bomb_in_the_transfer(served: Served, coding: str) -> None:
    """the same as a coding of the transfer → 400, 501 or a closed connection"""
    answer = served.send(f"{HEAD}{AUTH}transfer-encoding: {coding}\r\n\r\n", BOMB[:4096])

    assert answer.status in {0, 400, 501}, answer.read


# -- row 55: requests in disguise ---------------------------------------------------------------

SECOND = f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{AUTH}\r\n"
OPEN = HEAD.replace("connection: close\r\n", "") + AUTH
CHUNKED = f"0\r\n\r\n{SECOND}"
DISGUISED = (
    f"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKED}",
    f"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n{CHUNKED}",
    f"content-length: {len(CHUNKED)}\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKED}",
    f"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!{SECOND}",
    f"transfer-encoding: chunked, identity\r\n\r\n{CHUNKED}",
    f"transfer-encoding: xchunked\r\n\r\n{CHUNKED}",
    f"transfer-encoding: \x0bchunked\r\ncontent-length: 5\r\n\r\n{CHUNKED}",
    f"transfer-encoding : chunked\r\n\r\n{CHUNKED}",
    f"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n{CHUNKED}",
    f"x: y\r\n transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n{CHUNKED}",
    f"content-length : 5\r\n\r\nhello{SECOND}",
    f"content-length: -1\r\n\r\n{SECOND}",
    "content-length: 0x5\r\n\r\nhello",
    "x-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
    "x-folded: a\r\n\tb\r\ncontent-length: 0\r\n\r\n",
    "x-nul: a\x00b\r\n\r\n",
    "x-nul\x00: ab\r\n\r\n",
    "x-\xc3\xa4: a\r\n\r\n",
    "x name: a\r\n\r\n",
    ": a\r\n\r\n",
    "x\r\n\r\n",
)


@pytest.mark.parametrize("rest", DISGUISED, ids=lambda rest: repr(rest[:60]))
def test_row_55_two_in_one(served: Served, rest: str) -> None:
    """a length beside chunks, folded lines, NUL, names that are not ASCII → 400 or closed, never two requests"""
    answer = served.send(OPEN, rest)

    assert answer.status in {0, 400, 501}, answer.read
    assert answer.heads <= 1
    assert b'"object":"list"' not in answer.read


@pytest.mark.parametrize(
    "line",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT vendor.example:443 HTTP/1.1\r\nhost: vendor.example\r\n\r\n",
        b"GET /v1/models\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"\r\n\r\n\r\n\x00",
    ],
)
def test_row_55_another_protocol(served: Served, line: bytes) -> None:
    """TLS, HTTP/2 or a proxy's CONNECT on the port → 400, 401 without a key, or a closed connection"""
    answer = served.send(line)

    assert answer.status in {0, 400, 401, 404, 405, 501}, answer.read
    assert answer.heads <= 1


# -- row 57: ways around -----------------------------------------------------------------------

WAYS = (
    "//v1/models", "/v1//models", "/v1/models/", "/v1/models.", "/v1./models", "/v1/models;x=1", "/v1;x=1/models",
    "/./v1/models", "/v1/./models", "/ping/../v1/models", "/ping/%2e%2e/v1/models", "/ping/..%2fv1/models",
    "/ping/..;/v1/models", "/%2fv1/models", "/v1/models%00", "/v1/models%20", "/V1/MODELS",
    "/v1\\models", "/v1/v1/models", "/openai/openai/v1/models", "/openai/models", "/v1/models%3f", "/v1/models%23",
    "/admin//keys", "/admin/./keys", "/ping;/admin/keys", "/health/../admin/keys", "/%61dmin/keys/",
    "http://localhost//v1/models", "http://elsewhere.example/ping/../v1/models", "v1/models", "*", "localhost:80",
)  # fmt: skip  # a table


@pytest.mark.parametrize("way", WAYS)
def test_row_57_no_way_around(served: Served, way: str) -> None:
    """`//v1/models`, dots at the end, `;` parameters, `..`, escapes → nobody's route, with a key and without"""
    for head in ("", AUTH):
        answer = served.send(f"GET {way} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\r\n")

        assert answer.status in ({400, 404, 405} if head else {400, 401, 404, 405}), answer.read
        assert b'"object":"list"' not in answer.read


@pytest.mark.parametrize(
    "target", ["http://localhost/v1/models", "http://elsewhere.example/v1/models", "/%76%31/models", "/v1%2fmodels"]
)
def test_row_57_other_spellings_of_a_route(served: Served, target: str) -> None:
    """a route in a spelling that HTTP says is the same → admitted the same: never without a key"""
    lines = f"GET {target} HTTP/1.1\r\nhost: ping\r\nx-original-url: /ping\r\nx-rewrite-url: /ping\r\n"
    answer = served.send(f"{lines}connection: close\r\n\r\n")

    assert answer.status in {400, 401, 404}, answer.read


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "GETX", "G" * 500]
)
def test_row_57_methods_nobody_knows(served: Served, method: str) -> None:
    """methods nobody knows → 405 with a key, 401 without, 400 for what is none; never an answer"""
    for head, allowed in (("", {400, 401}), (AUTH, {400, 405})):
        for path in ("/v1/models", "/v1/chat/completions"):
            answer = served.send(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\r\n")

            assert answer.status in allowed, answer.read


def test_row_57_a_method_in_a_header_is_none(served: Served) -> None:
    """a method, an address or a user in a header → not believed: 401"""
    said = "x-http-method-override: GET\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-user: editor\r\n"

    assert 401 == served.chat(CHAT, said).status


# -- row 58: JSON that is odd -------------------------------------------------------------------


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


ODD = {
    "deep in a field": '{"messages":[{"role":"user","content":"hi"}],"x":' + nested(100_000) + "}",
    "deep objects": '{"messages":[{"role":"user","content":"hi"}],"x":' + nested(100_000, '{"a":', "}") + "}",
    "deep without an end": '{"messages":' + "[" * 300_000,
    "ten thousand digits": CHAT[:-1] + ',"max_tokens":' + "9" * 10_000 + "}",
    "ten thousand places": CHAT[:-1] + ',"temperature":3.' + "1" * 10_000 + "}",
    "a large exponent": CHAT[:-1] + ',"temperature":1e999999999}',
    "NaN": CHAT[:-1] + ',"temperature":NaN}',
    "Infinity": CHAT[:-1] + ',"seed":-Infinity}',
    "4,097 messages": '{"messages":[' + ",".join(['{"role":"user","content":"hi"}'] * 4097) + "]}",
    "n = 17": CHAT[:-1] + ',"n":17}',
    "n is huge": CHAT[:-1] + ',"n":' + "1" + "0" * 400 + "}",
    "half a pair": '{"messages":[{"role":"user","content":"\\ud800"}]}',
    "half a pair as a name": CHAT[:-1] + ',"\\udc00":1}',
    "half a pair as bytes": b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
    "too many bytes for a letter": b'{"messages":[{"role":"user","content":"\xc0\xaf"}]}',
    "UTF-16": CHAT.encode("utf-16"),
    "UTF-32": CHAT.encode("utf-32"),
    "a mark before it": b"\xef\xbb\xbf" + CHAT.encode() + b"x",
    "two of them": CHAT + CHAT,
    "a comment": CHAT[:-1] + ',/* "n":1 */"n":1}',
    "one quote": CHAT.replace('"', "'"),
    "NUL": b"\0" + CHAT.encode(),
    "a line in a text": '{"messages":[{"role":"user","content":"a\nb"}]}',
    "a long model": CHAT[:-1] + ',"model":"' + "a" * 100 * 1024 + '"}',
    "a thousand stops": CHAT[:-1] + ',"stop":' + json.dumps([7] * 1000) + "}",
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_row_58_json_that_is_odd(served: Served, body: str | bytes) -> None:
    """JSON that is nested, huge, cut, doubled, or in another writing → 400 that says so, briefly"""
    answer = served.chat(body)

    assert 400 == answer.status, answer.read[:500]
    assert "invalid_request_error" == answer.error()["type"]
    assert len(answer.body) < 2000


TOO_MUCH = {
    "a million messages": '{"messages":[' + ",".join(["{}"] * 1_000_000) + "]}",
    "lists": CHAT[:-1] + ',"x":[' + ",".join(["[]"] * 3_400_000) + "]}",
    "fields": CHAT[:-1] + ',"x":{' + ",".join(f'"{n:x}":0' for n in range(800_000)) + "}}",
    "depth": '{"messages":' + "[" * 10_000_000,
}


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
def test_row_58_json_that_is_too_much(served: Served, body: str) -> None:
    """more lists, objects and fields than any prompt has → 413 by counting them, unread"""
    answer = served.chat(body)

    assert (413, "body_too_large") == (answer.status, answer.error()["code"])


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("odd", ["deep in a field", "half a pair", "ten thousand digits", "UTF-16"])
def test_row_58_odd_json_in_the_other_dialect(served: Served, path: str, odd: str) -> None:
    """the same at Anthropic's routes → 400 in Anthropic's envelope"""
    answer = served.chat(ODD[odd], path=path)
    said = json.loads(answer.body)

    assert 400 == answer.status
    assert ("error", "invalid_request_error") == (said["type"], said["error"]["type"])
    assert answer.headers["x-request-id"] == said["request_id"]


WRONG: Sequence[Any] = (1, 1.5, True, {}, {"a": 1}, [1], [None], [[]])
ROLES: Sequence[Any] = (*WRONG, None, [], "", "wizard", ["user"])
TOLD = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/inference/complete": {"prompt": "hi"},
    "/chat/json": {"prompt": "hi"},
}


@pytest.mark.parametrize("path", TOLD)
def test_row_58_roles_and_contents(served: Served, path: str) -> None:
    """roles and contents of another type, at every route of words → 400 in the route's envelope"""
    good = json.dumps(TOLD[path])
    wrong = [good.replace('"hi"', json.dumps(said)) for said in WRONG]
    wrong += [good.replace('"user"', json.dumps(role)) for role in ROLES if '"user"' in good]

    assert 200 == served.chat(good, path=path).status
    for body in wrong:
        answer = served.chat(body, path=path)
        error = json.loads(answer.body)
        assert (400, "invalid_request_error") == (answer.status, error["error"]["type"]), body
        assert ("error" if "/messages" in path else None) == error.get("type")


def test_row_58_schemathesis(figure: Callable[[str], None]) -> None:
    """what Schemathesis makes of our own description of the routes → below 500, in the route's envelope, with the id"""
    findings = Fuzz().run(0, step=6)
    figure(f"schemathesis: {findings}")

    assert {} == findings.wrong
    assert 300 <= findings.cases
    assert {200, 400, 404, 405} <= findings.statuses.keys()


def test_row_58_a_name_twice_means_one_thing(served: Served) -> None:
    """one name twice in an object → the last one counts, for the check as for the answer"""
    good, bad = '"messages":[{"role":"user","content":"second"}]', '"messages":"first"'

    assert 400 == served.chat(f"{{{good},{bad}}}").status
    assert b"second" in served.chat(f"{{{bad},{good}}}").body
    assert 400 == served.chat(CHAT[:-1] + ',"n":1,"n":17}').status


# -- row 59: the log ---------------------------------------------------------------------------

NASTY = 'x"\r\n{"time":0,"status":200}\r\n\x1b[31m\x1b]0;t\x07\x7f\x9b\u2028\u2029\u202e\0y'


@pytest.mark.parametrize("where", ["model", "user", "metadata", "tool"])
def test_row_59_lines_in_a_body(served: Served, where: str) -> None:
    """CR, LF and ANSI escapes in model, user, metadata, tools → one JSON line of printable ASCII in each log"""
    fields: dict[str, Any] = {where: {NASTY: NASTY} if where == "metadata" else NASTY}
    if where == "tool":
        fields = {"tools": [{"type": "function", "function": {"name": NASTY}}]}
    answer = served.chat(json.dumps({**json.loads(CHAT), **fields}))
    access, call = both(served, answer)

    assert 200 == answer.status
    assert ("editor", 200) == (access["caller"], access["status"])
    assert (NASTY if where == "model" else "") == call["asked"]


@pytest.mark.parametrize("name", ["user-agent", "x-request-id", "authorization", "x-api-key", "referer", "cookie"])
@pytest.mark.parametrize(
    "value", ["\x1b[31mred", "a\rb", "a\x00b", "\x7f", "\xff\x9b31m", 'a","status":999,"b":"'], ids=repr
)
def test_row_59_signs_in_a_header(served: Served, name: str, value: str) -> None:
    """the same in user agent, key, request id, referer, cookie → 400, or one such line; not sent back"""
    kept = "" if name == "authorization" or name == "x-api-key" else AUTH
    answer = served.chat(CHAT, f"{kept}{name}: {value}\r\n")
    if answer.status == 400:  # not let through
        assert "\x1b" not in answer.body.decode("latin-1")
        return
    lines = served.lines(answer.headers["x-request-id"], 2 if answer.status == 200 else 1)

    assert answer.status in {200, 401}
    assert value not in answer.headers.values()
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/a%0d%0ab", "/%1b[31m", "/%22%7d%0a%7b", "/%e2%80%a8", "/%ff%9b"])
def test_row_59_lines_in_a_path(served: Served, path: str) -> None:
    """the same in a path → 404 whose message is printable, and one such line"""
    answer = served.send(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    (line,) = served.lines(answer.headers["x-request-id"], 1)

    assert 404 == answer.status
    assert (404, True) == (json.loads(line)["status"], line.isascii() and line.isprintable())
    assert answer.error()["message"].isprintable()


def both(served: Served, answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the two lines of an answered request: of its access, and of its call."""
    lines = served.lines(answer.headers["x-request-id"], 2)
    assert [True, True] == [line.isascii() and line.isprintable() for line in lines]
    found = [json.loads(line) for line in lines]
    (access,), (call,) = [each for each in found if "path" in each], [each for each in found if "asked" in each]
    return access, call


# -- row 60: patterns ---------------------------------------------------------------------------

KIBIBYTES = 100 * 1024
PATTERNS = {
    "stars": "a*" * (KIBIBYTES // 2),
    "only stars": "*" * KIBIBYTES,
    "one star": "a" * KIBIBYTES + "*",
    "questions": "?" * KIBIBYTES,
    "groups": "(a+)+" * (KIBIBYTES // 5),
    "brackets": "[" * KIBIBYTES,
    "letters": "x" * KIBIBYTES,
    "slashes": "/" * KIBIBYTES,
    "nearly a vendor": "gpt" * (KIBIBYTES // 3),
    "a pin": "groq/" + "y" * KIBIBYTES,
    "NUL": "\x00" * KIBIBYTES,
    "suffixes": "a" + ":floor" * (KIBIBYTES // 6),
    "dots": "." * KIBIBYTES,
    "colons": ":" * KIBIBYTES,
    "umlauts": "ü" * (KIBIBYTES // 2),
    "labels": "ü." * (KIBIBYTES // 3),
    "punycode": "xn--" * (KIBIBYTES // 4),
    "accents": "\u0301" * (KIBIBYTES // 2),
}


def quickest(act: Callable[[], object]) -> float:
    """Give the seconds of CPU it takes when nothing is in its way."""
    found = []
    for _ in range(5):
        began = time.thread_time()
        act()
        found.append(time.thread_time() - began)
    return min(found)


@pytest.mark.parametrize("text", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("rules", [Rules(), Rules("smart", "default")], ids=["refused", "default"])
def test_row_60_names_of_models(rules: Rules, text: str) -> None:
    """100 KiB as a model's name, made for regular expressions and globs → found or refused within 10 ms, briefly"""
    models = {name: {f"{name}-{n}": ModelInfo(f"{name}-{n}", name) for n in range(500)} for name in ("groq", "openai")}
    names = Names({"smart": (Target("groq", "groq-1"),), "a*" * 50: (Target("groq", "groq-2"),)}, models, rules)

    def resolve() -> None:
        try:
            names.resolve(text, Routing(), today=date(2026, 11, 1))
        except UnknownModel as error:
            assert len(error.message) < 1000

    assert quickest(resolve) < 0.01


@pytest.mark.parametrize("text", PATTERNS.values(), ids=PATTERNS)
def test_row_60_allow_lists(text: str) -> None:
    """100 KiB in an allow-list of models, or as what is compared with one → within 10 ms; a star counts at the end"""
    caller = Caller("x", models=(*PATTERNS.values(), "smart"))
    grant = Grant(caller, networks=networks(["10.0.0.0/8"]), domains=("*.example.com",))

    def enter(visit: Visit) -> None:
        with suppress(Forbidden):
            admit(grant, visit)
            raise AssertionError("it was let in")

    assert Caller("x", models=(text,)).may_use(text[:-1] + "b") is text.endswith("*")
    assert Caller("x", models=(text,)).may_use(text)
    assert quickest(lambda: caller.may_use(text[:-1] + "b", "b", "(a+)+" * 9)) < 0.01
    assert quickest(lambda: enter(Visit(0.0, text))) < 0.01
    assert quickest(lambda: enter(Visit(0.0, "10.0.0.1", domain_of(text)))) < 0.01


@pytest.mark.parametrize("path", [*TOLD, "/v1/embeddings", "/v1/images/generations", "/v1/chat/completions/stream"])
def test_row_60_names_that_are_sent(served: Served, path: str) -> None:
    """the same as the model of a request, at every route → 400 that says which field"""
    fields = TOLD.get(path) or {**TOLD["/v1/chat/completions"], "input": "hi", "prompt": "hi"}
    for text in PATTERNS.values():
        answer = served.chat(json.dumps({**fields, "model": text}), path=path)
        assert 400 == answer.status, answer.read[:500]
        assert b"'model'" in answer.body
        assert len(answer.body) < 2000


# -- row 61: elsewhere --------------------------------------------------------------------------

PATIENT = {"connect": 20.0, "first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 60.0}
NAMED = ("x-base-url", "x-api-base", "x-portkey-custom-host", "host", "x-forwarded-host")


@pytest.fixture
def canary() -> Iterator[int]:
    """Listen where nobody should come; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def of_client(gateway: Gateway) -> httpx2.AsyncClient:
    """Make a client of the application in this process: its own connections are none."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(gateway)), base_url="http://localhost")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what the server runs on; it connects where the hook sees it
@pytest.mark.parametrize("name", FIELDS)
async def test_row_61_no_field_leads_elsewhere(
    configure: Callable[..., Settings], standins: Sandbox, canary: int, name: str
) -> None:
    """`api_base`, `base_url`, `user_config`, `extra_headers`, `proxies` and the like, at any depth, at every route, in
    a form, a query or a header → 400, or so much data; no connection but to the hosts that are configured
    """
    url = f"http://127.0.0.1:{canary}/v1"
    ours = {int(vendor.url.split(":")[2].partition("/")[0]) for vendor in standins.vendors.values()}
    evil = {"authorization": "Bearer evil", "host": "evil.example", "url": url, "base_url": "http://evil.example/v1"}
    async with Gateway(configure(timeouts=PATIENT), seed=1) as gateway, of_client(gateway) as client:
        with connections() as seen:
            for path in SURFACES:
                bodies = [*placed(path, name, url)]
                others = [*placed(path, name, {**evil, "http": url})]
                sent = [*bodies, *others] if path == "/v1/chat/completions" else [*bodies[::2], *others[1::2]]
                replies = [await client.post(path, json=body) for body in sent]
                assert 200 == replies[0].status_code, (path, replies[0].text)
                assert not [reply.text for reply in replies if reply.status_code >= 500]
                assert {200, 400} <= {reply.status_code for reply in replies}
                first = {"params": {name: url}, "headers": dict.fromkeys(NAMED, f"127.0.0.1:{canary}")}
                assert 500 > (await client.post(path, json=bodies[0], **first)).status_code
            form = {"prompt": "hi", name: url}
            assert (await client.post("/chat", data=form)).status_code in {200, 400}
    asked = [request for vendor in standins.vendors.values() for request in vendor.requests]

    assert {("127.0.0.1", port) for port in ours} == set(seen)
    assert canary not in ours
    assert asked
    assert not [request for request in asked if "evil" in str(dict(request.headers)) or url in str(request.path)]


# -- row 62: addresses ----------------------------------------------------------------------------

TEN = {"use": "rate_limit", "requests_per_minute": 10, "burst": 1, "per": "address"}
ONE = "static-key-0123456789"
SPOOFED = [
    {"x-forwarded-for": "198.51.100.7"},
    {"x-forwarded-for": "10.0.0.1, 10.0.0.2"},
    {"x-real-ip": "198.51.100.7"},
    {"forwarded": "for=198.51.100.7;proto=https"},
    {"x-client-ip": "198.51.100.7", "cf-connecting-ip": "198.51.100.7", "true-client-ip": "198.51.100.7"},
    {"x-forwarded-for": "127.0.0.1"},
]


def asked(client: httpx2.Client, headers: Mapping[str, str]) -> int:
    return client.post("/v1/chat/completions", content=CHAT, headers={"x-api-key": ONE, **headers}).status_code


def test_row_62_spoofed_addresses_fool_no_limit(serve: Serve) -> None:
    """`X-Forwarded-For`, `X-Real-IP`, `Forwarded` with another address each time → the connection's is limited"""
    with serve(callers={"keys": [static()]}, guards=[TEN]) as client:
        statuses = [asked(client, headers) for headers in ({}, *SPOOFED)]

    assert [200] + [429] * len(SPOOFED) == statuses


def test_row_62_spoofed_addresses_fool_no_allow_list(serve: Serve) -> None:
    """the same with an address a key is bound to → 403: the connection's is compared"""
    with serve(callers={"keys": [static(networks=["198.51.100.0/24", "10.0.0.0/8"])]}) as client:
        statuses = {asked(client, headers) for headers in SPOOFED}

    assert {403} == statuses


def test_row_62_serve_believes_no_forwarding_header() -> None:
    """the same from this machine, whose word uvicorn by itself takes → not taken"""
    gateway = Gateway.from_config({"providers": {"echo": {}}})
    server = Server(create_app(gateway), gateway.settings)

    assert not server.config.proxy_headers


def test_row_62_behind_a_proxy_only_its_own_word_counts(serve: Serve) -> None:
    """the same before our own proxy → what it wrote is limited, whatever the client wrote before it"""
    with serve(callers={"keys": [static()], "proxies": 1}, guards=[TEN]) as client:
        forwarded = ["192.0.2.1", "203.0.113.9, 192.0.2.1", "8.8.8.8, 1.1.1.1,192.0.2.1", "192.0.2.2"]
        statuses = [asked(client, {"x-forwarded-for": value, "x-real-ip": "8.8.8.8"}) for value in forwarded]

    assert [200, 429, 429, 200] == statuses


@pytest.mark.parametrize(
    ("proxies", "address", "lines", "status"),
    [
        # proxies, address of the peer, x-forwarded-for, status for a key bound to 10.0.0.0/8
        (0, "198.51.100.7", ["10.0.0.1"], 403),
        (0, "10.0.0.1", ["198.51.100.7"], 200),
        (1, "192.0.2.1", ["10.0.0.1"], 200),
        (1, "192.0.2.1", ["10.0.0.1, 198.51.100.7"], 403),
        (1, "192.0.2.1", ["198.51.100.7, 10.0.0.1"], 200),
        (1, "192.0.2.1", ["10.0.0.1", "198.51.100.7"], 403),
        (1, "10.0.0.1", [], 403),
        (1, "10.0.0.1", [""], 403),
        (2, "192.0.2.1", ["10.0.0.1, 192.0.2.2"], 200),
        (2, "192.0.2.1", ["10.0.0.1", "192.0.2.2"], 200),
        (2, "192.0.2.1", ["10.0.0.1, 198.51.100.7, 192.0.2.2"], 403),
        (2, "192.0.2.1", ["10.0.0.1"], 403),
        (1, "192.0.2.1", ["10.0.0.1, garbage"], 403),
        (1, "192.0.2.1", ["::ffff:10.0.0.1"], 200),
    ],
)
def test_row_62_behind_proxies_an_allow_list(proxies: int, address: str, lines: list[str], status: int) -> None:
    """the same before several proxies → as many addresses count from the end as there are proxies, no other"""
    world = World({"keys": [static(networks=["10.0.0.0/8"])], "proxies": proxies})
    headers = [("x-forwarded-for", line) for line in lines]
    spoofed = [("x-real-ip", "10.0.0.1"), ("forwarded", "for=10.0.0.1")]
    answer = world.ask(("x-api-key", ONE), *headers, *spoofed, address=address)

    assert status == answer.status


# -- row 63: too much -------------------------------------------------------------------------------


def test_row_63_a_flood() -> None:
    """1,000 a minute and 100 at once, eight workers that share nothing, a flood, a rest, a flood → at most 1,000 in
    any 60 s, and 100 at once each time
    """
    guard = {"use": "rate_limit", "requests_per_minute": 1000, "burst": 100}
    workers = [World({"keys": [static()]}, guards=[guard], server={"workers": 8}) for _ in range(8)]
    passed, tries = [], {0: 20, 80: 20}
    for second in (*range(65), *range(80, 85)):  # the burst is back after 7 s
        for world in workers:
            world.clock.at = 1e7 + second  # of a machine that runs for months
            tried = range(tries.get(second, 3))
            passed += [second for _ in tried if 200 == world.with_key(ONE).status]

    assert 100 <= min(passed.count(0), passed.count(80))
    assert 900 < max(sum(at <= other < at + 60 for other in passed) for at in set(passed)) <= 1000 * 1.01
