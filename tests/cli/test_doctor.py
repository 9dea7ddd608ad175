"""`doctor` looks at everything a gateway stands on, sends no key unless asked to, and shows no secret."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

from aigateway.cli._standins import sandbox_toml
from aigateway.testing.sandbox import Sandbox

Invoke = Callable[..., Any]
Start = Callable[..., Any]

CERTIFICATES = Path(__file__).parents[1] / "faults/certificates"
ENV = {"K": "sk-canary-key-one", "C": "canary-client-key-1"}


@contextmanager
def vendor(*, ahead: float = 0.0, certificate: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Stand for a vendor whose clock is `ahead` of ours; give its address and the requests it got."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # the library's name for it
            asked.append((self.path, dict(self.headers)))
            self.send_response_only(401)
            self.send_header("date", formatdate(time.time() + ahead, usegmt=True))
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        scheme = "https" if certificate else "http"
        yield f"{scheme}://localhost:{server.server_address[1]}/v1", asked
        server.shutdown()
        thread.join(20)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tuple[str, Callable[[str, str], Any]]]:
    """Run the stand-ins; give a configuration for them, and what gives one of them a fault."""
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(Sandbox()) as standins:
        yield sandbox_toml(standins), lambda name, fault: portal.call(standins.set_fault, name, fault)


@pytest.fixture
def doctor(
    invoke: Invoke, tmp_path: Path, free_port: int
) -> Callable[..., tuple[int, dict[str, tuple[str, str]], str]]:
    """Examine a configuration; give the exit code, state and words by name (its last), and all that was said."""

    def run(text: str, *options: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, tuple[str, str]], str]:
        (tmp_path / "aigateway.toml").write_text(text + f"\n[server]\nport = {free_port}\n", encoding="utf-8")
        done = invoke("doctor", "--json", *options, env={**ENV, **(env or {})})
        told = json.loads(done.out)
        assert told["ok"] == (done.code == 0)
        assert "canary" not in done.out + done.err
        return done.code, {s["name"]: (s["state"], s["says"]) for s in told["symptoms"]}, done.out

    return run


def compatible(url: str, more: str = "") -> str:
    return f'[providers.local]\ntype = "openai-compatible"\nbase_url = "{url}"\nkeys = [{{ secret = "env:K" }}]\n{more}'


def test_all_is_well(doctor: Any, sandbox: Any) -> None:
    """On the stand-ins each thing is ok, their keys too when that is asked; the exit code is 0."""
    code, found, _ = doctor(sandbox[0], "--verify-keys")

    assert 0 == code
    assert [] == [name for name, (state, _) in found.items() if state == "bad"]
    names = {"python", "server", "plug-ins", "trust", "configuration", "state", "clock", "files", "port"}
    assert names | {f"vendor {name}" for name in ("deepseek", "minimax", "openai", "groq")} <= set(found)
    assert any(re.fullmatch(r"key key-\w{6}", name) and state == "ok" for name, (state, _) in found.items())


def test_no_key_is_sent(doctor: Any) -> None:
    """A vendor is reached without authorisation, once; whatever it answers, it was reached."""
    with vendor() as (url, asked):
        code, found, _ = doctor(compatible(url))

    assert 0 == code
    assert ("ok", "agrees with the vendors'") == found["clock"]
    assert [("/v1", False)] == [(path, "authorization" in {n.lower() for n in headers}) for path, headers in asked]


@pytest.mark.parametrize(("ahead", "code", "state"), [(20, 0, "look"), (-600, 1, "bad")])
def test_a_clock_that_is_wrong(ahead: float, code: int, state: str, doctor: Any) -> None:
    """A little is worth a look; a minute is bad, for keys end by the clock."""
    with vendor(ahead=ahead) as (url, _):
        ended, found, out = doctor(compatible(url))

    assert (code, state) == (ended, found["clock"][0])
    assert ("ahead of" if ahead < 0 else "behind") in found["clock"][1]
    assert "NTP" in out


def test_a_vendor_that_is_away(doctor: Any, free_port: int) -> None:
    """It is named with the reason, as a fault of the vendor: exit code 4."""
    code, found, _ = doctor(compatible(f"http://localhost:{free_port}/v1"))

    assert 4 == code
    assert "bad" == found["vendor local"][0]
    assert "localhost cannot be reached: " in found["vendor local"][1]


def test_a_certificate_nobody_trusts(doctor: Any) -> None:
    """The reason is the certificate's, and what to do names SSL_CERT_FILE."""
    with vendor(certificate="unknown") as (url, asked):
        code, found, out = doctor(compatible(url))

    assert (4, []) == (code, asked)
    assert "its certificate is not trusted: " in found["vendor local"][1]
    assert "SSL_CERT_FILE=/path/to/ca.pem" in out


def test_authorities_that_are_not_there(doctor: Any) -> None:
    """SSL_CERT_FILE that leads nowhere is named, before every vendor seems to be away."""
    code, found, _ = doctor("[providers.echo]\n", env={"SSL_CERT_FILE": "absent.pem"})

    assert (1, "bad") == (code, found["trust"][0])
    assert "absent.pem, which is not there" in found["trust"][1]


def test_a_key_that_is_not_taken(doctor: Any, sandbox: Any) -> None:
    """It is named by its id with what the vendor said; without --verify-keys nobody asks."""
    toml, put = sandbox
    put("groq", "auth")
    try:
        silent, _, _ = doctor(toml)
        code, _, out = doctor(toml, "--verify-keys")
    finally:
        put("groq", "none")

    assert (0, 4) == (silent, code)
    assert re.search(r'"state": "bad",\s+"says": "groq: auth', out)


def test_a_configuration_that_is_wrong(doctor: Any) -> None:
    """It is one symptom among the others, with its line; exit code 3 goes before every other."""
    code, found, _ = doctor(
        '[providers.groq]\nkeys = [{ secret = "env:NOT_SET" }]\n', env={"SSL_CERT_FILE": "absent.pem"}
    )

    assert (3, "bad") == (code, found["configuration"][0])
    assert "aigateway.toml, line 2: providers.groq.keys[0].secret" in found["configuration"][1]
    assert {"python", "plug-ins", "trust"} <= set(found)


def test_what_check_finds_is_said(doctor: Any) -> None:
    """A finding is worth a look and fails nothing."""
    code, found, _ = doctor('unknown_models = "default"\n[providers.echo]\n')

    assert (0, "look") == (code, found["configuration"][0])
    assert "there is no default_model" in found["configuration"][1]


def test_a_place_that_cannot_be_used(doctor: Any, free_port: int) -> None:
    """A folder that is not there, a file that is broken, a Redis that is down: each with its reason, exit code 1."""
    absent = doctor('[providers.echo]\n[state]\nurl = "file:absent/state.json"\n')
    down = doctor(f'[providers.echo]\n[state]\nurl = "redis://:canary@127.0.0.1:{free_port}"\n')

    assert (1, "bad") == (absent[0], absent[1]["state"][0])
    assert "the folder" in absent[1]["state"][1]
    assert (1, "bad") == (down[0], down[1]["state"][0])
    assert f"127.0.0.1:{free_port} cannot be reached" in down[1]["state"][1]


def test_a_state_file_that_is_no_state(doctor: Any, tmp_path: Path) -> None:
    """What the place itself says is handed on."""
    (tmp_path / "state.json").write_text("not json", encoding="utf-8")
    (tmp_path / "state.json").chmod(0o600)
    code, found, _ = doctor('[providers.echo]\n[state]\nurl = "file:state.json"\n')

    assert (1, "bad") == (code, found["state"][0])
    assert "state.json" in found["state"][1]


@pytest.mark.parametrize(("mode", "code", "state"), [(0o600, 0, "ok"), (0o644, 0, "look"), (0o666, 1, "bad")])
def test_files_that_others_may_touch(mode: int, code: int, state: str, doctor: Any, tmp_path: Path) -> None:
    """A `.env` is for its owner: that others read it is worth a look, that all may write it is bad."""
    (tmp_path / ".env").write_text("X=canary-value\n", encoding="utf-8")
    (tmp_path / ".env").chmod(mode)
    ended, found, _ = doctor("[providers.echo]\n")

    assert (code, state) == (ended, found["files"][0])


def test_a_configuration_with_a_secret_in_it(doctor: Any, tmp_path: Path) -> None:
    """A file that holds a literal secret is one for its owner, too."""
    (tmp_path / "aigateway.toml").touch(mode=0o644)
    (tmp_path / "aigateway.toml").chmod(0o644)
    key = '[{ secret = "gsk-canary", allow_literal = true }]'
    code, found, _ = doctor(f'[providers.groq]\nkeys = {key}\nbase_url = "http://localhost:1/v1"\n')

    assert (4, "look") == (code, found["files"][0])
    assert "aigateway.toml (644)" in found["files"][1]


def test_a_port_that_is_taken(doctor: Any, free_port: int) -> None:
    """It is said, and how to ask the server that may be there; it fails nothing."""
    with socket.create_server(("127.0.0.1", free_port)):
        code, found, out = doctor("[providers.echo]\n")

    assert (0, "look") == (code, found["port"][0])
    assert "doctor --url" in out


def test_a_broken_plugin_is_named(doctor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its distribution and the reason; the others work."""
    info = tmp_path / "site" / "broken-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[aigateway]\nbrokenvendor = not_there_at_all\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    code, found, out = doctor("[providers.echo]\n")

    assert 0 == code
    assert "brokenvendor (broken 0.1) is broken: ModuleNotFoundError" in out
    assert "groq" in found["plug-ins"][1]


def test_a_running_server(start: Start, invoke: Invoke, tmp_path: Path, free_port: int) -> None:
    """--url asks the server itself, with the operator's key; without one that is a fault of keys."""
    text = f'[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n[server]\nport = {free_port}\n'
    (tmp_path / "aigateway.toml").write_text(text, encoding="utf-8")
    keys = {"AI_GATEWAY_ADMIN_API_KEY": "canary-admin-key-123"}
    start("serve", env=keys).wait_for(" serves ")
    url = f"http://127.0.0.1:{free_port}"
    well = invoke("doctor", "--url", url, env=keys)
    stranger = invoke("doctor", "--url", url, env={"AI_GATEWAY_ADMIN_API_KEY": "another-key-of-someone"})
    away = invoke("doctor", "--url", "http://127.0.0.1:1")

    assert (0, 4, 1) == (well.code, stranger.code, away.code)
    assert f"ok    server           {url} is healthy, version " in well.out
    assert "port " not in well.out
    assert "canary" not in well.out + well.err


def test_people_read_lines(invoke: Invoke, tmp_path: Path) -> None:
    """Without --json each symptom is a line: state, name, words; what to do is below."""
    (tmp_path / "aigateway.toml").write_text("[providers.ecko]\n", encoding="utf-8")
    done = invoke("doctor")

    assert 3 == done.code
    assert re.search(r"^ok    python           aigateway \d", done.out, re.MULTILINE)
    mend = r"^bad   configuration    .*Did you mean 'echo'\?\n {22} Mend it, and look again with aigateway check\."
    assert re.search(mend, done.out, re.MULTILINE)
