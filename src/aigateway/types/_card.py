"""What can be asked for, as it is listed: OpenAI's shape with what else is known."""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = ["ModelCard"]


class ModelCard(TypedDict):
    """Describe a route or a model: what nobody knows of it is left out.

    A route is `owned_by` "aigateway" and has `targets`; a model has a `provider`. `created` is in seconds since the
    epoch, 0 where nobody knows; `pricing` in US dollars per million tokens, at any hour and size; `listed` tells
    whether the vendor's own list names it.
    """

    id: str
    object: str
    created: int
    owned_by: str
    targets: NotRequired[list[str]]
    provider: NotRequired[str]
    capabilities: NotRequired[list[str]]
    context_length: NotRequired[int]
    max_output_tokens: NotRequired[int]
    shutdown_date: NotRequired[str]
    pricing: NotRequired[dict[str, float]]
    listed: NotRequired[bool]
