"""`GET /metrics` of a server with several workers tells of all of them, whichever answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

Start = Callable[..., Any]
CONFIG = """
default_model = "echo"
providers.echo = {}
[[callers.keys]]
name = "operator"
secret = "operator-0123456789"
allow_literal = true
scopes = ["admin", "chat"]
"""


def test_all_workers_are_counted(start: Start, write: Callable[[str], str]) -> None:
    """Forty calls on connections of their own, answered by either worker, are forty in every look."""
    server = start("serve", "--config", write(CONFIG), "--port", "0", "--workers", "2")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    key = {"authorization": "Bearer operator-0123456789"}
    body = {"messages": [{"role": "user", "content": "hi"}]}
    for _ in range(40):
        assert 200 == httpx2.post(f"{url}/v1/chat/completions", json=body, headers=key, timeout=30).status_code
    pages = [httpx2.get(f"{url}/metrics", headers=key, timeout=30) for _ in range(6)]
    counted = [
        float(line.rpartition(" ")[2])
        for page in pages
        for line in page.text.splitlines()
        if line.startswith('aigateway_requests_total{operation="chat",outcome="complete"}')
    ]

    assert [40.0] * 6 == counted
    assert pages[0].headers["content-type"].startswith("text/plain")
    assert "operator-0123456789" not in pages[0].text
