"""Vendors' lists over real sockets: asked on demand, kept beside the state, and never a reason to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from aigateway import Gateway
from aigateway.blocking import Gateway as BlockingGateway
from aigateway.cli._app import app
from aigateway.config import parse
from aigateway.errors import RequestError

pytestmark = pytest.mark.anyio


class Vendor(ThreadingHTTPServer):
    """List what a test says, to whoever sends a good key."""

    ids: list[str]
    asked: int = 0
    body: bytes | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Vendor

    def do_GET(self) -> None:
        """Answer GET /v1/models."""
        self.server.asked += 1
        good = self.headers["authorization"] == "Bearer good" and self.path == "/v1/models"
        body = (
            self.server.body
            or json.dumps({"object": "list", "data": [{"id": id_} for id_ in self.server.ids]}).encode()
        )
        self.send_response(200 if good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor(("127.0.0.1", 0), Handler) as server:
        server.ids = ["org/model", "small"]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tables(vendor: Vendor, **more: Any) -> dict[str, Any]:
    keys = [{"secret": secret, "allow_literal": True} for secret in ("bad", "good")]
    providers = {
        "vllm": {"type": "openai-compatible", "base_url": vendor.url, "keys": keys},
        "echo": {},
    }
    return {"providers": providers, **more}


async def test_a_server_of_ones_own_makes_its_models_known(vendor: Vendor) -> None:
    """Its list is asked with the first key that is taken; who has none to give is said, and nothing fails."""
    async with Gateway(parse(tables(vendor, models={"vllm/described": {"window": 5}}))) as gateway:
        before = await gateway.refresh_models("vllm")
        both = await gateway.refresh_models()
        names = gateway.parts.names

        assert [("vllm", 2, ["org/model", "small"], ["described"], None)] == [tuple(row.values()) for row in before]
        assert ["vllm", "echo"] == [row["provider"] for row in both]
        assert [] == both[0]["new"]
        assert "no list to ask for" in both[1]["error"]
        assert "in the catalogue of 'vllm'" == names._one("org/model", gateway.parts.names._day).how  # type: ignore[arg-type]  # a day does not matter
        with pytest.raises(RequestError, match="there is no provider 'vlm'"):
            await gateway.refresh_models("vlm")


async def test_a_list_does_not_take_names_from_whom_they_belong_to(vendor: Vendor) -> None:
    """A plain name goes to a model somebody described, though a vendor that comes first lists it."""
    vendor.ids = ["echo", "org/echo"]
    async with Gateway(parse(tables(vendor))) as gateway:
        await gateway.refresh_models("vllm")

        assert ("echo", "vllm") == (gateway.parts.names.owner("echo"), gateway.parts.names.owner("org/echo"))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"data": 5}', b'{"data": [{"id": 5}]}', b"9" * 9_000_000],
    ids=str.__len__ if False else repr,
)
async def test_lists_that_make_no_sense_change_nothing(vendor: Vendor, body: bytes) -> None:
    """What was known before stays known."""
    async with Gateway(parse(tables(vendor))) as gateway:
        await gateway.refresh_models("vllm")
        vendor.body = body or None
        vendor.ids = vendor.ids if body else []
        (row,) = await gateway.refresh_models("vllm")

        assert (row["error"] is None) == (body in {b"", b'{"data": [{"id": 5}]}'})
        assert (row["error"] is None) != ("small" in gateway.parts.catalogue["vllm"])


async def test_no_request_asks_for_a_list(vendor: Vendor) -> None:
    """Building, resolving and answering never do."""
    async with Gateway(parse(tables(vendor))) as gateway:
        await gateway.chat("echo/echo", "hi")

    assert 0 == vendor.asked


def test_programs_without_a_loop_can_ask(vendor: Vendor) -> None:
    """The same names without await."""
    with BlockingGateway(parse(tables(vendor))) as gateway:
        assert 2 == gateway.refresh_models("vllm")[0]["models"]
        assert ["echo/echo", "vllm/org/model", "vllm/small"] == sorted(row["id"] for row in gateway.ranking())


def test_the_command_asks_and_the_next_process_knows(vendor: Vendor, tmp_path: Path) -> None:
    """`aigateway models --refresh` keeps what is listed beside the state; `--provider` and `--ability` choose."""
    file = tmp_path / "aigateway.toml"
    file.write_text(
        f"""
        [state]
        url = "file:rests.json"
        [providers.vllm]
        type = "openai-compatible"
        base_url = "{vendor.url}"
        keys = [{{ secret = "good", allow_literal = true }}]
        [providers.echo]
        [models."vllm/mine"]
        abilities = ["vision"]
        prices = [{{ input = "0.0375", since = 2026-01-01, hours = ["Mon 01:00-02:00"] }}, {{ input = 4.35 }}]
        """
    )
    runner = CliRunner()

    def run(*words: str) -> str:
        done = runner.invoke(app, ["models", "--config", str(file), *words])
        assert 0 == done.exit_code, done.output
        return done.stdout

    asked = run("--refresh", "--provider", "vllm")
    later = run("--json", "--provider", "vllm")
    (mine,) = json.loads(run("--json", "--ability", "vision"))["models"]

    assert "vllm/org/model" in asked
    assert "not listed by its vendor" in next(line for line in asked.splitlines() if "vllm/mine" in line)
    assert "echo/echo" not in asked
    assert {"org/model": True, "small": True, "mine": False} == {
        card["id"]: card["listed"] for card in json.loads(later)["models"]
    }
    assert 1 == vendor.asked
    assert (tmp_path / "rests-models.json").exists()
    assert ("4.35", "?", ["vision"]) == (mine["input_per_million"], mine["output_per_million"], mine["abilities"])
    assert {"input": "0.0375", "since": "2026-01-01", "hours": ["Mon 01:00-02:00"]} == mine["prices"][0]


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["--provider", "vlm"], "Did you mean 'vllm'?"), (["--ability", "visoin"], "Did you mean 'vision'?")],
    ids=["provider", "ability"],
)
def test_wrong_filters_are_refused(vendor: Vendor, tmp_path: Path, words: list[str], hint: str) -> None:
    """The nearest word is named."""
    file = tmp_path / "aigateway.toml"
    file.write_text(f'[providers.vllm]\ntype = "openai-compatible"\nbase_url = "{vendor.url}"\n')
    done = CliRunner().invoke(app, ["models", "--config", str(file), *words])

    assert isinstance(done.exception, RequestError)
    assert hint in str(done.exception)
