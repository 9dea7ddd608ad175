"""MiniMax's image generation in OpenAI's words (platform.minimax.io, image-generation-t2i)."""

from __future__ import annotations

from typing import Any

from aigateway.errors import Kind, ProviderError
from aigateway.operations import ELSEWHERE, ImagesCodec, Peer
from aigateway.types import ChatRequest, Target

__all__ = ["MiniMaxImages"]

LONGEST_PROMPT, MOST = 1500, 9
# Width and height: from, to, and in steps of.
LEAST, LARGEST, STEP = 512, 2048, 8
FORMS = {"b64_json": "base64", "url": "url"}
UNKNOWN = ("background", "moderation", "output_compression", "output_format", "quality", "style", "user")
PLACES = (("image_base64", "b64_json"), ("image_urls", "url"))


class MiniMaxImages(ImagesCodec):
    """Ask MiniMax for pictures; links it gives last for a day."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Name things as MiniMax does. Raises ProviderError for more than it takes."""
        body = super().encode(peer, request, target, notes)
        if len(body["prompt"]) > LONGEST_PROMPT:
            raise _too_much(f"minimax takes prompts of at most {LONGEST_PROMPT} characters")
        if body.get("n", 1) > MOST:
            raise _too_much(f"minimax gives at most {MOST} pictures at once")
        body["response_format"] = FORMS.get(body["response_format"], body["response_format"])
        _measure(body, notes)
        unknown = [name for name in UNKNOWN if body.pop(name, None) is not None]
        notes.extend(f"{name} was dropped: {peer.name} does not know it" for name in unknown)
        return body

    def pictures(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Give each link or picture an entry of its own; those that failed are missing."""
        data = body.get("data")
        for name in ("base_resp", "metadata", "id"):
            body.pop(name, None)
        if not isinstance(data, dict):
            return []
        return [{ours: entry} for theirs, ours in PLACES for entry in data.get(theirs) or ()]


def _measure(body: dict[str, Any], notes: list[str]) -> None:
    """Say width and height, as near to the size as MiniMax goes; a ratio of the caller's wins."""
    size = body.pop("size", "auto")
    if size == "auto" or "aspect_ratio" in body:
        return
    sides = [min(max(round(int(side) / STEP) * STEP, LEAST), LARGEST) for side in size.split("x")]
    body["width"], body["height"] = sides
    if f"{sides[0]}x{sides[1]}" != size:
        notes.append(f"size {size} was sent as {sides[0]}x{sides[1]}: minimax takes {LEAST} to {LARGEST}, in eights")


def _too_much(message: str) -> ProviderError:
    return ProviderError(Kind.UNSUPPORTED_PARAM, message, remedy=ELSEWHERE)
