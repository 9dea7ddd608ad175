"""No key is printed, logged or sent back: not the vendors', not the clients', not when a vendor repeats it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

Run = Callable[..., Any]
Start = Callable[..., Any]

# One with a vendor's prefix and one that looks like nothing in particular.
VENDOR_KEYS = ["sk-proj-CANARY0vendor0000000000", "CANARY.plain/vendor+key=="]
CLIENT_KEY = "CANARY-client-000000000000"
MODES = ("400", "401", "403", "404", "429", "500", "inside", "event", "redirect", "page")


class Echoing(BaseHTTPRequestHandler):
    """A vendor that repeats the key wherever an error has room for a text."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        mode, said = self.path.split("/")[1], self.headers["authorization"]
        key = said.removeprefix("Bearer ")
        failure = json.dumps(
            {"error": {"message": f"no: {said} ({key})", "type": key, "code": key, "param": key, "key": key}}
        ).encode()
        piece = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "hello"}}]}
        match mode:
            case "inside":
                self.answer(200, "application/json", failure)
            case "event":
                events = b"data: " + json.dumps(piece).encode() + b"\n\ndata: " + failure + b"\n\n"
                self.answer(200, "text/event-stream", events)
            case "redirect":
                self.answer(302, "text/plain", said.encode())
            case "page":
                self.answer(502, "text/html", b"<html>" + said.encode() + b"</html>")
            case _:
                self.answer(int(mode), "application/json", failure)

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        key = self.headers["authorization"].removeprefix("Bearer ")
        for name, value in (
            ("content-type", kind),
            ("content-length", str(len(body))),
            ("location", f"/{key}"),
            ("x-request-id", key),
            ("retry-after", key),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """Say nothing."""


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echoing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def configuration(vendor: str, number: int) -> str:
    tables = [
        f'[providers.m{mode}]\ntype = "openai"\nbase_url = "{vendor}/{mode}/v1"\n'
        f'keys = [{{ secret = "env:V{number}" }}]\n'
        for mode in MODES
    ]
    client = '[[callers.keys]]\nname = "editor"\nsecret = "env:CLIENT"\n'
    return "\n".join([*tables, client])


ENVIRONMENT = {"V0": VENDOR_KEYS[0], "V1": VENDOR_KEYS[1], "CLIENT": CLIENT_KEY}


@pytest.mark.parametrize("number", [0, 1], ids=["like-a-key", "like-nothing"])
def test_serve(start: Start, write: Callable[[str], str], vendor: str, number: int) -> None:
    """A server and its log give nothing away, whatever the vendor says and however a client errs."""
    server = start("serve", "--config", write(configuration(vendor, number)), "--port", "0", env=ENVIRONMENT)
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    good = {"authorization": f"Bearer {CLIENT_KEY}"}
    shown: list[str] = []
    with httpx2.Client(base_url=url, timeout=20) as client:
        for mode in MODES:
            for stream in (False, True):
                body = {"model": f"m{mode}/x", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
                reply = client.post("/chat/completions", json=body, headers=good)
                shown.append(f"{mode} {stream} {reply.status_code} {reply.headers!r} {reply.text}")
                assert reply.status_code not in {401, 403}
        for headers in ({"authorization": "Bearer CANARY-wrong"}, {"x-api-key": "CANARY-wrong"}, {}):
            shown.append(client.get("/models", headers=headers).text)
        for path in ("/models", "/models/x", "/nothing", "/health?key=CANARY-query"):
            shown.append(client.get(path, headers=good).text)
        shown.append(client.post("/chat/completions", content=b"{", headers=good).text)
    server.stop()

    assert [] == [text for text in shown if "CANARY" in text]
    assert "CANARY" not in server.output
    assert "Traceback" not in server.output
    assert server.output.count('"status":') == len(shown)


@pytest.mark.parametrize("number", [0, 1], ids=["like-a-key", "like-nothing"])
@pytest.mark.parametrize("mode", ["400", "401", "event"])
@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
def test_ask(run: Run, write: Callable[[str], str], vendor: str, mode: str, number: int, debug: list[str]) -> None:
    """Nor does `ask`, with its explanation and with a traceback."""
    file = write(configuration(vendor, number))
    done = run(*debug, "ask", "--config", file, f"m{mode}/x", "hi", env=ENVIRONMENT)

    assert 4 == done.returncode
    assert "CANARY" not in done.stdout + done.stderr
    assert ("Traceback" in done.stderr) is bool(debug)


def test_check_and_models(run: Run, write: Callable[[str], str], vendor: str) -> None:
    """Nor do the commands that read the configuration."""
    file = write(configuration(vendor, 0))
    texts = [run(*words, "--config", file, env=ENVIRONMENT) for words in (["check"], ["check", "--json"], ["models"])]

    assert [0, 0, 0] == [done.returncode for done in texts]
    assert [] == [done for done in texts if "CANARY" in done.stdout + done.stderr]


def test_a_key_in_the_wrong_place(run: Run, write: Callable[[str], str]) -> None:
    """A key that was written where its variable's name belongs is not repeated in the complaint."""
    key = "sk-proj-CANARY0vendor0000000000"
    wrong = [
        f'[providers.groq]\nkeys = [{{ secret = "{key}" }}]\n',
        f'[providers.groq]\nkeys = ["{key}"]\n',
        f'[providers.groq]\nkeys = "{key}"\n',
        f'[providers.groq]\nkey = "{key}"\n',
        f'[providers.groq]\nkeys = [{{ secret = "env:{key}" }}]\n',
        f'[[callers.keys]]\nname = "a"\nsecret = "{key}"\n',
        f'[providers.groq]\nkeys = [{{ secret = "{key}" }}\n',
    ]
    texts = [run("check", "--config", write(text)).stderr for text in wrong]

    assert [] == [text for text in texts if "CANARY" in text]
    assert all(text.startswith("error: ") for text in texts)
