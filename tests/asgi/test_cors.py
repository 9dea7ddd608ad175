"""Pages of other sites: nothing for them unless their site is named."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import httpx2
import pytest

from aigateway.config import parse
from aigateway.errors import ConfigurationError

from .test_client_keys import CHAT, EDITOR, KEYS, Serve

SITE, OTHER = "https://app.example.com", "https://evil.example.net"
KEY = {"authorization": f"Bearer {EDITOR}"}


def ask_first(client: httpx2.Client, site: str) -> httpx2.Response:
    """Ask as a browser does before it sends a chat request."""
    wants = {
        "origin": site,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }
    return client.options("/v1/chat/completions", headers=wants)


def test_off_by_default(serve: Serve) -> None:
    """Without the setting no answer is readable for a page, and the question before it is refused."""
    with serve(callers=KEYS) as client:
        asked, answer = ask_first(client, SITE), client.post("/v1/chat/completions", json=CHAT, headers=KEY)

    assert 401 == asked.status_code
    assert "access-control-allow-origin" not in answer.headers | asked.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_site_that_is_named(serve: Serve, stream: bool) -> None:
    """Its pages may ask, with a key, and read the answer, our headers, and errors; never with cookies."""
    with serve(callers=KEYS, server={"cors": [SITE]}) as client:
        asked = ask_first(client, SITE)
        answer = client.post("/v1/chat/completions", json={**CHAT, "stream": stream}, headers={**KEY, "origin": SITE})
        refused = client.post("/v1/chat/completions", json=CHAT, headers={"origin": SITE})

    assert [200, 200, 401] == [reply.status_code for reply in (asked, answer, refused)]
    for reply in (asked, answer, refused):
        assert SITE == reply.headers["access-control-allow-origin"]
        assert "access-control-allow-credentials" not in reply.headers
    assert "x-stainless-lang" in asked.headers["access-control-allow-headers"]
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-aigateway-cost", "openai-processing-ms"} <= set(exposed)


def test_a_site_that_is_not(serve: Serve) -> None:
    """Another site's page reads nothing."""
    with serve(callers=KEYS, server={"cors": [SITE]}) as client:
        asked = ask_first(client, OTHER)
        answer = client.post("/v1/chat/completions", json=CHAT, headers={**KEY, "origin": OTHER})

    assert 400 == asked.status_code
    assert "access-control-allow-origin" not in answer.headers | asked.headers


def test_every_site(serve: Serve) -> None:
    """A star lets every site's pages ask."""
    with serve(callers=KEYS, server={"cors": ["*"]}) as client:
        assert "*" == ask_first(client, OTHER).headers["access-control-allow-origin"]


def test_questions_are_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The question before a request has its line in the access log, too."""
    with caplog.at_level(logging.INFO, logger="aigateway.access"), serve(callers=KEYS, server={"cors": [SITE]}) as to:
        ask_first(to, SITE + '"')
    line: dict[str, Any] = json.loads(caplog.records[-1].getMessage())

    assert ("OPTIONS", 400, "preflight", SITE + '"') == tuple(line[n] for n in ("method", "status", "ended", "origin"))


@pytest.mark.parametrize(
    "origin", ["app.example.com", f"{SITE}/", f"{SITE}/page", "HTTPS://app.example.com", "ftp://a.example", ""]
)
def test_what_is_no_site(origin: str) -> None:
    """What no browser would send is refused at the start."""
    with pytest.raises(ConfigurationError, match=re.escape(f"such as {SITE}")):
        parse({"server": {"cors": [origin]}})
