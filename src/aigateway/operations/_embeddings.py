"""Embeddings in OpenAI's shape, checked against what was asked: a vector in the wrong place is worse than none."""

from __future__ import annotations

from binascii import Error
from collections.abc import Mapping
from math import isfinite
from typing import Any

from ..errors import Kind, ProviderError
from ..secrets import Secret
from ..types import ChatRequest, Target, Usage
from ._codec import ELSEWHERE, NativeDecoder, Peer, native_body
from ._reading import nonsense
from ._usage import read_usage
from ._vectors import EmbedReply, EmbedRequest, pack, unpack

__all__ = ["EmbeddingsCodec"]

NUMBERS = frozenset({float, int})
NO_TOKENS = (
    "{name} takes texts, not token ids. Send texts: with LangChain's OpenAIEmbeddings, "
    "set check_embedding_ctx_length=False"
)


class EmbeddingsCodec:
    """Ask for vectors; `tokens` and `base64` say whether the vendor knows token ids, and vectors in base64."""

    def __init__(self, *, tokens: bool = True, base64: bool = True) -> None:
        self._tokens = tokens
        self._base64 = base64

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Give the body. Raises ProviderError for token ids where the vendor takes texts alone."""
        if not self._tokens and _asked(request).has_tokens:
            raise ProviderError(Kind.UNSUPPORTED_PARAM, NO_TOKENS.format(name=peer.name), remedy=ELSEWHERE)
        body = native_body(peer, request, target)
        if not self._base64 and body.pop("encoding_format", None) == "base64":
            notes.append(f"encoding_format base64 was made here: {peer.name} gives numbers")
        return body

    def headers(self, plain: Mapping[str, str | Secret], key: Secret) -> dict[str, str | Secret]:
        """Send what chat sends."""
        return dict(plain)

    def decode(self, peer: Peer, request: ChatRequest, body: dict[str, Any], at: float) -> EmbedReply:
        """Read the vectors, in the order of the inputs. Raises ProviderError when they are not what was asked for."""
        asked = _asked(request)
        rows = _in_order(body.get("data"), asked.count)
        wanted = asked.body.get("encoding_format", "float")
        vectors = [_as_asked(row.get("embedding"), wanted) for row in rows]
        lengths = {len(vector) for vector in vectors}
        if len(lengths) != 1:
            raise nonsense("the vectors are not of one length")
        dimensions = asked.body.get("dimensions")
        length = lengths.pop() if wanted == "float" else len(unpack(vectors[0]))
        if dimensions is not None and length != dimensions:
            raise nonsense(f"the vectors have {length} dimensions where {dimensions} were asked for")
        body["data"] = [
            {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
        ]
        body["object"] = "list"
        usage = read_usage(body.get("usage"))
        if usage is None:
            body["usage"] = {"prompt_tokens": 0, "total_tokens": 0}  # clients count on the field
        return EmbedReply(body, usage or Usage(), provider=peer.name)

    def decoder(self, peer: Peer, request: ChatRequest) -> NativeDecoder:
        """Refuse: vectors do not come as a stream."""
        raise ProviderError(Kind.UNSUPPORTED_PARAM, "vectors do not come as a stream")


def _asked(request: ChatRequest) -> EmbedRequest:
    if not isinstance(request, EmbedRequest):
        raise TypeError("embeddings are asked for with an EmbedRequest")
    return request


def _in_order(rows: object, count: int) -> list[dict[str, Any]]:
    """Sort the rows as their inputs were. Raises ProviderError unless there is exactly one for each."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise nonsense("the answer has no list of vectors")
    places = [row.get("index", at) for at, row in enumerate(rows)]
    if not all(type(place) is int for place in places) or sorted(places) != list(range(count)):
        raise nonsense(f"the answer has {len(rows)} vectors for {count} inputs, or numbers them wrong")
    return [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])]


def _as_asked(vector: object, wanted: str) -> Any:
    """Give a vector in the form the caller wants, whichever it came in. Raises ProviderError for what is none."""
    if isinstance(vector, str):
        try:
            numbers = unpack(vector)
        except (Error, ValueError):
            raise nonsense("a vector is not base64 of numbers") from None
        if not numbers or not isfinite(sum(numbers)):  # one that is not finite makes the sum so
            raise nonsense("a vector holds no numbers, or such as no JSON can hold")
        return vector if wanted == "base64" else numbers
    if not isinstance(vector, list) or not vector or not NUMBERS.issuperset(map(type, vector)):
        raise nonsense("a vector is not a list of numbers")
    try:
        return pack(vector) if wanted == "base64" else vector
    except OverflowError:
        raise nonsense("a vector holds a number that is too large") from None
