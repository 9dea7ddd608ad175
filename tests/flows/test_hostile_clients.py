"""Clients that mean harm: what they send is refused early and cheaply, in our words, and changes nothing."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import _wait_for as wait_for

KEY = "editor-key-0123456789-0123456789"
CONFIG = """
default_model = "smart"
unknown_models = "default"
[providers.echo]
[routes.smart]
targets = ["echo/echo"]
[[callers.keys]]
name = "editor"
secret = "env:EDITOR"
"""
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
AUTH = f"authorization: Bearer {KEY}\r\n"
CHAT = '{"messages":[{"role":"user","content":"hi"}]}'
QUICKLY = 0.1  # seconds of CPU a refusal may take
ROOM = 100 * 1024  # KiB the server may grow by while it refuses


class Answer(NamedTuple):
    """What came back: 0 for a connection that was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes
    read: bytes

    def error(self) -> dict[str, Any]:
        """Check OpenAI's envelope; give what is in it."""
        found: dict[str, Any] = json.loads(self.body)["error"]
        assert {"message", "type", "param", "code", "request_id"} <= found.keys()
        assert self.headers["x-request-id"] == found["request_id"]
        return found


class Served:
    """A served gateway in a process of its own, and what it has cost so far."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._port = port
        self._log = log
        self.asked = self.began = 0

    def send(self, *parts: str | bytes) -> Answer:
        """Send bytes as they are, then half-close; give the first answer. A server that stops reading is right to."""
        self.asked += 1
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as client:
            read = b""
            try:
                for part in parts:
                    client.sendall(part if isinstance(part, bytes) else part.encode("latin-1"))
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                while data := client.recv(65536):
                    read += data
            except ConnectionResetError:
                pass
        return parsed(read)

    def chat(self, body: str | bytes, head: str = AUTH) -> Answer:
        """Send a chat request with this body."""
        data = body if isinstance(body, bytes) else body.encode()
        return self.send(f"{HEAD}{head}content-length: {len(data)}\r\n\r\n", data)

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far: a busy machine does not change them."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak(self) -> int:
        """KiB it has ever held."""
        said = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+)", said)[0])

    def lines(self, request_id: str, count: int) -> list[str]:
        """Give the lines of the log that name a request, when there are so many."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [line for line in self._log.read_text(encoding="utf-8").split("\n") if request_id in line]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{request_id}: {self._log.read_text(encoding='utf-8')[-2000:]}")


def parsed(read: bytes) -> Answer:
    head, _, body = read.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1]) if read else 0
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return Answer(status, headers, body, read)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run `aigateway serve` with one client key and the echo provider."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    log = folder / "log"
    command = [sys.executable, "-m", "aigateway", "serve", "--config", "gateway.toml", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "EDITOR": KEY}
    with log.open("wb") as sink, subprocess.Popen(command, cwd=folder, env=environment, stderr=sink) as process:
        try:
            port = int(wait_for(process, log, r"at http://127\.0\.0\.1:(\d+)/v1")[1])
            found = Served(process, port, log)
            assert 200 == found.chat(CHAT).status
            found.began = found.peak
            yield found
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def cheap(served: Served) -> Iterator[None]:
    """Hold every row to its bounds: little CPU for each refusal, and no memory."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("the cost of a process is read from /proc")
    cpu, asked = served.cpu, served.asked
    yield
    assert served.cpu - cpu < QUICKLY * (served.asked - asked)
    assert served.peak - served.began < ROOM


# -- row 52: bodies ---------------------------------------------------------------------------

ELEVEN = 11 * 1024 * 1024


def test_eleven_mebibytes_are_refused_before_they_are_sent(served: Served) -> None:
    """A length over the cap is a 413 on the head alone, also to a client that asks whether to go on."""
    for more in ("", "expect: 100-continue\r\n"):
        answer = served.send(f"{HEAD}{AUTH}{more}content-length: {ELEVEN}\r\n\r\n")

        assert 413 == answer.status
        assert "body_too_large" == answer.error()["code"]
        assert b" 100 " not in answer.read


def test_eleven_mebibytes_without_a_length(served: Served) -> None:
    """In chunks it is refused as soon as it is too much, and never held."""
    piece = b"x" * 65536
    chunks = b"%x\r\n%s\r\n" % (len(piece), piece)
    answer = served.send(f"{HEAD}{AUTH}transfer-encoding: chunked\r\n\r\n", *[chunks] * 176, b"0\r\n\r\n")

    assert answer.status in {0, 413}  # a client that goes on sending may lose the answer with the connection
    assert b"200 OK" not in answer.read


def test_a_large_body_without_a_key(served: Served) -> None:
    """Who has no key is told so before anything is read."""
    assert 401 == served.send(f"{HEAD}content-length: {ELEVEN}\r\n\r\n").status


@pytest.mark.parametrize(
    "length",
    ["9" * 30, "9" * 5000, "-1", "+5", "0x10", "5, 5", "5,6", "", " ", "5 5", "1e3", "\xb2", "5\r\ncontent-length: 6"],
    ids=lambda length: f"{length[:12]!r} {len(length)}",
)
def test_lengths_that_are_none(served: Served, length: str) -> None:
    """What could be read as two lengths, or as none, is never an answered request."""
    answer = served.send(f"{HEAD}{AUTH}content-length: {length}\r\n\r\n{CHAT}")

    assert answer.status in {0, 400, 413, 431}, answer.read
    assert b"200 OK" not in answer.read


@pytest.mark.parametrize(
    "chunks",
    ["zz\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n", "f" * 20 + "\r\nhello\r\n", "5\r\nhelloworld\r\n0\r\n\r\n"],
    ids=["not hex", "negative", "endless", "too long"],
)
def test_chunks_that_are_none(served: Served, chunks: str) -> None:
    """Chunks that do not add up are a 400, or a closed connection."""
    answer = served.send(f"{HEAD}{AUTH}transfer-encoding: chunked\r\n\r\n{chunks}")

    assert answer.status in {0, 400}, answer.read


def test_less_than_was_said(served: Served) -> None:
    """A body that ends too early is no request; nothing is answered to half of one."""
    answer = served.send(f"{HEAD}{AUTH}content-length: {len(CHAT) + 1}\r\n\r\n{CHAT}")

    assert answer.status in {0, 400}, answer.read


def test_more_than_was_said(served: Served) -> None:
    """What stands after the body is not read as a part of it, and not as a second request with a key."""
    head = HEAD.replace("connection: close", "connection: keep-alive")
    smuggled = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answer = served.send(f"{head}{AUTH}content-length: {len(CHAT)}\r\n\r\n{CHAT}{smuggled}")

    assert 200 == answer.status
    assert 1 == answer.read.count(b" 200 OK")
    assert b'"object":"list"' not in answer.read


# -- row 54: what is packed --------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity, gzip", "gzip, gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_not_opened(served: Served, coding: str) -> None:
    """A mebibyte that unpacks to a gibibyte is a 415; nothing of it is unpacked."""
    answer = served.chat(BOMB, f"{AUTH}content-encoding: {coding}\r\n")

    assert 415 == answer.status
    assert "encoding" == answer.error()["code"]


BOMB = gzip.compress(b"\0" * 1024 * 1024) * 1024


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, gzip", "identity"])
def test_a_bomb_in_the_transfer(served: Served, coding: str) -> None:
    """Codings of the transfer other than chunks are not taken either."""
    answer = served.send(f"{HEAD}{AUTH}transfer-encoding: {coding}\r\n\r\n", BOMB[:4096])

    assert answer.status in {0, 400, 501}, answer.read


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
def test_no_way_around(served: Served, way: str) -> None:
    """What only looks like a route is nobody's, with a key and without."""
    for head in ("", AUTH):
        answer = served.send(f"GET {way} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\r\n")

        assert answer.status in {400, 401, 404, 405}, answer.read
        assert b'"object":"list"' not in answer.read


@pytest.mark.parametrize(
    "target", ["http://localhost/v1/models", "http://elsewhere.example/v1/models", "/%76%31/models", "/v1%2fmodels"]
)
def test_other_spellings_of_a_route(served: Served, target: str) -> None:
    """What HTTP says is the same route is admitted the same: not without a key, whatever host it names."""
    lines = f"GET {target} HTTP/1.1\r\nhost: ping\r\nx-original-url: /ping\r\nx-rewrite-url: /ping\r\n"
    answer = served.send(f"{lines}connection: close\r\n\r\n")

    assert answer.status in {400, 401, 404}, answer.read


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "GETX", "G" * 500]
)
def test_methods_nobody_knows(served: Served, method: str) -> None:
    """Another method is a 405 for who has a key, a 401 for who has none, or no request at all; never an answer."""
    for head, allowed in (("", {400, 401}), (AUTH, {400, 405})):
        for path in ("/v1/models", "/v1/chat/completions"):
            answer = served.send(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\r\n")

            assert answer.status in allowed, answer.read


def test_a_method_in_a_header_is_none(served: Served) -> None:
    """Nobody overrides a method, a path or a caller in a header."""
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
def test_json_that_is_odd(served: Served, body: str | bytes) -> None:
    """Nested, huge, cut, doubled, in another writing: a 400 that says so."""
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
def test_json_that_is_too_much(served: Served, body: str) -> None:
    """More lists, objects and fields than any prompt has are refused by counting, not by reading them."""
    answer = served.chat(body)

    assert (413, "body_too_large") == (answer.status, answer.error()["code"])


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("odd", ["deep in a field", "half a pair", "ten thousand digits", "UTF-16"])
def test_odd_json_in_the_other_dialect(served: Served, path: str, odd: str) -> None:
    """Anthropic's routes say it in Anthropic's envelope."""
    body = ODD[odd] if isinstance(ODD[odd], bytes) else ODD[odd].encode()  # type: ignore[union-attr]  # a table of both
    head = HEAD.replace("/v1/chat/completions", path)
    answer = served.send(f"{head}{AUTH}content-length: {len(body)}\r\n\r\n", body)
    said = json.loads(answer.body)

    assert 400 == answer.status
    assert ("error", "invalid_request_error") == (said["type"], said["error"]["type"])
    assert answer.headers["x-request-id"] == said["request_id"]


def test_a_name_twice_means_one_thing(served: Served) -> None:
    """Of two equal names the last one counts, for the check as for the answer: nothing is smuggled past it."""
    good, bad = '"messages":[{"role":"user","content":"second"}]', '"messages":"first"'

    assert 400 == served.chat(f"{{{good},{bad}}}").status
    assert b"second" in served.chat(f"{{{bad},{good}}}").body
    assert 400 == served.chat(CHAT[:-1] + ',"n":1,"n":17}').status


# -- row 59: the log ---------------------------------------------------------------------------

NASTY = 'x"\r\n{"time":0,"status":200}\r\n\x1b[31m\x1b]0;t\x07\x7f\x9b\u2028\u2029\u202e\0y'


@pytest.mark.parametrize("where", ["model", "user", "metadata", "tool"])
def test_lines_in_a_body_are_one_line_in_the_log(served: Served, where: str) -> None:
    """Whatever stands in a body: one line in each of the two logs, JSON, of printable ASCII."""
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
def test_signs_in_a_header_are_one_line_in_the_log(served: Served, name: str, value: str) -> None:
    """A server that lets them through logs them as it logs anything: one line, of printable ASCII."""
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
def test_lines_in_a_path_are_one_line_in_the_log(served: Served, path: str) -> None:
    """Neither does a path break the line, nor the message that quotes it."""
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
