"""An application that loads its configuration again, wherever it is mounted, on both event loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from aigateway import Gateway, Settings
from aigateway.asgi import App, create_app
from aigateway.asgi._app import Served
from aigateway.config import parse
from aigateway.errors import ConfigurationError, RequestError


class Loads:
    """Give other settings each time."""

    def __init__(self, **tables: Any) -> None:
        self.tables = tables
        self.count = 0

    def __call__(self) -> Settings:
        self.count += 1
        return settings(f"way-{self.count}", **self.tables)


def settings(route: str, **tables: Any) -> Settings:
    return parse({"providers": {"echo": {}}, "routes": {route: {"targets": ["echo/echo"]}}, **tables})


async def routes(app: App) -> list[str]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        reply = await client.get("/v1/models")
    return [row["id"] for row in reply.json()["data"] if row["owned_by"] == "aigateway"]


def served(app: App) -> Served:
    return app._served


@pytest.mark.anyio
async def test_one_that_makes_its_gateways() -> None:
    """Each reload is served at once, and closes what was before; `aclose` closes the last one."""
    app = create_app(load=Loads())
    first = app.gateway
    before = await routes(app)
    warnings = await app.reload()
    after, opened = await routes(app), list(first.lasting.open)
    await app.aclose()

    assert (["way-1"], [], ["way-2"]) == (before, warnings, after)
    assert [app.gateway] == opened
    assert app.gateway is not first
    assert {} == first.lasting.open


@pytest.mark.anyio
async def test_one_that_was_given_its_gateway() -> None:
    """The gateway its owner made is the owner's to close, those that follow are the application's."""
    async with Gateway(settings("mine")) as mine:
        app = create_app(mine, load=Loads())
        await app.reload()
        second = app.gateway
        await app.reload()
        opened = set(mine.lasting.open)
        await app.aclose()
        left = set(mine.lasting.open)
        reply = await mine.chat("mine", "hi")

    assert {mine, app.gateway} == opened
    assert second not in opened
    assert {mine} == left
    assert "hi" == reply.text


@pytest.mark.anyio
async def test_nothing_to_load_from() -> None:
    """Without a way to load them again, settings are their owner's: the reason says how."""
    async with Gateway(settings("mine")) as mine:
        app = create_app(mine)
        with pytest.raises(RequestError, match="Give create_app a `load`") as refused:
            await app.reload()

    assert (409, "not_reloadable") == (refused.value.status, refused.value.code)


@pytest.mark.anyio
async def test_the_other_processes_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """After a reload that went well, and not after one that did not; what needs a restart is said and logged."""
    loads, told = Loads(), list[int]()
    app = create_app(load=loads)
    app.spread = lambda: told.append(loads.count)
    loads.tables = {"server": {"port": 9999}}
    warnings = await app.reload_all()
    loads.tables = {"callers": {"weekly": {"root": "short", "allow_literal": True}}}
    with pytest.raises(ConfigurationError):
        await app.reload_all()
    app.spread, loads.tables = None, {}
    await app.reload_all()
    await app.aclose()

    assert [2] == told
    assert ["server.port is another now, which needs a restart" in warning for warning in warnings] == [True]
    assert warnings[0] in caplog.text


@pytest.mark.anyio
async def test_what_fails_anyhow(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever loading raises, its words are not told: a secret may be in them; nothing is left open."""

    def fails() -> Settings:
        raise RuntimeError("sk-canary-0123456789")

    async with Gateway(settings("mine")) as mine:
        app = create_app(mine, load=fails)
        with pytest.raises(ConfigurationError, match=r"a part failed \(RuntimeError\)"):
            await app.reload()
        app = create_app(mine, load=Loads(callers={"weekly": {"root": "short", "allow_literal": True}}))
        with pytest.raises(ConfigurationError, match="shorter than 32 bytes"):
            await app.reload()
        opened = list(mine.lasting.open)

    assert [mine] == opened
    assert "canary" not in caplog.text


@pytest.mark.anyio
async def test_client_keys_that_are_kept(tmp_path: Path) -> None:
    """The place of client keys goes on while it and its roots are the same; others are another place."""
    file = tmp_path / "callers.json"
    key = {"name": "x", "secret": "static-key-0123456789", "allow_literal": True}

    def load(root: str) -> Settings:
        return parse(
            {"providers": {"echo": {}}, "callers": {"store": f"file:{file}", "roots": [root], "keys": [key]}},
        )

    roots = tmp_path / "one", tmp_path / "two"
    for number, path in enumerate(roots):
        path.touch(0o600)
        path.write_text(f"qX7-vR2_mK9.tL4zW8sB1nD6fH3{number}jPeU5")
    wanted = [f"file:{roots[0]}", f"file:{roots[0]}", f"file:{roots[1]}"]
    app = create_app(load=lambda: load(wanted.pop(0)))
    stores = [served(app)._who.stored]
    for _ in range(2):
        await app.reload()
        stores.append(served(app)._who.stored)
    await app.aclose()

    assert stores[0] is stores[1]
    assert stores[1] is not stores[2]


JWKS = {"jwks": "https://127.0.0.1:1/keys", "audience": "x", "algorithms": ["RS256"]}


@pytest.mark.anyio
async def test_public_keys_that_were_fetched() -> None:
    """Tokens' public keys are kept while their place is the same: it may be out of reach just then."""
    app = create_app(load=Loads(callers={"jwt": JWKS}))
    before: Any = served(app)._who.tokens
    before.load({"keys": []})
    before.fetched, before.is_read, before._keys = 7.0, True, {"a": object()}
    await app.reload()
    after: Any = served(app)._who.tokens
    await app.aclose()

    assert after is not before  # it asks by the new gateway
    assert (before._keys, 7.0, True) == (after._keys, after.fetched, after.is_read)
