"""`aigateway callers`: client keys made, listed, rotated and revoked in a file that a running server reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

Run = Callable[..., Any]
Start = Callable[..., Any]

KEY = re.compile(r"gw_(live|test|staging|dev)_[0-9A-Za-z]{49}")
ROOT = "canary-root-0123456789-0123456789-abcdef"
ENV = {"SECRET_KEY": ROOT, "AI_GATEWAY_CALLERS": "file:callers.json"}
ECHO = """
default_model = "echo"
[providers.echo]
[callers]
store = "file:callers.json"
roots = ["env:SECRET_KEY"]
"""


def only_the_key(done: Any) -> str:
    """Give the one thing on stdout: the new key."""
    assert 0 == done.returncode, done.stderr
    assert KEY.fullmatch(done.stdout.strip())
    assert done.stdout.strip() not in done.stderr
    assert "\n" == done.stdout[-1]
    return str(done.stdout.strip())


def test_from_its_making_to_its_end(run: Run, tmp_path: Path) -> None:
    """new, list, rotate, revoke: each does what it says, and a key is shown once."""
    options = ["--scope", "chat", "--model", "a/*", "--network", "10.0.0.0/8", "--domain", "example.com", "--days", "7"]
    first = only_the_key(run("callers", "new", "editor", *options, "--environment", "test", env=ENV))
    listed = json.loads(run("callers", "list", "--json", env=ENV).stdout)
    second = only_the_key(run("callers", "rotate", "editor", "--grace", "60", env=ENV))
    both = run("callers", "list", env=ENV)
    ended = run("callers", "revoke", "editor", env=ENV)
    after = run("callers", "list", env=ENV)
    kept = (tmp_path / "callers.json").read_text(encoding="utf-8")

    assert first.startswith("gw_test_")
    assert second.startswith("gw_test_")
    (entry,) = listed
    assert (["chat"], ["a/*"], ["10.0.0.0/8"], ["example.com"]) == tuple(
        entry[what] for what in ("scopes", "models", "networks", "domains")
    )
    assert entry["ends"] - entry["made"] == pytest.approx(7 * 86_400)
    assert 2 == both.stdout.count("until ")
    assert (0, "") == (ended.returncode, ended.stdout)
    assert 2 == after.stdout.count("no longer")
    for shown in (json.dumps(listed), both.stdout, after.stdout, ended.stderr, kept):
        assert first not in shown
        assert second not in shown
        assert "digest" not in shown or shown is kept
        assert ROOT not in shown
    assert 0o600 == (tmp_path / "callers.json").stat().st_mode & 0o777


WRONG = [
    (["new", ""], ENV, 2, "1 to 64 printable"),
    (["new", "x" * 65], ENV, 2, "1 to 64 printable"),
    (["new", "a\x1b[31m"], ENV, 2, "printable"),
    (["new", "a", "--scope", "root"], ENV, 2, "no scope 'root'"),
    (["new", "a", "--environment", "prod"], ENV, 2, "live, test, staging, dev"),
    (["new", "a", "--network", "10.0.0.0/99"], ENV, 3, "no IP address"),
    (["new", "a", "--days", "-1"], ENV, 2, "--days"),
    (["new", "a", "--days", "nan"], ENV, 2, "--days"),
    (["new", "a", "--days", "inf"], ENV, 2, "--days"),
    (["new"], ENV, 2, "'name'"),
    (["new", "a", "--days", "1e300"], ENV, 2, "--days"),
    (["rotate", "nobody", "--grace", "inf"], ENV, 2, "--grace"),
    (["rotate", "nobody", "--grace", "nan"], ENV, 2, "--grace"),
    (["rotate", "nobody"], ENV, 2, "no valid key of 'nobody'"),
    (["rotate", "nobody", "--grace", "-1"], ENV, 2, "--grace"),
    (["revoke", "nobody"], ENV, 2, "no valid key of 'nobody'"),
    (["list"], {}, 3, "there is no place for client keys"),
    (["list"], {"AI_GATEWAY_CALLERS": "file:callers.json"}, 3, "SECRET_KEY"),
    (["list"], ENV | {"SECRET_KEY": "short"}, 3, "shorter than 32 bytes"),
    (["list"], ENV | {"SECRET_KEY": "a" * 64}, 3, "an example"),
    (["list"], ENV | {"SECRET_KEY": "changeme-changeme-changeme-changeme"}, 3, "an example"),
    (["list"], ENV | {"AI_GATEWAY_CALLERS": "redis://x"}, 3, 'must be "file:PATH"'),
    (["new", "a"], ENV | {"AI_GATEWAY_CALLERS": "file:/proc/nowhere/callers.json"}, 3, "cannot be used"),
    (["current"], ENV, 3, "no weekly keys"),
    (["current"], {"ADMIN_SECRET": "short"}, 3, "shorter than 32 bytes"),
    (["current", "--client", "nobody"], {"ADMIN_SECRET": ROOT}, 2, "no weekly client 'nobody'"),
    (["list", "--config", "nowhere.toml"], ENV, 3, "cannot be read"),
]


@pytest.mark.parametrize(("words", "env", "code", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_what_goes_wrong(here: Run, words: list[str], env: dict[str, str], code: int, said: str) -> None:
    """Each is one line that says what to do, an exit code, and nothing on stdout."""
    done = here("callers", *words, env=env)

    assert code == done.returncode, done.stderr
    assert said in done.stderr
    assert "" == done.stdout
    assert "Traceback" not in done.stderr
    assert ROOT not in done.stderr
    assert "\x1b" not in done.stderr


def test_limits_are_listed(here: Run) -> None:
    """What a key may use in a minute stands at the end of its line; a dash, where that is everybody's limit."""
    here("callers", "new", "batch", "--requests-per-minute", "7", "--tokens-per-minute", "900", env=ENV)
    here("callers", "new", "editor", "--model", "smart", env=ENV)
    _, batch, editor = here("callers", "list", env=ENV).stdout.splitlines()

    assert batch.endswith("always                 - - - - 7 requests/min, 900 tokens/min")
    assert editor.endswith("always                 - smart - - -")


def test_the_same_name_twice(here: Run) -> None:
    """A second key for a name is refused while the first lives."""
    here("callers", "new", "editor", env=ENV)
    again = here("callers", "new", "editor", env=ENV)
    here("callers", "revoke", "editor", env=ENV)

    assert (2, "") == (again.returncode, again.stdout)
    assert "Rotate or revoke" in again.stderr
    only_the_key(here("callers", "new", "editor", env=ENV))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 9, "keys": []}', '{"version": 1, "keys": [7]}', "\x00"]
)
def test_a_broken_file(here: Run, tmp_path: Path, content: str) -> None:
    """What is no file of ours is not overwritten, and not taken for an empty one."""
    path = tmp_path / "callers.json"
    path.write_text(content, encoding="utf-8")
    done = [here("callers", *words, env=ENV) for words in (["new", "a"], ["list"], ["revoke", "a"])]

    assert [3, 3, 3] == [one.returncode for one in done]
    assert content == path.read_text(encoding="utf-8")
    assert "callers.json" in done[0].stderr


def test_encrypted(here: Run, write: Callable[[str], str], tmp_path: Path) -> None:
    """With encrypt = true nothing readable is in the file; the root rotates, and a lost one is a clear answer."""
    both = ECHO.replace('["env:SECRET_KEY"]', '["env:NEXT", "env:SECRET_KEY"]')
    file = write(ECHO + "encrypt = true\n")
    key = only_the_key(here("callers", "new", "canary-name", "--config", file, env=ENV))
    text = (tmp_path / "callers.json").read_text(encoding="utf-8")
    write(both + "encrypt = true\n")
    env = {"SECRET_KEY": ROOT, "NEXT": ROOT[::-1]}
    turned = here("callers", "list", "--config", file, env=env)
    write(ECHO.replace("SECRET_KEY", "NEXT") + "encrypt = true\n")
    alone = here("callers", "list", "--config", file, env=env)
    write(ECHO + "encrypt = true\n")
    lost = here("callers", "list", "--config", file, env=env)

    assert "canary" not in text
    assert key not in text
    assert ["canary-name" in done.stdout for done in (turned, alone)] == [True, True]
    assert (3, "") == (lost.returncode, lost.stdout)
    assert "another root secret" in lost.stderr


def test_the_weekly_key(here: Run) -> None:
    """`current` gives what the server would: the key alone on stdout, or JSON."""
    env = {"ADMIN_SECRET": ROOT}
    plain, as_json = here("callers", "current", env=env), here("callers", "current", "--json", env=env)
    said = json.loads(as_json.stdout)

    assert plain.stdout.strip() == said["api_key"]
    assert re.fullmatch(r"sk-[0-9A-Za-z]{49}", said["api_key"])
    assert "valid until" in plain.stderr
    assert 1 <= said["days_remaining"] <= 7
    assert said["api_key"] not in plain.stderr + as_json.stderr


def test_without_the_server(tmp_path: Path) -> None:
    """A program that is installed without the server's packages has every other command."""
    code = (
        "import sys; sys.modules.update(starlette=None, uvicorn=None); from aigateway.cli import run;"
        "sys.exit(run(['callers', 'current']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ADMIN_SECRET": ROOT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "sk-") == (done.returncode, done.stdout[:3]), done.stderr


# -- a running server -------------------------------------------------------------------------


def status(client: httpx2.Client, key: str) -> int:
    return client.get("/models", headers={"authorization": f"Bearer {key}"}).status_code


def turned(callers: Callable[..., str], client: httpx2.Client, first: str) -> tuple[str, str, list[int]]:
    """Rotate with a grace that lasts until both keys were tried, also where that takes long; give how they did."""
    for grace in (2, 10, 50):
        begun = time.monotonic()
        second = callers("rotate", "editor", "--grace", str(grace))
        both = [status(client, second), status(client, first)]
        if time.monotonic() - begun < grace:
            break
        first = second
    return first, second, both


def test_a_running_server_notices(run: Run, start: Start, write: Callable[[str], str]) -> None:
    """Made, rotated and revoked by another process: in force with the next request, 5 s at the latest."""
    file, env = write(ECHO), {"SECRET_KEY": ROOT}
    server = start("serve", "--config", file, "--port", "0", env=env)
    url = server.wait_for(r"at (http://\S+/v1)")[1]

    def callers(*words: str) -> str:
        return str(run("callers", *words, "--config", file, env=env).stdout.strip())

    with httpx2.Client(base_url=url, timeout=20) as client:
        assert 401 == status(client, "gw_live_x")
        first = callers("new", "editor")
        made = status(client, first)
        first, second, rotated = turned(callers, client, first)
        callers("revoke", "editor")
        ended = time.monotonic()
        while status(client, second) == 200 and time.monotonic() < ended + 20:
            time.sleep(0.02)
        took = time.monotonic() - ended
        while status(client, first) == 200 and time.monotonic() < ended + 80:
            time.sleep(0.02)
        dead = status(client, first)
    server.stop()

    assert 200 == made
    assert [200, 200] == rotated
    assert 401 == dead
    assert took < 5
    assert all(key not in server.output for key in (first, second, ROOT))


def test_an_ended_grace(run: Run, start: Start, write: Callable[[str], str]) -> None:
    """Rotated with a grace, both keys work; without, the old one is dead at once; the new one is good throughout."""
    file, env = write(ECHO), {"SECRET_KEY": ROOT}
    server = start("serve", "--config", file, "--port", "0", env=env)
    url = server.wait_for(r"at (http://\S+/v1)")[1]

    def callers(*words: str) -> str:
        return str(run("callers", *words, "--config", file, env=env).stdout.strip())

    with httpx2.Client(base_url=url, timeout=20) as client:
        first = callers("new", "editor")
        first, second, both = turned(callers, client, first)
        until = time.monotonic() + 80
        while status(client, first) == 200 and time.monotonic() < until:
            time.sleep(0.02)
        third = callers("rotate", "editor")
        last = [status(client, key) for key in (third, first)]
        while status(client, second) == 200 and time.monotonic() < until:
            time.sleep(0.02)
        last.append(status(client, second))

    assert [200, 200] == both
    assert [200, 401, 401] == last
