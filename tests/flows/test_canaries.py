"""Canary secrets in every slot, a broad run of everything: none of them shows, in any form, anywhere."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import jwt
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.config import load
from aigateway.errors import GatewayError

SECRETS = {
    "V_ENV": "Canary.env/vendor+key==0123456789",
    "file": "Canary~file~vendor~key~0123456789",
    "literal": "Canary(literal)vendor:key&0123456789",
    "vault": "Canary$vault$vendor$key$0123456789",
    "rotated": "Canary!rotated!vendor!key!0123456789",
    "CLIENT": "Canary@client@static@key@0123456789",
    "vault-client": "Canary#client#vault#key#0123456789",
    "ADMIN": "Canary?operator?key?0123456789",
    "WEEKLY": "Canary,weekly,root,0123456789,0123456789",
    "JWT": "Canary;token;secret;0123456789;0123456789;0123456789",
    "SECRET_KEY": "Canary*pepper*root*0123456789*0123456789",
}
MODES = ("400", "401", "402", "403", "404", "413", "429", "500", "503", "inside", "event", "redirect", "page", "hangup")
FORMS = ("raw", "base64", "url", "cut")


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    found = {
        "raw": secret,
        "base64": b64encode(raw).decode().rstrip("="),
        "url": quote(secret, safe=""),
        "cut": secret[:20],
    }
    return {**found, "urlsafe": urlsafe_b64encode(raw).decode().rstrip("=")}


def leaks(texts: dict[str, str], secrets: dict[str, str]) -> list[str]:
    """Name what shows where."""
    return [
        f"{where}: {name} ({form})"
        for where, text in texts.items()
        for name, secret in secrets.items()
        for form, word in forms(secret).items()
        if word in text
    ]


class Echoing(BaseHTTPRequestHandler):
    """A vendor that repeats the key wherever an error has room for a text, in the form its path names."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        mode, form = self.path.split("/")[1].split("-")
        key = forms(self.headers["authorization"].removeprefix("Bearer "))[form]
        said = f"no: Bearer {key} ({key})"
        failure = json.dumps({"error": {"message": said, "type": key, "code": key, "param": key, "key": key}}).encode()
        match mode:
            case "ok":
                message = {"role": "assistant", "content": "hello"}
                body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
                body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
                self.answer(200, "application/json", json.dumps(body).encode(), key)
            case "inside":
                self.answer(200, "application/json", failure, key)
            case "event":
                piece = {
                    "id": "1",
                    "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {"content": "hi"}}],
                }
                events = b"data: " + json.dumps(piece).encode() + b"\n\ndata: " + failure + b"\n\n"
                self.answer(200, "text/event-stream", events, key)
            case "redirect":
                self.answer(302, "text/plain", said.encode(), key)
            case "page":
                self.answer(502, "text/html", f"<html>{said}</html>".encode(), key)
            case "hangup":
                self.wfile.write(f"HTTP/1.1 {said}\r\n\r\n".encode())
                self.close_connection = True
            case _:
                self.answer(int(mode), "application/json", failure, key)

    def answer(self, status: int, kind: str, body: bytes, key: str) -> None:
        self.send_response(status)
        headers = {"content-type": kind, "content-length": str(len(body)), "location": f"/{key}", "x-request-id": key}
        for name, value in {**headers, "retry-after": key, "x-ratelimit-limit-requests": key}.items():
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


# A guard that does what a debugging hand might: it logs all it can lay hands on, and fails with it.
MODULE = """
import json, logging, os, pathlib
from aigateway.plugins import GuardRecord, SecretsRecord, hookimpl
FOLDER = pathlib.Path(__file__).parent
LOG = logging.getLogger("someones.plugin")
VAULT = json.loads((FOLDER / "vault.json").read_text())

class Careless:
    async def enter(self, call):
        found = [*VAULT.values(), *map(os.environ.get, ("V_ENV", "CLIENT", "ADMIN", "WEEKLY", "JWT", "SECRET_KEY"))]
        found.append((FOLDER / "vendor.key").read_text().strip())
        LOG.error("debug: %r %s", call, found)
        LOG.error(f"debug: {' '.join(found)}")
        logging.getLogger("aigateway.someones").debug("debug: %s", {"key": found})
        try:
            raise LookupError(f"no {found[0]}")
        except LookupError:
            LOG.exception("it failed with %s", found[1])
        if "boom" in call.request.model:
            raise RuntimeError(" ".join(found))
    async def leave(self, call, outcome):
        if "bang" in call.request.model:
            raise RuntimeError((FOLDER / "vendor.key").read_text())

@hookimpl
def aigateway_guards():
    yield GuardRecord("careless", lambda options: Careless())

@hookimpl
def aigateway_secrets():
    yield SecretsRecord("vault", VAULT.__getitem__)
"""
KEYS = {
    "env": '{ secret = "env:V_ENV" }',
    "file": '{ secret = "file:vendor.key" }',
    "literal": f'{{ secret = "{SECRETS["literal"]}", allow_literal = true }}',
    "vault": '{ secret = "vault:vendor" }',
}
TABLES = """
[[guards]]
use = "careless"
[state]
url = "file:state.json"
[server]
log_level = "DEBUG"
[callers]
store = "file:callers.json"
roots = ["env:SECRET_KEY"]
encrypt = true
[[callers.keys]]
name = "static"
secret = "env:CLIENT"
[[callers.keys]]
name = "vaulted"
secret = "vault:client"
[[callers.keys]]
name = "operator"
secret = "env:ADMIN"
scopes = ["admin"]
[callers.weekly]
root = "env:WEEKLY"
[callers.jwt]
secret = "env:JWT"
"""


class World:
    """A folder with a secret in every slot there is."""

    def __init__(self, folder: Path, vendor: str) -> None:
        self.folder = folder
        names = ("V_ENV", "CLIENT", "ADMIN", "WEEKLY", "JWT", "SECRET_KEY")
        own = {name: SECRETS[name] for name in names}
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder), **own}
        meta = folder / "agw_careless-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: agw-careless\nVersion: 1.0\n", encoding="utf-8")
        entries = "[aigateway]\nguard.careless = agw_careless\nsecrets.vault = agw_careless\n"
        (meta / "entry_points.txt").write_text(entries, encoding="utf-8")
        (folder / "agw_careless.py").write_text(MODULE, encoding="utf-8")
        vault = {"vendor": SECRETS["vault"], "client": SECRETS["vault-client"]}
        (folder / "vault.json").write_text(json.dumps(vault), encoding="utf-8")
        self.put(SECRETS["file"])
        self.models, tables = [], [TABLES]
        for mode in ("ok", *MODES):
            for number, form in enumerate(FORMS if mode in {"400", "500", "event"} else FORMS[:1]):
                slots = KEYS if mode in {"ok", "401", "event"} and form == "raw" else {"env": KEYS["env"]}
                for slot, key in slots.items():
                    name = f"{mode}-{number}-{slot}"
                    url = f"{vendor}/{mode}-{form}/v1"
                    tables.append(f'[providers.{name}]\ntype = "openai"\nbase_url = "{url}"\nkeys = [{key}]\n')
                    self.models.append(f"{name}/m")
        (folder / "aigateway.toml").write_text("\n".join(tables), encoding="utf-8")

    def put(self, key: str) -> None:
        """Replace the vendor's key in the file."""
        new = self.folder / "new.key"
        new.write_text(key, encoding="utf-8")
        new.chmod(0o600)
        os.replace(new, self.folder / "vendor.key")

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aigateway", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def world(tmp_path: Path, vendor: str) -> World:
    return World(tmp_path, vendor)


def shown_by(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def test_a_served_process(world: World) -> None:
    """Success, every failure in every form, bad clients, broken plug-ins, a replaced key: nothing in bodies or log."""
    stored = world.run("callers", "new", "stored").stdout.strip()
    weekly = world.run("callers", "current").stdout.strip()
    token = jwt.encode({"sub": "tok", "exp": time.time() + 600}, SECRETS["JWT"], algorithm="HS256")
    planted = {**SECRETS, "stored": stored, "weekly": weekly, "token": token}
    log, texts = world.folder / "log", dict[str, str]()
    command = [sys.executable, "-m", "aigateway", "serve", "--port", "0"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(command, cwd=world.folder, env=world.env, stdout=sink, stderr=sink) as it,
    ):
        try:
            with httpx2.Client(base_url=_url(it, log), timeout=30) as client:
                texts |= ask_all(client, world, [SECRETS["CLIENT"], SECRETS["vault-client"], stored, weekly, token])
                world.put(SECRETS["rotated"])
                client.post("/admin/keys/reload", headers={"x-api-key": SECRETS["ADMIN"]})
                texts |= {f"again {n}": t for n, t in ask_all(client, world, [SECRETS["CLIENT"]]).items()}
                for path in ("/admin/keys", "/health", "/v1/models", "/admin/nothing"):
                    texts[path] = _text(client.get(path, headers={"x-api-key": SECRETS["ADMIN"]}))
        finally:
            it.terminate()
            it.wait(30)
    texts["log"] = log.read_text(encoding="utf-8")

    assert texts["log"].count("debug: ") > 50  # the careless one did its worst
    assert "Traceback" in texts["log"]
    assert "LookupError: no ***" in texts["log"]
    assert [] == leaks(texts, planted)


def ask_all(client: httpx2.Client, world: World, keys: list[str]) -> dict[str, str]:
    texts = {}
    for number, model in enumerate([*world.models, "ok-0-env/boom", "ok-0-env/bang"]):
        for stream in (False, True):
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
            headers = {"authorization": f"Bearer {keys[number % len(keys)]}"}
            texts[f"{model} {stream}"] = _text(client.post("/v1/chat/completions", json=body, headers=headers))
    for secret in SECRETS.values():  # as clients' keys, in every place there is for one
        texts[f"as key {secret[:12]}"] = _text(client.get("/v1/models/x", headers={"x-api-key": f"{secret}x"}))
        texts[f"as query {secret[:12]}"] = _text(client.get("/v1/models", params={"note": "1", "api_key": "x"}))
        texts[f"as root {secret[:12]}"] = _text(client.get("/current-key", headers={"admin-secret": f"{secret}x"}))
    return texts


def _text(reply: httpx2.Response) -> str:
    return f"{reply.status_code} {reply.headers!r} {reply.text}"


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 30
    while not (found := re.search(r"at (http://[^/]+)/v1", log.read_text(encoding="utf-8"))):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[1]


def test_commands(world: World) -> None:
    """No command shows a secret, when it works and when it does not, with its traceback."""
    world.run("callers", "new", "stored")
    lines: list[tuple[list[str], str]] = [
        (["check"], ""), (["check", "--json"], ""), (["models"], ""), (["plugins"], ""),
        (["keys", "list"], ""), (["keys", "list", "--json"], ""), (["keys", "verify"], ""),
        (["keys", "rotate", "ok-0-file"], SECRETS["rotated"]), (["keys", "rotate", "401-0-file"], SECRETS["rotated"]),
        (["keys", "rotate", "401-0-file", "--unverified"], SECRETS["rotated"]),
        (["keys", "rotate", "ok-0-env"], SECRETS["rotated"]),
        (["keys", "rotate", "ok-0-file"], "two words " + SECRETS["file"]),
        (["callers", "list"], ""), (["callers", "list", "--json"], ""), (["callers", "revoke", SECRETS["CLIENT"]], ""),
        (["callers", "new", "stored"], ""), (["keys", "list", "--url", "http://127.0.0.1:1"], ""),
        *((["ask", model, "hi"], "") for model in world.models[:5]),
    ]  # fmt: skip  # a table
    secrets = {name: secret for name, secret in SECRETS.items() if name != "CLIENT"}  # one is typed as a name: repeated
    texts = {}
    for words, stdin in lines:
        texts[" ".join(words)] = shown_by(world.run("--debug", *words, stdin=stdin))

    assert any("Traceback" in text for text in texts.values())
    assert [] == leaks(texts, secrets)


def test_a_password_in_a_url(world: World) -> None:
    """The password of a shared state shows nowhere, though the place cannot be reached and a plug-in is careless."""
    secret = {"password": "Canary^redis^password^0123456789"}
    file = world.folder / "aigateway.toml"
    text = file.read_text(encoding="utf-8").replace('"file:state.json"', '"env:REDIS_URL"')
    file.write_text(text, encoding="utf-8")
    world.env["REDIS_URL"] = f"redis://someone:{quote(secret['password'])}@127.0.0.1:1/0"
    careless = MODULE.replace("found = [", 'found = [os.environ["REDIS_URL"], ')
    (world.folder / "agw_careless.py").write_text(careless, encoding="utf-8")
    lines = (["check"], ["keys", "list"], ["ask", "ok-0-env/m", "hi"], ["ask", "401-0-env/m", "hi"])
    texts = {" ".join(words): shown_by(world.run("--debug", *words)) for words in lines}

    assert "debug: " in texts["ask ok-0-env/m hi"]
    assert [] == leaks(texts, {**SECRETS, **secret})


def test_wrong_configurations(world: World) -> None:
    """Nor does a start that is refused, whatever is wrong, and wherever the secret was put by mistake."""
    file = world.folder / "aigateway.toml"
    right, texts = file.read_text(encoding="utf-8"), {}
    secret = SECRETS["V_ENV"]
    wrong = {
        "a literal": right.replace('"env:V_ENV"', f'"{secret}"', 1),
        "as a variable": right.replace('"env:V_ENV"', f'"env:{secret}"', 1),
        "as a plain key": right.replace('{ secret = "env:V_ENV" }', f'"{secret}"', 1),
        "as a root": right.replace('roots = ["env:SECRET_KEY"]', f'roots = ["{secret}"]'),
        "as a store": right.replace('store = "file:callers.json"', f'store = "{secret}"'),
        "a typo": right.replace("encrypt = true", f'encrypted = "{secret}"'),
        "as a type": right.replace("encrypt = true", f'encrypt = "{secret}"'),
        "as a number": right.replace('name = "operator"', f'name = "operator"\nstarts = "{secret}"'),
        "two alike": right.replace('"env:ADMIN"', '"env:CLIENT"'),
        "two alike in a vault": right.replace('"env:ADMIN"', '"vault:client"'),
        "unknown in the vault": right.replace('"vault:client"', f'"vault:{secret}"'),
        "as a state": right.replace('url = "file:state.json"', f'url = "{secret}"'),
        "not TOML": right.replace('"env:ADMIN"', f'"{secret}'),
    }
    for name, text in wrong.items():
        assert text != right, name
        file.write_text(text, encoding="utf-8")
        done = world.run("--debug", "serve", "--port", "0")
        assert 3 == done.returncode, f"{name}: {done.stderr}"
        texts[name] = shown_by(done)

    assert [] == leaks(texts, SECRETS)


@pytest.mark.anyio
async def test_objects(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nor do objects and exceptions in a program: repr, str, format, JSON, copies; pickles are refused."""
    monkeypatch.chdir(world.folder)
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(world.folder))
    settings, texts = load(world.folder / "aigateway.toml"), {}
    with caplog.at_level(logging.DEBUG, logger="aigateway"):
        async with Gateway(settings) as gateway:
            app = create_app(gateway)
            for model in world.models:
                try:
                    await gateway.chat(model, "hi")
                except GatewayError as error:
                    texts[f"{model} raised"] = "".join(traceback.format_exception(error)) + repr(vars(error))
            ring = gateway.parts.rings["ok-0-env"]
            things = [settings, gateway, app, vars(gateway), gateway.parts, ring, vars(ring), ring.slots[0].current]
            things += [settings.callers.weekly, settings.context, settings.model_dump(), gateway.vendor_keys()]
            texts |= {f"thing {n}": f"{thing!r} {thing} {thing!s:>9}" for n, thing in enumerate(things)}
            texts["copy"] = repr(copy.copy(settings))
    caught = [record.getMessage() for record in caplog.records if not record.name.startswith("someones")]
    texts["log"] = "\n".join(text for text in caught if "debug: " not in text)

    assert [] == leaks(texts, SECRETS)
    for secret in (settings.callers.keys[0].secret, settings):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    with pytest.raises((TypeError, ValueError)):
        json.dumps(settings.callers.keys[0].secret)
    try:
        dumped = settings.model_dump_json()
    except Exception as error:  # a refusal is as good
        dumped = str(error)
    assert [] == leaks({"json": dumped}, SECRETS)
