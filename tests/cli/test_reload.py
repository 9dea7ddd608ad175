"""`serve` told to load its configuration again: by a signal, by an operator, in every worker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

Start = Callable[..., Any]
RELOADED = r"the configuration was reloaded from gateway.toml"


def config(route: str, more: str = "") -> str:
    return f'[providers.echo]\n[routes.{route}]\ntargets = ["echo/echo"]\n{more}'


def routes(url: str) -> set[str]:
    """Ask on a new connection, so that any of the workers may answer."""
    with httpx2.Client(timeout=30) as client:
        reply = client.get(f"{url}/models")
        assert 200 == reply.status_code
        return {row["id"] for row in reply.json()["data"] if row["owned_by"] == "aigateway"}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_process_reloads(start: Start, tmp_path: Path, workers: int) -> None:
    """SIGHUP and POST /admin/reload load it in every process, also when one is just being started; none is ended."""
    file = tmp_path / "gateway.toml"
    file.write_text(config("one"))
    server = start("serve", "--config", "gateway.toml", "--port", "0", "--workers", str(workers))
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    server.process.send_signal(signal.SIGHUP)  # workers are only being started
    server.wait_for(rf"({RELOADED}[\s\S]*){{{workers}}}")
    file.write_text(config("two"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(rf"({RELOADED}[\s\S]*){{{2 * workers}}}")
    after_signal = [routes(url) for _ in range(4 * workers)]
    file.write_text(config("three", "[server]\nport = 9\n"))
    with httpx2.Client(timeout=30) as client:
        reply = client.post(f"{url.removesuffix('/v1')}/admin/reload")
    by_request = 1 if workers == 1 else workers + 1  # the parent tells the one that was asked, too
    server.wait_for(rf"({RELOADED}[\s\S]*){{{2 * workers + by_request}}}")
    after_request = [routes(url) for _ in range(4 * workers)]
    file.write_text(config("four", "[nonsense]\n"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(rf"(was not reloaded, the one before goes on: gateway.toml, line 4: [\s\S]*){{{workers}}}")
    still = routes(url)
    code = server.stop(signal.SIGTERM)

    assert [{"two"}] * (4 * workers) == after_signal
    assert (200, True) == (reply.status_code, reply.json()["reloaded"])
    assert ["gateway.toml, line 5: server.port is another now, which needs a restart"] == reply.json()["warnings"]
    assert [{"three"}] * (4 * workers) == after_request
    assert {"three"} == still
    assert 0 == code
    assert "Traceback" not in server.output


def test_reloading_what_cannot_be(start: Start, tmp_path: Path) -> None:
    """The sandbox has nothing to load again: SIGHUP is said to be of no use, and it goes on; a file is not read."""
    (tmp_path / "aigateway.toml").write_text(config("one"))
    server = start("serve", "--sandbox", "--port", "0")
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    routes(url)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(r"\n\d{4}-\d\d-\d\d [\d:,]+ WARNING aigateway.server: the configuration of this gateway")

    assert server.output.startswith("note: aigateway.toml is not read: the sandbox has a configuration of its own\n")
    assert {"smart"} == routes(url)
    assert 0 == server.stop(signal.SIGTERM)


def test_keys_cannot_be_taken_from_an_open_server(start: Start, tmp_path: Path) -> None:
    """A server that listens to other machines keeps its client keys when the configuration has none any more."""
    keys = '[[callers.keys]]\nname = "one"\nsecret = "0123456789-canary"\nallow_literal = true\n'
    file = tmp_path / "gateway.toml"
    file.write_text(config("one", keys))
    server = start("serve", "--config", "gateway.toml", "--host", "0.0.0.0", "--port", "0")  # the point
    url = server.wait_for(r"at (http://\S+/v1)")[1].replace("0.0.0.0", "127.0.0.1")  # the point
    file.write_text(config("two"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("was not reloaded, the one before goes on: listening on 0.0.0.0 without client keys")
    with httpx2.Client(timeout=30) as client:
        asked = [client.get(f"{url}/models", headers={"x-api-key": key}) for key in ("", "0123456789-canary")]

    assert [401, 200] == [reply.status_code for reply in asked]
    assert 0 == server.stop(signal.SIGTERM)
    assert "canary" not in server.output


def test_the_command(start: Start, here: Callable[..., Any], tmp_path: Path) -> None:
    """`aigateway reload` says what needs a restart, and gives the reason with exit code 1 when nothing was reloaded."""
    file = tmp_path / "gateway.toml"
    file.write_text(config("one"))
    server = start("serve", "--config", "gateway.toml", "--port", "0")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    file.write_text(config("two", "[server]\nport = 9\n"))
    good = here("reload", "--url", url)
    file.write_text("[[[")
    wrong = here("reload", "--url", url)

    assert (0, "The configuration was reloaded.\n") == (good.returncode, good.stdout)
    assert "warning: gateway.toml, line 5: server.port is another now, which needs a restart\n" == good.stderr
    assert 1 == wrong.returncode
    assert "nothing was reloaded: gateway.toml is not valid TOML at line 1" in wrong.stderr
    assert {"two"} == routes(f"{url}/v1")
