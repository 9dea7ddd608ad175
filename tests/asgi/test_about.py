"""What a person who looks at the address finds: a welcome, a sign of life, a description of the routes."""

from __future__ import annotations

import re
import socket
from typing import Any

import httpx2
import pytest

from aigateway.asgi import _pages
from aigateway.asgi._app import ROUTES
from aigateway.asgi._openapi import BODIES

from .test_client_keys import OPERATOR, Serve, static

ADMIN = {"keys": [static("operator", OPERATOR, scopes=["admin"])]}
KEY = {"authorization": f"Bearer {OPERATOR}"}


def test_the_welcome_leads_on(http: httpx2.Client) -> None:
    """GET / says what this is; every link in it is answered."""
    body = http.get("/").json()

    assert "aigateway" == body["name"]
    assert {405 if name == "chat" else 200 for name in body["links"]} == {
        http.get(link).status_code for link in body["links"].values()
    }


def test_ping_counts(http: httpx2.Client) -> None:
    """GET /ping says since when it lives and how often it was asked, refused requests included."""
    before = http.get("/ping").json()
    http.get("/nothing")
    after = http.get("/ping").json()

    assert "ok" == before["status"]
    assert before["requests"] + 2 == after["requests"]
    assert after["uptime_s"] >= before["uptime_s"]


def test_the_description_names_every_route(http: httpx2.Client) -> None:
    """openapi.json describes each route of the table with its methods; what a body must be is in it."""
    described = http.get("/openapi.json").json()
    listed = {
        (re.sub(r":\w+}", "}", entry.path), method.lower()) for entry in ROUTES for method in entry.methods.split()
    }

    assert listed == {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert "messages" in described["components"]["schemas"]["ChatBody"]["required"]
    summaries = {operation["summary"] for methods in described["paths"].values() for operation in methods.values()}
    assert all(summaries)


def test_bodies_belong_to_routes() -> None:
    """What is described as a body is a route's that takes one, and each such route has one."""
    takes_one = {entry.path for entry in ROUTES if entry.methods == "POST" and entry.access == "chat"}

    assert takes_one <= set(BODIES) <= {entry.path for entry in ROUTES if "POST" in entry.methods.split()}


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_load_from_here_alone(http: httpx2.Client, path: str) -> None:
    """The pages take their scripts and styles from this address, and may load nothing from another."""
    page = http.get(path)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert sources
    for source in sources:
        assert not source.startswith(("http", "//"))
        assert 200 == http.get(f"/{source}").status_code


def test_only_assets_are_served(http: httpx2.Client) -> None:
    """Whatever is asked for as an asset, nothing but the three files is given."""
    for name in ("../../pyproject.toml", "..%2f..%2fetc%2fpasswd", "core.py", "", "swagger-ui.css/"):
        assert 404 == http.get(f"/docs/assets/{name}").status_code


def test_without_the_scripts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the scripts are not installed, the page says so and leads to the description."""
    monkeypatch.setattr(_pages, "CARRIER", "nobody-publishes-this")
    with serve() as client:
        page = client.get("/docs")

    assert 200 == page.status_code
    assert 'href="openapi.json"' in page.text
    assert "pip install" in page.text


def test_with_half_of_the_scripts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that holds something else shows no broken page: it is said in the log, and nothing is served."""
    monkeypatch.setattr(_pages, "CARRIER", "pytest")
    with serve() as client:
        page, asset = client.get("/redoc"), client.get("/docs/assets/swagger-ui.css")

    assert (200, 404) == (page.status_code, asset.status_code)
    assert "pip install" in page.text


def test_operators_read_them_unless_debug(serve: Serve) -> None:
    """With client keys the pages are the operators'; with `server.debug` everybody's."""
    paths = ("/docs", "/redoc", "/openapi.json", "/docs/assets/swagger-ui.css")
    with serve(callers=ADMIN) as client:
        closed = [client.get(path).status_code for path in paths]
        opened = [client.get(path, headers=KEY).status_code for path in paths]
    with serve(callers=ADMIN, server={"debug": True}) as client:
        public = [client.get(path).status_code for path in paths]

    assert ([401] * 4, [200] * 4, [200] * 4) == (closed, opened, public)


def test_health_in_detail(serve: Serve) -> None:
    """Operators see whether each provider can be reached, and why not; vendors are not asked at every look."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    providers: dict[str, Any] = {"echo": {}, "away": {"type": "openai-compatible", "base_url": nobody}}
    with serve(callers=ADMIN, providers=providers) as client:
        found = client.get("/health/detailed", headers=KEY).json()
        again = client.get("/health/detailed", headers=KEY).json()

    assert True is found["providers"]["echo"]["reachable"]
    assert (False, "connect") == (found["providers"]["away"]["reachable"], found["providers"]["away"]["why"])
    assert {} == found["plugin_faults"]
    assert found["providers"] == again["providers"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_who_may_not_read_them_is_told_who_may(serve: Serve, path: str) -> None:
    """A person at a browser sends no key: the refusal names the setting that shows the pages to everybody."""
    keys = {"keys": [*ADMIN["keys"], static()]}
    with serve(callers=keys) as client:
        refusals = [client.get(path), client.get(path, headers={"x-api-key": static()["secret"]})]

    assert [401, 403] == [reply.status_code for reply in refusals]
    for reply in refusals:
        message = reply.json()["error"]["message"]
        assert all(part in message for part in ("'admin'", "debug = true", "[server]"))
