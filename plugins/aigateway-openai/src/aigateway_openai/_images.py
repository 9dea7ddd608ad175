"""What OpenAI's image models refuse (openai/openai-openapi; vercel/ai, packages/openai)."""

from __future__ import annotations

from typing import Any

from aigateway.operations import ImagesCodec, Peer
from aigateway.types import ChatRequest, Target

__all__ = ["OpenAIImages"]

# They always answer in base64, and refuse to be told so.
ALWAYS_BASE64 = ("gpt-image", "chatgpt-image")
# Unknown names give 400 unknown_parameter: what MiniMax adds.
FOREIGN = frozenset({"aspect_ratio", "height", "prompt_optimizer", "seed", "subject_reference", "width"})


class OpenAIImages(ImagesCodec):
    """Ask OpenAI for pictures."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Drop what the models refuse."""
        body = super().encode(peer, request, target, notes)
        if target.model.startswith(ALWAYS_BASE64):
            del body["response_format"]
        for name in sorted(FOREIGN & body.keys()):
            del body[name]
            notes.append(f"{name} was dropped: {peer.name} refuses it")
        return body
