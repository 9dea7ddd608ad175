"""Images in OpenAI's shape; links and pictures in base64 are one to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Kind, ProviderError
from ..secrets import Secret
from ..types import ChatRequest, Target, Usage
from ._codec import NativeDecoder, Peer, native_body
from ._pictures import ImageReply
from ._reading import nonsense
from ._usage import read_responses_usage

__all__ = ["ImagesCodec"]

FIELDS = ("url", "b64_json")


class ImagesCodec:
    """Ask for pictures. A subclass says what its vendor names otherwise."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Give the body; pictures come in base64 unless links are asked for."""
        return {"response_format": "b64_json", **native_body(peer, request, target)}

    def headers(self, plain: Mapping[str, str | Secret], key: Secret) -> dict[str, str | Secret]:
        """Send what chat sends."""
        return dict(plain)

    def decode(self, peer: Peer, request: ChatRequest, body: dict[str, Any], at: float) -> ImageReply:
        """Read the pictures. Raises ProviderError when there are none.

        Where links were asked for and the vendor gave pictures, the links hold the pictures (RFC 2397).
        """
        rows = self.pictures(body)
        if not rows:
            raise nonsense("the answer has no pictures")
        for row in rows:
            if not isinstance(row, dict) or not any(row.get(name) for name in FIELDS):
                raise nonsense("an entry of the answer is no picture")
            if not all(isinstance(row.get(name), str | None) for name in FIELDS):
                raise nonsense("a picture is not a text")
            if request.body.get("response_format") == "url" and not row.get("url"):
                row["url"] = f"data:image/{_kind(body, row)};base64,{row.pop('b64_json')}"
        body["data"] = rows
        if type(body.get("created")) is not int:
            body["created"] = int(at)
        usage = read_responses_usage(body.get("usage"), images=len(rows))
        if usage is None:
            body.pop("usage", None)
        return ImageReply(body, usage or Usage(images=len(rows), source="reported"), provider=peer.name)

    def pictures(self, body: dict[str, Any]) -> list[Any]:
        """Find the pictures in an answer, and take away what is not OpenAI's. Raises ProviderError."""
        rows = body.get("data")
        return rows if isinstance(rows, list) else []

    def decoder(self, peer: Peer, request: ChatRequest) -> NativeDecoder:
        """Refuse: pictures do not come as a stream here."""
        raise ProviderError(Kind.UNSUPPORTED_PARAM, "pictures do not come as a stream here")


def _kind(body: dict[str, Any], row: dict[str, Any]) -> str:
    """Name a picture's kind: as the vendor says, else as its first bytes do."""
    said = body.get("output_format")
    if said in ("png", "jpeg", "webp"):
        return str(said)
    begins = str(row.get("b64_json"))
    return "jpeg" if begins.startswith("/9j/") else "webp" if begins.startswith("UklGR") else "png"
