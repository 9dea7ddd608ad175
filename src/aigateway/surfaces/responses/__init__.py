"""OpenAI's Responses API."""

from ._surface import Responses

__all__ = ["Responses"]
