"""A vector in the wrong place is worse than none: answers are checked against what was asked."""

from __future__ import annotations

import json
import struct
import sys
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import Kind, ProviderError, RequestError
from aigateway.operations import EmbeddingsCodec, EmbedReply, EmbedRequest, ImageReply, ImageRequest, ImagesCodec, Peer
from aigateway.operations._vectors import pack, unpack
from aigateway.types import ChatRequest, NativeReply, Said, Target, Usage

PEER = Peer("acme", lambda failure: ProviderError(Kind.SERVER_ERROR, "no"), lambda body: False)
TARGET = Target("acme", "vectors-1")
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


def asked(given: Any = ("a", "b"), **fields: Any) -> EmbedRequest:
    return EmbedRequest.parse({"model": "vectors-1", "input": given, **fields})


def answer(*vectors: Any, usage: Any = None) -> dict[str, Any]:
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": rows, "model": "vectors-1", "usage": usage or {"prompt_tokens": 2}}


def read(body: dict[str, Any], request: EmbedRequest | None = None) -> EmbedReply:
    return EmbeddingsCodec().decode(PEER, request or asked(), json.loads(json.dumps(body)), 0.0)


@given(FLOATS)
def test_packing_loses_nothing(vector: list[float]) -> None:
    """What float32 holds comes back as it was, whichever way it is written."""
    assert vector == unpack(pack(vector))


@given(FLOATS, st.sampled_from(["float", "base64"]), st.booleans())
def test_either_form_for_either(vector: list[float], wanted: str, packed: bool) -> None:
    """The caller gets the form that was asked for, whichever the vendor gives."""
    reply = read(answer(pack(vector) if packed else vector), asked("a", encoding_format=wanted))

    assert isinstance(reply.body["data"][0]["embedding"], str if wanted == "base64" else list)
    assert [vector] == reply.vectors


def test_order_is_the_inputs() -> None:
    """Rows that came in another order are put into that of the inputs."""
    body = answer([1.0], [2.0])
    body["data"].reverse()

    assert [[1.0], [2.0]] == read(body).vectors


WRONG: dict[str, Any] = {
    "too few": answer([1.0]),
    "too many": answer([1.0], [2.0], [3.0]),
    "the same place twice": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
    "a place that is none": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 7, "embedding": [2.0]}]},
    "a place that is true": {"data": [{"index": False, "embedding": [1.0]}, {"index": True, "embedding": [2.0]}]},
    "two lengths": answer([1.0], [2.0, 3.0]),
    "empty vectors": answer([], []),
    "words": answer(["a"], ["b"]),
    "truths": answer([True], [False]),
    "not base64": answer("*", "*"),
    "half a number": answer("AAA=", "AAA="),
    "not a number": answer("AADAfw==", "AADAfw=="),
    "no rows": {"data": None},
    "rows that are none": {"data": [1, 2]},
    "nothing": {},
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    """Anything but one vector for each input, all of one length, is the vendor's failure."""
    with pytest.raises(ProviderError) as caught:
        read(WRONG[name])

    assert Kind.PROTOCOL_ERROR is caught.value.kind


def test_dimensions_are_what_was_asked() -> None:
    """A vector of another length than `dimensions` is refused."""
    assert [[1.0, 2.0]] == read(answer([1.0, 2.0]), asked("a", dimensions=2)).vectors
    with pytest.raises(ProviderError, match="2 dimensions where 3"):
        read(answer([1.0, 2.0]), asked("a", dimensions=3))


def test_usage_that_makes_no_sense_is_unknown() -> None:
    """Impossible figures are nobody's: usage is unknown, and clients find the field."""
    reply = read(answer([1.0], [2.0], usage={"prompt_tokens": -4}))

    assert "unknown" == reply.usage.source
    assert {"prompt_tokens": 0, "total_tokens": 0} == reply.body["usage"]


@pytest.mark.parametrize(
    ("given_", "count", "tokens"), [("a", 1, False), (["a"], 1, False), ([1, 2], 1, True), ([[1], [2]], 2, True)]
)
def test_inputs_are_counted(given_: Any, count: int, tokens: bool) -> None:
    """Token ids are one input, or a list of them several."""
    request = asked(given_)

    assert (count, tokens) == (request.count, request.has_tokens)


def test_token_ids_where_texts_are_wanted() -> None:
    """The refusal names the client's setting, and another target may be asked."""
    with pytest.raises(ProviderError, match="check_embedding_ctx_length=False") as caught:
        EmbeddingsCodec(tokens=False).encode(PEER, asked([1, 2]), TARGET, [])

    assert "yes" == caught.value.remedy.other_target


def test_vendor_without_base64() -> None:
    """It is asked for numbers, and the caller gets base64 all the same."""
    notes: list[str] = []
    request = asked("a", encoding_format="base64")
    sent = EmbeddingsCodec(base64=False).encode(PEER, request, TARGET, notes)

    assert "encoding_format" not in sent
    assert notes
    assert isinstance(read(answer([1.0]), request).body["data"][0]["embedding"], str)


def test_kept_as_plain_data() -> None:
    """A reply a cache kept without its type gives its vectors again; one that has its type is the same."""
    kept = NativeReply("embeddings", answer(pack([1.0])), Usage(input=1), Said())
    drawn = NativeReply("images", {"data": [{"b64_json": "AAAA"}, {"url": "https://a.example/x"}]}, Usage(), Said())
    vectors, pictures = EmbedReply.of(kept), ImageReply.of(drawn)

    assert [[1.0]] == vectors.vectors
    assert vectors.vectors is EmbedReply.of(vectors).vectors
    assert [b"\x00\x00\x00", None] == [picture.data for picture in pictures.images]
    assert pictures is ImageReply.of(pictures)


@pytest.mark.parametrize("operation", [EmbedRequest, ImageRequest])
@pytest.mark.parametrize("body", [None, 7, "x", [], [{}]])
def test_no_object_is_no_request(operation: type[ChatRequest], body: Any) -> None:
    """A body of anything else is refused in a sentence."""
    with pytest.raises(RequestError, match="JSON object"):
        operation.parse(body)


def test_bytes_on_the_wire_are_little_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is: one whose own order is the other turns each number, both ways."""
    vector, turned = [1.5, -2.0], {"little": "big", "big": "little"}[sys.byteorder]
    plain = pack(vector)
    monkeypatch.setattr("aigateway.operations._vectors.sys.byteorder", turned)

    assert vector == unpack(pack(vector))
    assert struct.pack(">2f", *struct.unpack("<2f", b64decode(plain))) == b64decode(pack(vector))


@pytest.mark.parametrize(
    ("request_", "codec"),
    [(asked(), EmbeddingsCodec()), (ImageRequest.parse({"prompt": "a cat"}), ImagesCodec())],
)
def test_neither_comes_as_a_stream(request_: Any, codec: Any) -> None:
    """A vendor cannot be asked for one."""
    with pytest.raises(ProviderError, match="do not come as a stream"):
        codec.decoder(PEER, request_)


@pytest.mark.parametrize(
    ("body", "created"), [({"created": 7}, 7), ({}, 42), ({"created": "yesterday"}, 42), ({"created": True}, 42)]
)
def test_pictures_have_a_moment(body: dict[str, Any], created: int) -> None:
    """Clients read it: the vendor's where it is one, else when the answer came."""
    found = ImagesCodec().decode(PEER, ImageRequest.parse({"prompt": "a"}), {**body, "data": [{"url": "u"}]}, 42.5)

    assert created == found.body["created"]


@pytest.mark.parametrize(
    ("row", "body", "kind"),
    [
        ({"b64_json": "/9j/A"}, {}, "jpeg"),
        ({"b64_json": "UklGRA"}, {}, "webp"),
        ({"b64_json": "iVBO"}, {}, "png"),
        ({"b64_json": "/9j/A"}, {"output_format": "webp"}, "webp"),
        ({"b64_json": "/9j/A"}, {"output_format": "tiff"}, "jpeg"),
    ],
)
def test_a_link_where_there_is_none(row: dict[str, Any], body: dict[str, Any], kind: str) -> None:
    """It holds the picture, named for what it is."""
    request = ImageRequest.parse({"prompt": "a", "response_format": "url"})
    found = ImagesCodec().decode(PEER, request, {**body, "data": [dict(row)]}, 0.0)

    assert f"data:image/{kind};base64,{row['b64_json']}" == found.images[0].url
    assert found.images[0].b64_json is None


@pytest.mark.parametrize("rows", [None, [], [7], [{}], [{"url": ""}], [{"url": 7}], [{"url": "u", "b64_json": 7}]])
def test_no_pictures(rows: Any) -> None:
    """A vendor that gives none has not answered."""
    with pytest.raises(ProviderError) as caught:
        ImagesCodec().decode(PEER, ImageRequest.parse({"prompt": "a"}), {"data": rows}, 0.0)

    assert Kind.PROTOCOL_ERROR is caught.value.kind


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("input", {}),
        ("input", {"input": None}),
        ("input", {"input": 7}),
        ("input", {"input": ""}),
        ("input", {"input": []}),
        ("input", {"input": ["a"] * 2049}),
        ("input[1]", {"input": ["a", 1]}),
        ("input[0]", {"input": [[1, "a"]]}),
        ("input[0]", {"input": [-1]}),
        ("input[0]", {"input": [True]}),
        ("input[0]", {"input": [[]]}),
        ("input[1]", {"input": ["a", ""]}),
        ("user", {"input": "a", "user": 7}),
        ("encoding_format", {"input": "a", "encoding_format": "int8"}),
        ("dimensions", {"input": "a", "dimensions": True}),
        ("dimensions", {"input": "a", "dimensions": 1.5}),
        ("stream", {"input": "a", "stream": True}),
        ("model", {"input": "a", "model": 7}),
        ("api_key", {"input": "a", "api_key": "x"}),
    ],
)
def test_request_is_checked(param: str, fields: dict[str, Any]) -> None:
    """A wrong field is named, before anything is sent."""
    with pytest.raises(RequestError) as caught:
        EmbedRequest.parse(fields)

    assert param == caught.value.param
    assert 400 == caught.value.status


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("prompt", {}),
        ("prompt", {"prompt": " "}),
        ("prompt", {"prompt": "a" * 32_001}),
        ("n", {"prompt": "a", "n": 0}),
        ("n", {"prompt": "a", "n": True}),
        ("size", {"prompt": "a", "size": "large"}),
        ("response_format", {"prompt": "a", "response_format": "png"}),
        ("quality", {"prompt": "a", "quality": 1}),
        ("stream", {"prompt": "a", "stream": True}),
    ],
)
def test_image_request_is_checked(param: str, fields: dict[str, Any]) -> None:
    """As for vectors."""
    with pytest.raises(RequestError) as caught:
        ImageRequest.parse(fields)

    assert param == caught.value.param
