"""`aigateway keys`: vendor keys listed, verified, replaced; and what an operator gets wrong."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ..flows.keyed_vendor import Vendor, vendor_running

Run = Callable[..., Any]
Start = Callable[..., Any]
Write = Callable[[str], str]

OLD, NEW, ADMIN = "vendor-key-canary-old", "vendor-key-canary-new", "operator-key-canary-0000"
OPERATOR = f'[[callers.keys]]\nname = "operator"\nsecret = "{ADMIN}"\nallow_literal = true\nscopes = ["admin"]\n'


@pytest.fixture(scope="module")
def running() -> Iterator[Vendor]:
    with vendor_running() as found:
        yield found


@pytest.fixture
def vendor(running: Vendor) -> Vendor:
    """Give a vendor that takes the old and the new key."""
    running.good = {OLD, NEW}
    running.says.clear()
    running.seen.clear()
    return running


def configuration(vendor: Vendor, *secrets: str) -> str:
    keys = ", ".join(f'{{ secret = "{secret}" }}' for secret in secrets)
    provider = f'[providers.v]\ntype = "openai"\nbase_url = "{vendor.url}"\nkeys = [{keys}]\n'
    return f'default_model = "v/m1"\n{provider}{OPERATOR}'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "vendor.key"
    path.write_text(OLD, encoding="utf-8")
    path.chmod(0o640)
    return path


def silent(done: Any) -> bool:
    return "canary" not in done.stdout + done.stderr and "Traceback" not in done.stderr


# -- list and verify --------------------------------------------------------------------------


def test_list(here: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """Keys are listed by id and account, without asking the vendor and without showing one."""
    file = write(configuration(vendor, f"file:{secret.name}", "env:OTHER"))
    env = {"OTHER": NEW}
    plain, as_json = (here("keys", "list", *more, "--config", file, env=env) for more in ([], ["--json"]))
    keys = json.loads(as_json.stdout)["keys"]

    assert [0, 0] == [plain.returncode, as_json.returncode]
    assert ["v", "v"] == [key["provider"] for key in keys]
    assert 2 == len({key["id"] for key in keys})
    assert all(key["id"] in plain.stdout for key in keys)
    assert silent(plain)
    assert silent(as_json)
    assert [] == vendor.seen


def test_verify(here: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """Each key is shown to the vendor: 0 if all are good, 4 with the reason if one is not."""
    file = write(configuration(vendor, f"file:{secret.name}", "env:OTHER"))
    good = here("keys", "verify", "--config", file, env={"OTHER": NEW})
    vendor.good = {OLD}
    bad = here("keys", "verify", "v", "--json", "--config", file, env={"OTHER": NEW})
    unknown = here("keys", "verify", "x", "--config", file, env={"OTHER": NEW})

    assert (0, 2) == (good.returncode, good.stdout.count("good"))
    assert 4 == bad.returncode
    results = [key["result"] for key in json.loads(bad.stdout)["keys"]]
    assert "good" == results[0]
    assert results[1].startswith("auth: ")
    assert 2 == unknown.returncode
    assert "There is: v" in unknown.stderr
    assert all(map(silent, (good, bad, unknown)))
    assert {""} == {seen.model for seen in vendor.seen}


def test_verify_where_nobody_is(here: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """A vendor that cannot be reached is no good key: 4, and why."""
    file = write(configuration(vendor, f"file:{secret.name}").replace(vendor.url, f"http://127.0.0.1:{free_port()}/v1"))
    done = here("keys", "verify", "--config", file)

    assert 4 == done.returncode
    assert "connect" in done.stdout
    assert silent(done)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# -- rotate -----------------------------------------------------------------------------------


def test_rotate(run: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """The new key is proved, then put in place as a whole, readable by whom the old one was; nothing is shown."""
    file = write(configuration(vendor, f"file:{secret.name}"))
    done = run("keys", "rotate", "v", "--config", file, stdin=f"  {NEW}\n")

    assert (0, "") == (done.returncode, done.stdout)
    assert silent(done)
    assert NEW == secret.read_text(encoding="utf-8").strip()
    assert 0o640 == secret.stat().st_mode & 0o777
    assert [NEW] == [seen.key for seen in vendor.seen]
    assert ["gateway.toml", "vendor.key"] == sorted(path.name for path in secret.parent.iterdir())


def test_rotate_to_a_wrong_key(here: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """What the vendor does not take is not put in place, unless somebody insists."""
    file, vendor.good = write(configuration(vendor, f"file:{secret.name}")), {OLD}
    refused = here("keys", "rotate", "v", "--config", file, stdin=NEW)
    before = secret.read_text(encoding="utf-8")
    insisted = here("keys", "rotate", "v", "--unverified", "--config", file, stdin=NEW)

    assert (4, OLD) == (refused.returncode, before)
    assert "nothing was changed" in refused.stderr
    assert 0 == insisted.returncode
    assert NEW == secret.read_text(encoding="utf-8").strip()
    assert silent(refused)
    assert silent(insisted)


@pytest.mark.parametrize(
    "typed", ["", "\n", "  \n", "two words canary", "two\nlines-canary", "nul\x00canary", "clé-canary"]
)
def test_rotate_to_nothing(here: Run, write: Write, vendor: Vendor, secret: Path, typed: str) -> None:
    """Nothing on standard input, or what cannot be a key, changes nothing: 2."""
    done = here("keys", "rotate", "v", "--config", write(configuration(vendor, f"file:{secret.name}")), stdin=typed)

    assert (2, OLD) == (done.returncode, secret.read_text(encoding="utf-8"))
    assert silent(done)
    assert [] == vendor.seen


def test_rotate_which(here: Run, write: Write, vendor: Vendor, secret: Path) -> None:
    """With several keys one has to be named by its id; one from the environment cannot be replaced."""
    file, env = write(configuration(vendor, f"file:{secret.name}", "env:OTHER")), {"OTHER": NEW}
    listed = json.loads(here("keys", "list", "--json", "--config", file, env=env).stdout)["keys"]
    first, second = (key["id"] for key in listed)
    unsaid = here("keys", "rotate", "v", "--config", file, env=env, stdin="x")
    nobody = here("keys", "rotate", "x", "--config", file, env=env, stdin="x")
    unknown = here("keys", "rotate", "v", "--key", "key-000000", "--config", file, env=env, stdin="x")
    from_env = here("keys", "rotate", "v", "--key", second, "--config", file, env=env, stdin="x")
    said = here("keys", "rotate", "v", "--key", first, "--config", file, env=env, stdin=NEW)

    assert [2, 2, 2, 3, 0] == [done.returncode for done in (unsaid, nobody, unknown, from_env, said)]
    assert first in unsaid.stderr
    assert "There is: v" in nobody.stderr
    assert "env:OTHER" in from_env.stderr
    assert all(map(silent, (unsaid, nobody, unknown, from_env, said)))


def test_rotate_where_nothing_can_be_written(here: Run, write: Write, vendor: Vendor) -> None:
    """A folder that takes no file leaves the old key where it is."""
    done = here(
        "keys", "rotate", "v", "--unverified", "--config", write(configuration(vendor, "file:/proc/version")), stdin=NEW
    )

    assert done.returncode in {1, 3}
    assert silent(done)


# -- what is wrong with a secret --------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "content", "said"),
    [
        (0o644, OLD, "chmod 600"),
        (0o606, OLD, "chmod 600"),
        (0o600, "", "is empty"),
        (0o600, " \n", "is empty"),
        (0o600, "a\nb-canary", "line breaks"),
        (0o600, "clé-canary", "not one word of ASCII"),
        (0o600, "two words-canary", "not one word of ASCII"),
        (None, "", "cannot be read"),
    ],
)
def test_a_wrong_secret_file(
    run: Run, here: Run, write: Write, vendor: Vendor, secret: Path, mode: int | None, content: str, said: str
) -> None:
    """A file everybody can read, an empty one, none at all: 3, with its name and what to do."""
    secret.write_text(content, encoding="utf-8")
    secret.unlink() if mode is None else secret.chmod(mode)
    file = write(configuration(vendor, f"file:{secret.name}"))
    for words in (["keys", "list"], ["serve", "--port", "0"], ["check"]):
        done = (run if words[0] == "serve" else here)(*words, "--config", file)
        assert 3 == done.returncode
        assert said in done.stderr
        assert "vendor.key" in done.stderr
        assert silent(done)


def test_a_missing_variable(here: Run, write: Write, vendor: Vendor) -> None:
    """A variable that is not set is named, with the line it is asked for in."""
    done = here("keys", "list", "--config", write(configuration(vendor, "env:NOT_THERE")))

    assert 3 == done.returncode
    assert "NOT_THERE is not set" in done.stderr
    assert "gateway.toml, line" in done.stderr


# -- a running server -------------------------------------------------------------------------


def test_ask_a_server(here: Run, start: Start, write: Write, vendor: Vendor, secret: Path) -> None:
    """list and reload ask a server with the operator's key; without, or with a wrong one: 4."""
    server = start("serve", "--config", write(configuration(vendor, f"file:{secret.name}")), "--port", "0")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    good = {"AI_GATEWAY_ADMIN_API_KEY": ADMIN}
    listed = here("keys", "list", "--url", url, "--json", env=good)
    slashed = here("keys", "list", "--url", f"{url}/v1/", env={"ADMIN_API_KEY": ADMIN})
    nothing = here("keys", "reload", "--url", url, env=good)
    (secret.parent / "new").write_text(NEW, encoding="utf-8")
    (secret.parent / "new").chmod(0o600)
    os.replace(secret.parent / "new", secret)
    reloaded = here("keys", "reload", "--url", url, "--json", env=good)
    refused = [
        here("keys", what, "--url", url, env=env)
        for what in ("list", "reload")
        for env in ({}, {"ADMIN_API_KEY": "canary"})
    ]

    assert [0, 0, 0, 0] == [done.returncode for done in (listed, slashed, nothing, reloaded)]
    assert "v" == json.loads(listed.stdout)["keys"][0]["provider"]
    assert {"replaced": 1} == json.loads(reloaded.stdout)
    assert "0 new key(s)" in nothing.stdout
    assert [4] * 4 == [done.returncode for done in refused]
    assert all("AI_GATEWAY_ADMIN_API_KEY" in done.stderr and "" == done.stdout for done in refused)
    assert all(map(silent, (listed, slashed, nothing, reloaded, *refused)))
    assert "canary" not in server.output


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "", "file:///etc/passwd", "http://", "http://["])
def test_a_url_that_is_none(here: Run, url: str) -> None:
    """What is no http address is not asked."""
    done = here("keys", "reload", "--url", url, env={"ADMIN_API_KEY": ADMIN})

    assert done.returncode in {1, 2}
    assert "" == done.stdout
    assert silent(done)


def test_nobody_there(here: Run) -> None:
    """A server that is down: 1, and the question whether it runs."""
    done = here("keys", "list", "--url", f"http://127.0.0.1:{free_port()}", env={"ADMIN_API_KEY": ADMIN})

    assert (1, "") == (done.returncode, done.stdout)
    assert "Is it running there? Name it with --url." in done.stderr
    assert silent(done)


class Elsewhere(BaseHTTPRequestHandler):
    """Send everybody to the address in `to`; remember who asked."""

    protocol_version = "HTTP/1.1"
    to = ""
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("authorization", ""))
        self.send_response(302 if self.to else 200)
        self.send_header("location", self.to)
        body = b"not json canary" if not self.to else b""
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """Say nothing."""


@contextmanager
def sends(to: str) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Sends", (Elsewhere,), {"to": to, "asked": asked}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("words", [["list"], ["reload"]])
def test_the_key_does_not_follow(here: Run, words: list[str]) -> None:
    """A server that redirects is not followed: the operator's key stays with the server it was meant for."""
    with sends("") as (target, there), sends(f"{target}/admin/keys") as (url, first):
        done = here("keys", *words, "--url", url, env={"ADMIN_API_KEY": ADMIN})
        nonsense = here("keys", *words, "--url", target, env={"ADMIN_API_KEY": ADMIN})

    assert [f"Bearer {ADMIN}"] == first
    assert [f"Bearer {ADMIN}"] == there  # of the second command only
    assert [1, 1] == [done.returncode, nonsense.returncode]
    assert "answered 302" in done.stderr
    assert silent(done)
    assert silent(nonsense)


def test_a_proxy_does_not_get_the_key(here: Run) -> None:
    """A server on this machine is asked directly, whatever proxy the environment names."""
    with sends("http://127.0.0.1:1/") as (proxy, seen):
        env = {"ADMIN_API_KEY": ADMIN, "http_proxy": proxy, "HTTP_PROXY": proxy}
        done = here("keys", "list", "--url", f"http://127.0.0.1:{free_port()}", env=env)

    assert 1 == done.returncode
    assert [] == seen
