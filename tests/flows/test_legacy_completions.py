"""Legacy completions by OpenAI's own client, and requests that were sent to the wrong place."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI

MODELS = ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b")


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt(client: OpenAI, model: str) -> None:
    """A prompt gives a completion, whole and streamed the same text, from every vendor."""
    whole = client.completions.create(model=model, prompt="hi", max_tokens=512)
    chunks = list(client.completions.create(model=model, prompt=["hi"], max_tokens=512, stream=True))

    assert whole.choices[0].text.endswith("stand-in. You said: hi")
    assert whole.choices[0].text == "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert "text_completion" == whole.object == chunks[0].object
    assert ["stop"] == [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert model.partition("/")[2] == whole.model
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


def test_usage_of_a_stream(client: OpenAI) -> None:
    """Usage comes in a chunk of its own for who asks for it."""
    options: Any = {"include_usage": True}
    chunks = list(client.completions.create(model=MODELS[0], prompt="hi", stream=True, stream_options=options))

    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("suffix", {"suffix": "."}),
        ("echo", {"echo": True}),
        ("logprobs", {"logprobs": 0}),
        ("best_of", {"best_of": 3}),
        ("prompt", {"prompt": ["a", "b"]}),
        ("prompt", {"prompt": [1, 2]}),
        ("prompt", {"prompt": ""}),
    ],
)
def test_refused(client: OpenAI, param: str, fields: dict[str, Any]) -> None:
    """What chat cannot do is refused, naming the field and what to do instead."""
    with pytest.raises(BadRequestError) as caught:
        client.completions.create(**{"model": MODELS[0], "prompt": "hi", **fields})

    assert param == caught.value.param


@pytest.mark.parametrize(("place", "body"), [("/v1/completions", {"prompt": "hi"})])
def test_sent_to_the_wrong_place(client: OpenAI, place: str, body: dict[str, Any]) -> None:
    """A request in another dialect, sent to chat, is told where it belongs."""
    answer = httpx2.post(f"{client.base_url}chat/completions", json={"model": MODELS[0], **body})

    assert 400 == answer.status_code
    assert place in answer.json()["error"]["message"]
    assert next(iter(body)) == answer.json()["error"]["param"]
