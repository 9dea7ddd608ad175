"""The header `x-aigateway-routing`: the same object as the body's, laid under it, and never sent on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from aigateway.asgi import create_app

from ..exchange.parts import Parts, gateway, reply_of

HELLO = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}


def ask(headers: list[tuple[str, str]], **fields: Any) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """Ask over HTTP; give the status, the answer, and the bodies vendors got."""
    sent: list[dict[str, Any]] = []

    def give(request: Any) -> Any:
        sent.append(dict(request.body))
        return reply_of("hi")

    app = create_app(gateway(Parts(a=give, b=give)))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, **fields}, headers=headers)
    found = {"provider": answer.headers.get("x-aigateway-provider"), **answer.json()}
    return answer.status_code, found, sent


def test_a_header_says_where_to_go() -> None:
    """As the body's object does; the body's fields count where both name one, and nothing of it is sent on."""
    header = ("x-aigateway-routing", json.dumps({"only": ["b"], "tags": ["x"]}))
    _, by_header, sent = ask([header])
    _, by_body, _ = ask([header], routing={"only": ["a"]})

    assert ("b", "a") == (by_header["provider"], by_body["provider"])
    assert [{"messages": HELLO["messages"]}] == sent


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([("x-aigateway-routing", "{")], "must be JSON"),
        ([("x-aigateway-routing", '{"onyl": []}')], "did you mean 'only'?"),
        ([("x-aigateway-routing", '{"only": ["bb"]}')], "Did you mean 'b'?"),
        ([("x-aigateway-routing", "{}"), ("x-aigateway-routing", "{}")], "sent twice"),
    ],
)
def test_a_wrong_header_is_refused(headers: list[tuple[str, str]], words: str) -> None:
    """With 400, the field's name, and nothing sent."""
    status, body, sent = ask(headers)

    assert (400, []) == (status, sent)
    assert words in body["error"]["message"]
    assert body["error"]["param"].startswith("routing")
