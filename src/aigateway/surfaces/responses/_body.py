"""The fields of a Responses request that are checked; others pass. Imported on first use."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

__all__ = ["ResponsesBody"]

STRICT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
Count = Annotated[int, Field(ge=1)]
# Described here, read item by item elsewhere.
ITEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "default": "message"},
        "role": {"enum": ["user", "assistant", "system", "developer"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    },
}
INPUT = {"anyOf": [{"type": "string"}, {"type": "array", "items": ITEM, "minItems": 1, "maxItems": 4000}]}


class Text(TypedDict):
    """Say what the text must look like."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's documented hook for a TypedDict
    format: NotRequired[dict[str, Any] | None]
    verbosity: NotRequired[str | None]


class Reasoning(TypedDict):
    """Say how much to think."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    effort: NotRequired[str | None]
    summary: NotRequired[str | None]
    mode: NotRequired[str | None]


class ResponsesBody(TypedDict):
    """OpenAI's request to create a response (openai-python 3.51); unknown fields are kept."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    input: Annotated[Any, WithJsonSchema(INPUT)]
    instructions: NotRequired[str | None]
    model: NotRequired[Annotated[str, Field(max_length=512)] | None]
    stream: NotRequired[bool | None]
    stream_options: NotRequired[dict[str, Any] | None]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)] | None]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    top_logprobs: NotRequired[Annotated[int, Field(ge=0, le=20)] | None]
    max_output_tokens: NotRequired[Count | None]
    max_tool_calls: NotRequired[Count | None]
    metadata: NotRequired[dict[str, str] | None]
    tools: NotRequired[list[dict[str, Any]] | None]
    tool_choice: NotRequired[str | dict[str, Any] | None]
    parallel_tool_calls: NotRequired[bool | None]
    text: NotRequired[Text | None]
    reasoning: NotRequired[Reasoning | None]
    truncation: NotRequired[Literal["auto", "disabled"] | None]
    include: NotRequired[list[str] | None]
    store: NotRequired[bool | None]
    background: NotRequired[bool | None]
    service_tier: NotRequired[str | None]
    user: NotRequired[str | None]
    safety_identifier: NotRequired[str | None]
    prompt_cache_key: NotRequired[str | None]
