"""What an HTTP client sees of a provider none of whose keys may be used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Serve

KEY: dict[str, Any] = {"secret": "sk-ours-0123456789", "allow_literal": True}


@pytest.mark.parametrize("more", [{"expires": datetime(2020, 1, 1, tzinfo=UTC)}, {"models": ["other"]}], ids=str)
def test_it_is_an_answer_with_a_wait(serve: Serve, more: dict[str, Any]) -> None:
    """503 with a whole number of seconds, each time: never an exception in the server."""
    vendor = {"type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "keys": [{**KEY, **more}]}
    with serve(providers={"echo": {}, "v": vendor}) as client:
        for _ in range(2):
            request = {"model": "v/m", "messages": [{"role": "user", "content": "hi"}]}
            response = client.post("/v1/chat/completions", json=request)

            assert 503 == response.status_code
            assert "no_answer" == response.json()["error"]["code"]
            assert 1 <= int(response.headers.get("retry-after", "1")) <= 86_401
