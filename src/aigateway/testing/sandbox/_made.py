"""Vectors and pictures as stand-ins make them: from the request alone, so a test knows them."""

from __future__ import annotations

import random
from array import array
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from ._operations import read_body
from ._server import Request
from ._vendors import CREATED, RefusalError, Response, StandIn

__all__ = ["Embeddings", "Images", "MiniMaxImages", "vector"]

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
MOST_INPUTS = 2048
# One grey pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


class Plain:
    """Fail as the vendor's chat does."""

    def dressed(self, failure: Response) -> Response:
        """Give the failure as it is."""
        return failure

    def inside(self, vendor: StandIn, failure: Response, *, stream: bool) -> Response:
        """Give the failure in a 200."""
        return Response(200, failure.headers, failure.body)


class Embeddings(Plain):
    """Answer POST .../embeddings as OpenAI does: texts or token ids, numbers or base64."""

    def answer(self, vendor: StandIn, request: Request) -> Response:
        """Give a vector for each input."""
        body = read_body(request.body, "input")
        if body["model"] not in DIMENSIONS:
            raise RefusalError(vendor.failing(404, body["model"]))
        inputs = _inputs(body["input"])
        most = DIMENSIONS[body["model"]]
        dimensions = body.get("dimensions", most)
        if type(dimensions) is not int or not 1 <= dimensions <= most:
            raise ValueError(f"'dimensions' must be a number from 1 to {most}")
        form = body.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise ValueError("'encoding_format' must be 'float' or 'base64'")
        vectors = [vector(entry, body["model"], dimensions) for entry in inputs]
        rows = [
            {"object": "embedding", "index": index, "embedding": _packed(numbers) if form == "base64" else numbers}
            for index, numbers in enumerate(vectors)
        ]
        tokens = sum(len(entry) if isinstance(entry, list) else 1 + len(entry) // 4 for entry in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return vendor.json(200, {"object": "list", "data": rows, "model": body["model"], "usage": usage})


class Images(Plain):
    """Answer POST .../images/generations as OpenAI's image models do: in base64, and never told so."""

    models = ("gpt-image-2", "gpt-image-2.6-flare", "gpt-image-2.6-sunburst")

    def answer(self, vendor: StandIn, request: Request) -> Response:
        """Give as many pictures as were asked for."""
        body = read_body(request.body, "prompt")
        if body["model"] not in self.models:
            raise RefusalError(vendor.failing(404, body["model"]))
        if "response_format" in body:
            raise ValueError("Unknown parameter: 'response_format'.")
        number = body.get("n", 1)
        usage = {"input_tokens": 14, "output_tokens": 272 * number, "total_tokens": 14 + 272 * number}
        details = {"text_tokens": 14, "image_tokens": 0}
        return vendor.json(
            200,
            {
                "created": CREATED,
                "data": [{"b64_json": PNG} for _ in range(number)],
                "output_format": "png",
                "usage": {**usage, "input_tokens_details": details},
            },
        )


class MiniMaxImages(Plain):
    """Answer POST /v1/image_generation as MiniMax does; what failed is counted, and its count may be a text."""

    models = ("image-01", "image-01-live")

    def answer(self, vendor: StandIn, request: Request) -> Response:
        """Give links, or pictures in base64."""
        body = read_body(request.body, "prompt")
        if body["model"] not in self.models:
            raise ValueError(f"unknown model '{body['model']}'")
        self._check(body)
        number = body.get("n", 1)
        if body.get("response_format", "url") == "base64":
            data: dict[str, Any] = {"image_base64": [PNG] * number}
        else:
            data = {"image_urls": [f"https://img.example.com/{index}.jpeg" for index in range(number)]}
        metadata = {"success_count": str(number), "failed_count": "0"}
        base = {"status_code": 0, "status_msg": "success"}
        return vendor.json(200, {"id": vendor.identifier(20), "data": data, "metadata": metadata, "base_resp": base})

    def inside(self, vendor: StandIn, failure: Response, *, stream: bool) -> Response:
        """Give no pictures, and the code."""
        return Response(200, failure.headers, failure.body)

    def _check(self, body: Mapping[str, Any]) -> None:
        if len(body["prompt"]) > 1500:
            raise ValueError("prompt must be at most 1500 characters")
        if type(body.get("n", 1)) is not int or not 1 <= body.get("n", 1) <= 9:
            raise ValueError("n must be 1 to 9")
        if body.get("response_format", "url") not in ("url", "base64"):
            raise ValueError("response_format must be url or base64")
        for name in ("width", "height"):
            side = body.get(name, 512)
            if type(side) is not int or side % 8 or not 512 <= side <= 2048:
                raise ValueError(f"{name} must be 512 to 2048, in steps of 8")


def vector(entry: str | list[int], model: str, dimensions: int) -> list[float]:
    """Give the vector of an input: numbers that float32 holds exactly."""
    found = random.Random(f"{model}/{entry}")  # noqa: S311 - to be repeated, no secrets
    return [found.randint(-127, 127) / 128 for _ in range(dimensions)]


def _packed(numbers: list[float]) -> str:
    return b64encode(array("f", numbers).tobytes()).decode()


def _inputs(given: object) -> list[Any]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_INPUTS:
        raise ValueError("'$.input' is invalid. Please check the API reference")
    if all(type(entry) is int for entry in given):
        return [given]
    for entry in given:
        if not entry or not isinstance(entry, str | list):
            raise ValueError("'$.input' is invalid. Please check the API reference")
    return given
