"""Images: a prompt in, pictures out; OpenAI's shape (openai-python 3.3.1, types/image_generate_params)."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from ..errors import RequestError
from ..types import ChatRequest, NativeReply, Said, Usage

__all__ = ["Image", "ImageReply", "ImageRequest"]

# What OpenAI takes at most (openai/openai-openapi); others take less, and say so.
LONGEST_PROMPT, MOST_IMAGES = 32_000, 10
FORMS = ("url", "b64_json")
SIZE = re.compile(r"auto|[1-9]\d{1,4}x[1-9]\d{1,4}", re.ASCII)
TEXTS = ("model", "user", "quality", "background", "output_format", "moderation", "style")


@dataclass(slots=True)
class ImageRequest(ChatRequest):
    """One request for pictures; `body` holds `prompt`, and what the picture should be like."""

    operation: str = "images"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Give none: nothing is said."""
        return []

    @property
    def count(self) -> int:
        """Count the pictures that are asked for."""
        return int(self.body.get("n", 1))

    @classmethod
    def _checked(cls, body: object) -> Self:
        if not isinstance(body, dict):
            raise RequestError("the body must be a JSON object with 'prompt'")
        prompt, number, size = body.get("prompt"), body.get("n"), body.get("size")
        if prompt is None:
            raise RequestError("'prompt' is missing", param="prompt", code="missing_required_parameter")
        if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > LONGEST_PROMPT:
            raise RequestError(f"'prompt' must be a text of 1 to {LONGEST_PROMPT} characters", param="prompt")
        if number is not None and (type(number) is not int or not 1 <= number <= MOST_IMAGES):
            raise RequestError(f"'n' must be a whole number from 1 to {MOST_IMAGES}", param="n")
        if size is not None and not (isinstance(size, str) and SIZE.fullmatch(size)):
            raise RequestError("'size' must be 'auto' or WIDTHxHEIGHT, such as '1024x1024'", param="size")
        if body.get("response_format") not in (None, *FORMS):
            raise RequestError("'response_format' must be 'url' or 'b64_json'", param="response_format")
        for name in TEXTS:
            if body.get(name) is not None and not isinstance(body[name], str):
                raise RequestError(f"{name!r} must be a text", param=name)
        if body.pop("stream", None):
            raise RequestError("pictures do not come as a stream here; leave 'stream' out", param="stream")
        return cls._of(body)


class Image(NamedTuple):
    """One picture: where it is, or what it is in base64; `revised_prompt` is what the vendor made of the prompt."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None

    @property
    def data(self) -> bytes | None:
        """Give the picture's bytes; None where there is only a link."""
        return None if self.b64_json is None else b64decode(self.b64_json)


class ImageReply(NativeReply):
    """Hold the pictures of one request."""

    __slots__ = ()

    def __init__(self, body: dict[str, Any], usage: Usage, *, provider: str = "") -> None:
        super().__init__("images", body, usage, Said(finish_reason="stop"), provider=provider)

    @classmethod
    def of(cls, reply: NativeReply) -> ImageReply:
        """Give a reply of this type, also for one a cache kept as plain data."""
        if isinstance(reply, cls):
            return reply
        made = cls(reply.body, reply.usage, provider=reply.provider)
        made.trace = reply.trace
        return made

    @property
    def images(self) -> list[Image]:
        """Give the pictures."""
        return [Image(*(row.get(name) for name in Image._fields)) for row in self.body["data"]]
