"""The small ways to ask: a prompt in, a text out."""

from __future__ import annotations

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st


def events(reply: httpx2.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]


def test_a_form(http: httpx2.Client) -> None:
    """POST /chat takes a form with a prompt."""
    reply = http.post("/chat", data={"prompt": "hi & bye = ä", "model": "smart"})

    assert {"response", "model", "usage"} == reply.json().keys()
    assert "hi & bye = ä" == reply.json()["response"]
    assert "echo" == reply.json()["model"]
    assert reply.json()["usage"]["total_tokens"] > 0


def test_json(http: httpx2.Client) -> None:
    """POST /chat/json takes the same as JSON, with chat's fields beside it."""
    reply = http.post("/chat/json", json={"prompt": "hi", "temperature": 0.5, "routing": {"only": ["echo"]}})

    assert "hi" == reply.json()["response"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_inference(http: httpx2.Client, prefix: str) -> None:
    """/v1/inference/complete gives the text; /v1/inference/stream gives it in pieces, then [DONE]."""
    whole = http.post(f"{prefix}/inference/complete", json={"prompt": "hi there", "max_tokens": 50}).json()
    stream = http.post(f"{prefix}/inference/stream", json={"prompt": "hi there"})
    *pieces, last = events(stream)

    assert {"text", "model", "usage", "cached"} == whole.keys()
    assert ("hi there", False) == (whole["text"], whole["cached"])
    assert "hi there" == "".join(json.loads(piece)["text"] for piece in pieces)
    assert "[DONE]" == last
    assert "text/event-stream; charset=utf-8" == stream.headers["content-type"]


def test_chat_that_is_always_streamed(http: httpx2.Client) -> None:
    """/v1/chat/completions/stream streams, whatever `stream` says."""
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": False, "stream_options": {"include_usage": True}}
    *chunks, last = events(http.post("/v1/chat/completions/stream", json=body))

    assert "[DONE]" == last
    assert "hi" == "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in json.loads(chunk)["choices"]
    )
    assert json.loads(chunks[-1])["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/chat", b"", "prompt"),
        ("/chat", b"prompt=", "prompt"),
        ("/chat", b"prompt=a&prompt=b", "prompt"),
        ("/chat", b"prompt=%ff", None),
        ("/chat", b"a=" + b"&a=" * 100, None),
        ("/chat/json", b'{"prompt": 1}', "prompt"),
        ("/chat/json", b'{"prompt": "a", "messages": []}', "messages"),
        ("/chat/json", b"[]", None),
        ("/v1/inference/complete", b'{"prompt": "a", "max_tokens": 0}', "max_tokens"),
        ("/v1/inference/stream", b'{"prompt": ""}', "prompt"),
        ("/v1/inference/complete", b'{"prompt": "a", "api_base": "http://a.example"}', "api_base"),
    ],
)
def test_wrong_prompts(http: httpx2.Client, path: str, body: bytes, param: str | None) -> None:
    """What is wrong is a 400 that names the field."""
    reply = http.post(path, content=body)

    assert 400 == reply.status_code, reply.text
    assert param == reply.json()["error"]["param"]


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.encode("utf-8", "replace").decode() == text))
def test_any_prompt_comes_back(http: httpx2.Client, prompt: str) -> None:
    """Whatever a form says is what is asked."""
    assert prompt == http.post("/chat", data={"prompt": prompt}).json()["response"]
