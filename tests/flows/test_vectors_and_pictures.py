"""Vectors and pictures through a whole gateway: in-process, and with OpenAI's own client over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI

from aigateway import Gateway, Settings
from aigateway.errors import Kind, ProviderError
from aigateway.testing.sandbox import Sandbox
from aigateway.testing.sandbox._made import PNG, vector

Configure = Callable[..., Settings]
Serving = Callable[..., AbstractContextManager[str]]
Switch = Callable[[str, str], None]
SMALL = "text-embedding-3-small"
LONG = {"connect": 5.0, "first_content": 20.0, "silence": 20.0, "answer": 20.0, "total": 60.0}
ROUTES = {
    "vectors": {"targets": [f"openai/{SMALL}", "openai/text-embedding-3-large", f"spare/{SMALL}"]},
    "spread": {"targets": [f"openai/{SMALL}", "openai/text-embedding-3-large"], "policy": "priority"},
    "pictures": {"targets": ["minimax/image-01", "openai/gpt-image-2"]},
}


@pytest.fixture
def settings(configure: Configure, standins: Sandbox) -> Settings:
    keys = [{"secret": standins.key, "allow_literal": True}]
    tables = {name: {"base_url": vendor.url, "keys": keys} for name, vendor in standins.vendors.items()}
    spare = {
        "type": "openai",
        "base_url": standins.vendors["openai"].url.replace("127.0.0.1", "localhost"),
        "keys": keys,
    }
    return configure(
        providers={**tables, "spare": spare}, routes=ROUTES, default_model="vectors", fallback="pictures", timeouts=LONG
    )


@pytest.fixture
def over_http(settings: Settings, serving: Serving) -> Iterator[OpenAI]:
    with (
        serving(Gateway(settings, seed=1)) as url,
        OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client


@pytest.mark.anyio
async def test_vectors_in_process(settings: Settings) -> None:
    """One vector for each text, in order, with usage, cost and the decision."""
    async with Gateway(settings, seed=1) as gateway:
        reply = await gateway.embed(SMALL, ["a boat", "a cat"], dimensions=8)

    assert [vector(text, SMALL, 8) for text in ("a boat", "a cat")] == reply.vectors
    assert reply.usage.input > 0
    assert reply.usage.output == 0
    assert reply.cost.amount == reply.usage.input * 20_000
    assert reply.decision is not None
    assert f"openai/{SMALL}" == reply.decision.answered_by
    assert SMALL == reply.model


def test_vectors_over_http(over_http: OpenAI, standins: Sandbox) -> None:
    """OpenAI's client (which asks for base64 by itself) and a client that asks for numbers read the same vectors."""
    packed = over_http.embeddings.create(model=SMALL, input=["a boat", "a cat"], dimensions=8)
    plain = over_http.embeddings.create(model=SMALL, input="a boat", dimensions=8, encoding_format="float")
    tokens = over_http.embeddings.create(model=SMALL, input=[[1, 2, 3], [4]], dimensions=8)

    assert [vector(text, SMALL, 8) for text in ("a boat", "a cat")] == [row.embedding for row in packed.data]
    assert [0, 1] == [row.index for row in packed.data]
    assert packed.data[0].embedding == plain.data[0].embedding
    assert 2 == len(tokens.data)
    assert 4 == tokens.usage.prompt_tokens
    assert ["base64", "float", "base64"] == [
        seen.body["encoding_format"] for seen in standins.vendors["openai"].requests
    ]


def test_headers(over_http: OpenAI) -> None:
    """Vectors come with the headers every answer has, also without /v1."""
    root = str(over_http.base_url).removesuffix("/v1/")
    for path in ("/v1/embeddings", "/embeddings"):
        answer = httpx2.post(root + path, json={"model": SMALL, "input": "a"})

        assert 200 == answer.status_code
        assert "sandbox/openai" == answer.headers["x-aigateway-provider"]
        assert SMALL == answer.headers["x-aigateway-model"]


@pytest.mark.anyio
async def test_one_model_alone(settings: Settings, switch: Switch) -> None:
    """When a model's provider fails, only the same model elsewhere answers: vectors of two models do not compare."""
    switch("openai", "error:503*2")  # the first call, and the one again at the same target
    async with Gateway(settings, seed=1) as gateway:
        reply = await gateway.embed("vectors", "a", dimensions=4)
    decision = reply.decision

    assert decision is not None
    assert [vector("a", SMALL, 4)] == reply.vectors
    assert {"other_model"} == {drop.code for drop in decision.dropped if drop.target == "openai/text-embedding-3-large"}


@pytest.mark.anyio
async def test_never_another_model(settings: Settings, switch: Switch) -> None:
    """With nobody else who has the model, the failure is told."""
    switch("openai", "error:503")
    async with Gateway(settings, seed=1) as gateway:
        with pytest.raises((ProviderError, ExceptionGroup)):
            await gateway.embed("spread", "a")


@pytest.mark.anyio
async def test_pictures_of_two_vendors(settings: Settings, standins: Sandbox) -> None:
    """Pictures have one shape whoever made them, and cost what the vendor counts: each, or tokens."""
    async with Gateway(settings, seed=1) as gateway:
        each = await gateway.image("image-01", "a boat", n=2, size="1024x768", user="7", quality="low")
        tokens = await gateway.image("gpt-image-2", "a boat")
        links = await gateway.image("image-01", "a boat", response_format="url")
        held = await gateway.image("gpt-image-2", "a boat", response_format="url", aspect_ratio="1:1")
    sent = [seen.body for seen in standins.vendors["minimax"].requests]

    assert [PNG, PNG] == [image.b64_json for image in each.images]
    assert PNG == tokens.images[0].b64_json
    assert tokens.images[0].data is not None
    assert tokens.images[0].data.startswith(b"\x89PNG")
    assert "https://img.example.com/0.jpeg" == links.images[0].url
    assert f"data:image/png;base64,{PNG}" == held.images[0].url
    assert 2 * 3_500_000_000 == each.cost.amount
    assert 272 == tokens.usage.output
    assert {
        "model": "image-01",
        "prompt": "a boat",
        "n": 2,
        "width": 1024,
        "height": 768,
        "response_format": "base64",
    } == sent[0]
    assert {"model", "prompt"} == set(standins.vendors["openai"].requests[-1].body)


def test_pictures_over_http(over_http: OpenAI) -> None:
    """OpenAI's client reads pictures of both vendors; the older path gives the same."""
    for model in ("image-01", "gpt-image-2"):
        made = over_http.images.generate(model=model, prompt="a boat", n=2)

        assert made.data is not None
        assert [PNG, PNG] == [picture.b64_json for picture in made.data]
    root = str(over_http.base_url).removesuffix("/v1/")
    answer = httpx2.post(f"{root}/images/generate", json={"model": "image-01", "prompt": "a boat"}).json()

    assert [{"b64_json": PNG}] == answer["data"]


@pytest.mark.anyio
async def test_pictures_fail_over(settings: Settings, switch: Switch, standins: Sandbox) -> None:
    """A failure inside 200, and a request one vendor is too small for, go on to the other; policy stops."""
    async with Gateway(settings, seed=1) as gateway:
        switch("minimax", "error:1033*2")
        inside = await gateway.image("pictures", "a boat")
        larger = await gateway.image("pictures", "a boat " * 300)
        switch("minimax", "error:1026*1")
        with pytest.raises(ProviderError) as refused:
            await gateway.image("pictures", "something forbidden")

    for reply in (inside, larger):
        assert reply.decision is not None
        assert "openai/gpt-image-2" == reply.decision.answered_by
    assert Kind.CONTENT_POLICY is refused.value.kind


def test_errors_over_http(over_http: OpenAI) -> None:
    """What the caller must change is said in OpenAI's way, naming the field."""
    bad: list[tuple[str, dict[str, Any]]] = [
        ("input", {"model": SMALL, "input": []}),
        ("input[1]", {"model": SMALL, "input": ["a", ""]}),
        ("dimensions", {"model": SMALL, "input": "a", "dimensions": 0}),
        ("encoding_format", {"model": SMALL, "input": "a", "encoding_format": "int8"}),
    ]
    for param, fields in bad:
        with pytest.raises(BadRequestError) as caught:
            over_http.embeddings.create(**fields)

        assert param == caught.value.param
    with pytest.raises(BadRequestError) as stopped:
        over_http.images.generate(model="image-01", prompt="a", n=11)
    with pytest.raises(BadRequestError, match="not a model for images"):
        over_http.images.generate(model=f"openai/{SMALL}", prompt="a")

    assert "n" == stopped.value.param


def test_chat_models_give_no_vectors(over_http: OpenAI, standins: Sandbox) -> None:
    """A provider that offers no vectors is not asked in another way; the caller is told so."""
    with pytest.raises(BadRequestError, match="embeddings"):
        over_http.embeddings.create(model="groq/openai/gpt-oss-120b", input="a")

    assert not standins.vendors["groq"].requests
