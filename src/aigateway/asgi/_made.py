"""Vectors and pictures: what is asked for besides words."""

from __future__ import annotations

from typing import Any

from ..exchange import Exchange
from ..operations import EmbedRequest, ImageRequest
from ..types import ChatRequest
from ._answers import Answers, Tells
from ._incoming import Incoming

__all__ = ["Embed", "MakeImage", "embed_schema", "image_schema"]


class Made(Answers):
    """Answer what never comes as a stream."""

    def whole(self, exchange: Exchange) -> bytes:
        """Write the vendor's answer, in OpenAI's shape."""
        return exchange.whole().model_dump_json()

    def tells(self, request: Incoming, exchange: Exchange) -> Tells:
        """Refuse: a request that asked for a stream was not read."""
        raise NotImplementedError


class Embed(Made):
    """Answer POST /v1/embeddings: one vector for each input, in order."""

    def read(self, data: bytes) -> ChatRequest:
        """Read a request for vectors. Raises RequestError."""
        return EmbedRequest.parse_json(data)


class MakeImage(Made):
    """Answer POST /v1/images/generations: pictures, in base64 or as links."""

    def read(self, data: bytes) -> ChatRequest:
        """Read a request for pictures. Raises RequestError."""
        return ImageRequest.parse_json(data)


def embed_schema() -> dict[str, Any]:
    """Describe the body of a request for vectors in JSON Schema."""
    text, ids = {"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "integer", "minimum": 0}}
    many = {"type": "array", "items": {"anyOf": [text, ids]}, "minItems": 1, "maxItems": 2048}
    properties = {
        "model": {"type": "string", "maxLength": 512},
        "input": {"anyOf": [text, {**ids, "minItems": 1}, many]},
        "encoding_format": {"enum": ["float", "base64"]},
        "dimensions": {"type": "integer", "minimum": 1},
        "user": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": ["input"]}


def image_schema() -> dict[str, Any]:
    """Describe the body of a request for pictures in JSON Schema."""
    properties = {
        "model": {"type": "string", "maxLength": 512},
        "prompt": {"type": "string", "minLength": 1, "maxLength": 32000},
        "n": {"type": "integer", "minimum": 1, "maximum": 10},
        "size": {"type": "string"},
        "response_format": {"enum": ["url", "b64_json"]},
        "quality": {"type": "string"},
        "user": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": ["prompt"]}
